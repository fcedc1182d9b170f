"""One `bucc` at a time works on a site's state, whatever run began it, and nobody touches its files meanwhile."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import (
    STORE,
    Around,
    Endpoint,
    Entry,
    Interrupted,
    Mark,
    PaverError,
    Reader,
    Refused,
    ResourceId,
    Unobservable,
    Unreachable,
)
from paver.foundation import yaml_text
from paver.foundation.bucc import bucc, leaves
from paver.foundation.bucc.bucc import Bucc, BuccFacts
from paver.transport import job
from paver.transport.job import JobState
from paver.trust import authority

MACHINE: Endpoint[Any, Any] = Endpoint("machine:jumpbox")
ID = ResourceId("bucc.director:bucc")
STATE = "/var/lib/paver/bucc/north/state"


class Machine:
    """The jumpbox's files and jobs, and what was done in which order."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.done: list[str] = []
        self.jobs: dict[str, JobState] = {}

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return path in self.files

    def mkdir(self, *_: object) -> None:
        self.done.append("mkdir")

    def write_file(self, path: str, data: bytes, *_: object) -> None:
        self.files[path] = data
        self.done.append(f"write {path.rpartition('/')[2]}")

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(file.removeprefix(f"{path}/") for file in self.files if file.startswith(f"{path}/"))

    def remove(self, path: str, **_: object) -> None:
        self.files.pop(path, None)
        self.done.append("remove")


class Store:
    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.public: dict[str, Mapping[str, Any]] = {}

    def entry(self, name: str) -> Entry | None:
        mark = Mark("north", ID, "sealed", complete=True)
        return Entry(name, "v1", self.public.get(name, {}), mark) if name in self.held else None

    def value(self, name: str) -> str:
        return self.held[name]

    def put(self, name: str, value: str, public: Mapping[str, Any], _: object) -> None:
        self.held[name] = value
        self.public[name] = public

    def remove(self, name: str) -> None:
        self.held.pop(name)


class Director:
    """A director with deployments."""

    def __init__(self, *deployments: str) -> None:
        self.deployments = deployments

    def get(self, path: str) -> Any:
        assert path == "/deployments"
        return SimpleNamespace(json=lambda: [{"name": name} for name in self.deployments])


DOWN = Unreachable("the director does not answer", why="no route to host")


@dataclasses.dataclass(frozen=True)
class Folder:
    """The folders of BOSH's machines and disks, and what is in them."""

    there: frozenset[str] = frozenset({"VM /north/vm/BOSH_VMs/own/vm-1"})
    kept: frozenset[str] = frozenset({"[datastore1] BOSH_Disks/disk-1"})
    makes: tuple[str, ...] = ()

    def look(self, _: Reader) -> frozenset[str]:
        return self.there

    machines = look

    def disks(self, _: Reader) -> frozenset[str]:
        return self.kept


@dataclasses.dataclass
class World:
    """A writing world whose action is `action`."""

    machine: Machine
    store: Store
    action: str
    stops: bool = False
    site: str = "north"
    moved: Mapping[ResourceId, ResourceId] = dataclasses.field(default_factory=dict)
    director: Any = DOWN
    around: Around | None = Folder()

    def current(self, mark: Mark) -> Mark:
        return mark

    def session(self, at: Endpoint[Any, Any]) -> Any:
        if at.name == "director":
            if isinstance(self.director, PaverError):
                raise self.director
            return self.director
        return self.store if at.name == STORE.name else self.machine

    writing = session

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, ID, self.action, complete)

    def version(self, _: object) -> str:
        return "v1"

    def reveal(self, _: object) -> str:
        return "value"

    def report(self, *_: object) -> None:
        pass

    def stopping(self) -> bool:
        return self.stops


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Jobs that end well at once when they are followed, unless the follower stops."""
    made = Machine()

    def handle(name: str) -> Any:
        def follow(_: object, *, stop: Callable[[], bool]) -> JobState:
            if not stop():
                made.jobs[name] = JobState("ended", 0)
                made.done.append(f"ended {name}")
            return made.jobs[name]

        return SimpleNamespace(follow=follow)

    def start(_: object, name: str, argv: list[str], *_more: object, **_named: object) -> Any:
        assert all(other.state != "running" for other in made.jobs.values()), "two at once"
        made.done.append(f"start {' '.join(argv[1:])}")
        made.jobs[name] = JobState("running")
        return handle(name)

    monkeypatch.setattr(job, "state", lambda _, name: made.jobs.get(name, JobState("absent")))
    monkeypatch.setattr(job, "attach", lambda _, name: handle(name))
    monkeypatch.setattr(job, "start_or_attach", start)
    return made


def wish() -> Bucc:
    return Bucc(
        id=ID,
        at=MACHINE,
        phase="bucc",
        artefact="0" * 64,
        tree="/tree",
        cpi="vsphere",
        ip="10.30.0.10",
        variables={},
        seeds={},
        operators={},
    )


OWN = json.dumps(
    {"current_vm_cid": "vm-1", "current_disk_id": "5", "disks": [{"id": "5", "cid": "disk-1.eyJ9"}]}
).encode()


def facts() -> BuccFacts:
    return BuccFacts(
        address={"project": "/var/lib/paver/bucc/north", "tree": "/tree"},
        mark=Mark("north", ID, "a1", complete=True),
        artefact="0" * 64,
        cpi="vsphere",
        ip="10.30.0.10",
        variables={},
        seeds={},
        operators={},
        flags=(),
    )


def test_a_bucc_that_a_killed_run_left_is_waited_for_before_anything_is_written(machine: Machine) -> None:
    store = Store()
    with pytest.raises(Interrupted):
        wish().create(World(machine, store, "a1", stops=True))
    machine.done.clear()
    wish().create(World(machine, store, "a2"))
    assert machine.done[0] == "ended bucc-north"
    assert "start up" in machine.done


def test_a_director_whose_jumpbox_was_lost_is_there_and_is_not_forgotten_by_a_destroy(
    machine: Machine,
) -> None:
    """Without its record it counted as absent: a destroy left its VM behind, and dropped its state."""
    store = Store()
    world = World(machine, store, "d1")
    assert wish().read(world) is None
    store.held = {bucc.STATE: "{}"}
    found = wish().read(world)
    assert found is not None
    assert found.mark == Mark("north", ID, "sealed", complete=False)
    assert "out of the sealed store" in wish().foresees(world, found)
    with pytest.raises(Refused, match="another one made it"):
        Bucc.delete(world, MACHINE, found)
    assert (machine.done, store.held) == ([], {bucc.STATE: "{}"})
    wish().create(World(machine, store, "a1"))
    found = wish().read(world)
    assert found is not None
    assert found.mark == Mark("north", ID, "a1", complete=True)
    assert machine.files[f"{STATE}/state.json"] == b"{}"
    assert not wish().foresees(world, found)


class Busy:
    """A director at whose tasks somebody else's deploy is, for so many looks; `machine` takes down when it ends."""

    def __init__(self, machine: Machine, looks: int) -> None:
        self.machine, self.looks = machine, looks

    def get(self, path: str, **_: object) -> Any:
        if path == "/tasks":
            return SimpleNamespace(json=lambda: [{"id": 7, "description": "create deployment"}])
        if path == "/tasks/7":
            self.looks -= 1
            if not self.looks:
                self.machine.done.append("their deploy ended")
            return SimpleNamespace(json=lambda: {"state": "processing" if self.looks else "error"})
        return SimpleNamespace(text="")


def test_a_director_is_not_taken_away_from_under_what_others_have_it_do(machine: Machine) -> None:
    world = World(machine, Store(), "a1")
    world.director = Busy(machine, 3)
    wish().create(world)
    assert machine.done.index("their deploy ended") < machine.done.index("start up")
    machine.done.clear()
    world.director, world.stops = Busy(machine, 3), True
    with pytest.raises(Interrupted):
        wish().create(world)
    assert "start up" not in machine.done


@pytest.mark.parametrize(
    "error", [DOWN, Refused("its certificate was not issued by a root that is trusted here")]
)
def test_a_director_that_cannot_be_asked_is_not_waited_for(machine: Machine, error: PaverError) -> None:
    wish().create(World(machine, Store(), "a1", director=error))
    assert "start up" in machine.done


def test_a_director_whose_vm_is_gone_is_made_anew_on_its_disk(machine: Machine) -> None:
    """`bucc up` alone skips what is deployed as it is wished, whether it is there or not."""
    store, elsewhere = Store(), Folder(frozenset({"VM /north/vm/Discovered virtual machine/vm-1"}))
    world = World(machine, store, "a1")
    one = dataclasses.replace(wish(), around=Folder())
    one.create(world)
    machine.files[f"{STATE}/state.json"] = OWN
    for around in (Folder(), elsewhere, None):
        found = dataclasses.replace(one, around=around).read(world)
        assert found is not None
        assert found.mark is not None
        assert (found.gone, found.mark.complete) == ("", True)
    lost = dataclasses.replace(one, around=Folder(frozenset({"VM /north/vm/BOSH_VMs/own/vm-2"})))
    found = lost.read(world)
    assert found is not None
    assert found.mark == Mark("north", ID, "a1", complete=False)
    assert "its VM vm-1 is gone" in lost.foresees(world, found)
    machine.done.clear()
    lost.create(world)
    assert "start up --recreate" in machine.done


def test_a_vcenter_that_cannot_be_asked_leaves_the_directors_vm_where_it_was(machine: Machine) -> None:
    class Dark(Folder):
        def look(self, _: Reader) -> frozenset[str]:
            raise Unobservable("vcenter cannot be asked yet")

    world = World(machine, Store(), "a1")
    wish().create(world)
    machine.files[f"{STATE}/state.json"] = OWN
    found = dataclasses.replace(wish(), around=Dark()).read(world)
    assert found is not None
    assert found.mark is not None
    assert found.mark.complete


def test_a_destroy_waits_for_the_bucc_that_is_at_work(machine: Machine) -> None:
    machine.jobs["bucc-north"] = JobState("running")
    Bucc.delete(World(machine, Store(), "d1"), MACHINE, facts())
    assert machine.done[0] == "ended bucc-north"


def test_a_director_with_deployments_is_not_destroyed(machine: Machine) -> None:
    machine.files = {f"{STATE}/state.json": b"{}"}
    with pytest.raises(Refused) as told:
        Bucc.delete(World(machine, Store(), "d1", director=Director("cf", "backup")), MACHINE, facts())
    assert told.value.seen == "backup, cf"
    assert machine.done == []


def test_a_director_that_is_down_does_not_keep_its_own_vm_alive(machine: Machine) -> None:
    store = Store()
    store.held = {bucc.VARS: "{}"}
    machine.files = {f"{STATE}/state.json": OWN}
    Bucc.delete(World(machine, store, "d1"), MACHINE, facts())
    assert "start down" in machine.done


@pytest.mark.parametrize(
    ("around", "left"),
    [
        (Folder(Folder().there | {"VM /north/vm/BOSH_VMs/own/vm-2"}), "VM /north/vm/BOSH_VMs/own/vm-2"),
        (Folder(kept=Folder().kept | {"[shared] BOSH_Disks/disk-2"}), "[shared] BOSH_Disks/disk-2"),
        (Folder(kept=frozenset({"[datastore1] BOSH_Disks: no host shows it"})), "no host shows it"),
        (None, "nobody can tell"),
    ],
)
def test_a_director_that_is_down_is_not_destroyed_while_machines_or_disks_of_its_may_be_there(
    machine: Machine, around: Around | None, left: str
) -> None:
    machine.files = {f"{STATE}/state.json": OWN}
    with pytest.raises(Refused, match="the director is down") as told:
        Bucc.delete(World(machine, Store(), "d1", around=around), MACHINE, facts())
    assert left in told.value.seen
    assert not {"vm-1", "disk-1"} & set(re.findall(r"[a-z]+-\d", told.value.seen))
    assert machine.done == []


def test_a_director_that_does_not_let_paver_in_is_not_taken_for_one_that_is_down(machine: Machine) -> None:
    machine.files = {f"{STATE}/state.json": b"{}"}
    closed = Unobservable("https://10.30.0.10:8443/oauth/token gives admin no token: 401")
    with pytest.raises(Unobservable, match="401"):
        Bucc.delete(
            World(machine, Store(), "d1", director=closed, around=Folder(frozenset())), MACHINE, facts()
        )
    assert machine.done == []


def test_the_state_of_a_bucc_at_work_is_sealed_but_not_written_over(machine: Machine) -> None:
    machine.files = {f"{STATE}/state.json": b"{}", f"{STATE}/creds.yml": b"{}"}
    store = Store()
    with pytest.raises(Interrupted):
        wish().create(World(machine, store, "a1", stops=True))
    assert store.held[bucc.STATE] == "{}"
    assert "write state.json" not in machine.done


def test_a_jumpbox_gets_back_what_it_lacks_of_what_was_sealed_and_never_an_older_state(
    machine: Machine,
) -> None:
    store = Store()
    store.held = {bucc.STATE: '{"of": "before"}', bucc.CREDS: "admin_password: sealed"}
    machine.files = {f"{STATE}/state.json": b'{"of": "now"}'}
    wish().create(World(machine, store, "a1"))
    assert machine.files[f"{STATE}/state.json"] == b'{"of": "now"}'
    assert yaml_text.loads(machine.files[f"{STATE}/creds.yml"]) == {"admin_password": "sealed"}
    assert store.held[bucc.STATE] == '{"of": "now"}'


def test_credentials_that_were_cut_short_are_not_shown(machine: Machine) -> None:
    machine.files = {f"{STATE}/creds.yml": b'admin_password: "hunter2-hunter2'}
    with pytest.raises(PaverError) as refused:
        wish().create(World(machine, Store(), "a1"))
    told = refused.value
    assert "is not what BUCC writes" in told.what
    assert "hunter2" not in "".join((*told.lines(), str(told), str(told.__cause__)))


def test_an_ops_file_that_the_site_file_names_no_more_is_not_applied_again(machine: Machine) -> None:
    operators = f"{STATE.removesuffix('state')}operators"
    world = World(machine, Store(), "a1")
    dataclasses.replace(wish(), operators={"50-a.yml": "a", "60-b.yml": "b"}).create(world)
    assert machine.listdir(operators) == ("50-a.yml", "60-b.yml")
    dataclasses.replace(wish(), operators={"50-a.yml": "a"}).create(world)
    assert machine.listdir(operators) == ("50-a.yml",)


NOW = dt.datetime.now(dt.UTC)
BEGUN = NOW - dt.timedelta(days=400)
ROOT = authority.new_authority("bucc-default-ca", now=BEGUN, days=900, algorithm="rsa-2048")
FORMER = authority.new_authority("bucc-default-ca", now=BEGUN, days=900, algorithm="rsa-2048")


def leaf(issuer: authority.Issued, days: int, *, ago: int = 0) -> dict[str, str]:
    begun = NOW - dt.timedelta(days=ago)
    made = authority.issue(issuer, common_name="10.30.0.10", now=begun, days=days, algorithm="ec")
    key = made.private_key.reveal()
    return {"ca": issuer.certificate, "certificate": made.certificate, "private_key": key}


def own(issuer: authority.Issued) -> dict[str, str]:
    pem = issuer.certificate
    return {"ca": pem, "certificate": pem, "private_key": issuer.private_key.reveal()}


CREDS: dict[str, Any] = {
    "default_ca": own(ROOT),
    "director_ssl": leaf(ROOT, 300),
    "uaa_ssl": leaf(ROOT, 365, ago=345),
    "credhub_tls": leaf(FORMER, 300),
    "admin_password": "hunter2-hunter2",
    "jumpbox_ssh": {"private_key": "x", "public_key": "y"},
}


def test_certificates_that_end_soon_or_that_a_former_authority_issued_are_made_anew_and_nothing_else() -> (
    None
):
    seeds = {"default_ca": own(ROOT), "admin_password": "x"}
    assert set(CREDS) - set(leaves.held(CREDS, seeds, 30)) == {"uaa_ssl", "credhub_tls"}
    assert set(CREDS) - set(leaves.held(CREDS, seeds, 5)) == {"credhub_tls"}


def test_certificates_of_the_director_that_end_soon_are_planned_and_left_to_bucc_to_make_anew(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    world = World(machine, store, "a1")
    wanted = dataclasses.replace(wish(), seeds={"default_ca": own(ROOT)})
    kept = {name: CREDS[name] for name in ("default_ca", "director_ssl")}
    machine.files = {f"{STATE}/creds.yml": yaml_text.dumps(kept).encode()}
    wanted.create(world)
    found = wanted.read(world)
    assert found is not None
    assert found.fresh
    assert not wanted.foresees(world, found)
    assert store.public[bucc.CREDS]["ends"].startswith(f"{NOW + dt.timedelta(days=300):%Y-%m-%d}")
    monkeypatch.setattr(leaves, "now", lambda: NOW + dt.timedelta(days=271))
    found = wanted.read(world)
    assert found is not None
    assert not found.fresh
    assert f"hold until {NOW + dt.timedelta(days=300):%Y-%m-%d}" in wanted.foresees(world, found)
    wanted.update(world, found, frozenset({"fresh"}))
    assert set(yaml_text.loads(machine.files[f"{STATE}/creds.yml"])) == {"default_ca"}
    assert store.public[bucc.CREDS] == {}


def test_short_certificates_are_made_anew_in_their_last_third_whatever_the_site_file_says() -> None:
    creds = {"director_ssl": leaf(ROOT, 90)}
    assert leaves.fresh(leaves.span(creds), 100)
    assert leaves.held(creds, {}, 100) == creds
    creds = {"director_ssl": leaf(ROOT, 90, ago=61)}
    assert not leaves.fresh(leaves.span(creds), 100)
    assert leaves.held(creds, {}, 100) == {}
