"""What stands on the director, beside it and on the jumpbox is known to the next plan wherever a run was killed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Resource, Unobservable, resource_id
from paver.foundation import places, record, yaml_text
from paver.foundation.bucc.artefact import TREES, BuccArtefact
from paver.foundation.concourse.team import Pipeline, Team
from paver.foundation.director import ledger
from paver.foundation.director.configs import Config
from paver.foundation.director.deployment import Deployment
from paver.foundation.director.uploads import Release, Stemcell
from paver.foundation.handover.contract import Contract, path_of
from paver.foundation.services_phase import SMOKE
from paver.lab.standins import tarballs
from paver.lab.standins.httpd import Reply
from paver.runs.workbench import pending
from tests.support.director import NoCpi, director
from tests.support.killing import Files, Moment, Site, http
from tests.support.standin import Api
from tests.support.waiting import until
from tests.unit.test_standin_concourse import concourse, login

BOSH, CONCOURSE = places.director(), places.concourse()
# Nobody brings these into being here: they are asked from the beginning.
AT, BESIDE, JUMPBOX = (dataclasses.replace(at, provider=None) for at in (BOSH, CONCOURSE, record.jumpbox()))
KINDS = (
    (Stemcell, AT),
    (Release, AT),
    (Config, AT),
    (Deployment, AT),
    (Team, BESIDE),
    (Pipeline, BESIDE),
    (Contract, JUMPBOX),
)
WISHED = tuple(kind.kind for kind, _ in KINDS)
SUBNET = {"range": "10.30.0.0/24", "gateway": "10.30.0.1"}
CLOUD: dict[str, Any] = {
    "networks": [{"name": "bosh", "subnets": [SUBNET]}],
    "vm_types": [{"name": "small"}],
    "compilation": {"workers": 1, "network": "bosh"},
}
UPDATE = {"canaries": 1, "max_in_flight": 1, "canary_watch_time": 1000, "update_watch_time": 1000}
GROUP: dict[str, Any] = {
    "name": "registry",
    "instances": 1,
    "vm_type": "small",
    "stemcell": "default",
    "networks": [{"name": "bosh"}],
    "jobs": [],
}
HELD = {"name": "noble", "version": "1", "os": "ubuntu-noble", "cid": "sc-0"}


class Room:
    """A director with a cloud config, a Concourse, a jumpbox, and the engine on them."""

    def __init__(self, folder: Path, cpi: NoCpi | None = None) -> None:
        self.moment = Moment()
        self.bosh, self._state = director(folder / "director", cpi)
        self.bosh.ok("POST", "/configs", {"type": "cloud", "name": "bosh", "content": json.dumps(CLOUD)})
        with self._state.changing() as data:
            data["stemcells"].append(HELD)
        self._beside = Api(concourse(folder).routes())
        self._beside.authorization = login(self._beside, "admin", "secret")
        self.jumpbox = Files(self.moment)
        connectors = {
            AT.name: http("director", self.bosh, self.moment),
            BESIDE.name: http("concourse", self._beside, self.moment),
            JUMPBOX.name: self.jumpbox.connection(),
        }
        self.site = Site(folder, connectors, (*KINDS, (BuccArtefact, JUMPBOX)), self.moment)

    def stands(self) -> dict[str, Any]:
        """Returns all that stands there, paver's own ledger and records included."""
        configs = self.bosh.ok("GET", "/configs?latest=true")
        return {
            "configs": {(one["type"], one["name"]): one["content"] for one in configs},
            "deployments": [one["name"] for one in self.bosh.ok("GET", "/deployments")],
            "releases": [one["name"] for one in self.bosh.ok("GET", "/releases")],
            "stemcells": [one["name"] for one in self.bosh.ok("GET", "/stemcells")],
            "teams": [one["name"] for one in self._beside.ok("GET", "/api/v1/teams")],
            "pipelines": [one["name"] for one in self._beside.ok("GET", "/api/v1/pipelines")],
            "files": dict(self.jumpbox.files),
        }

    def tasks(self, description: str) -> int:
        """Returns how many tasks of that description the director was asked for."""
        found = self.bosh.ok("GET", "/tasks?verbose=2")
        return sum(one["description"].startswith(description) for one in found)


def wishes(folder: Path) -> dict[str, Resource[Any]]:
    release = tarballs.Release("minio", "1", (tarballs.Job("server", {}, {}, ()),), ())
    stemcell = tarballs.Stemcell("jammy", "2", "ubuntu-jammy", b"image", {"infrastructure": "vsphere"})
    (folder / "minio.tgz").write_bytes(tarballs.release_tarball(release))
    (folder / "jammy.tgz").write_bytes(tarballs.stemcell_tarball(stemcell))
    made: tuple[Resource[Any], ...] = (
        Deployment(
            id=resource_id(Deployment.kind, "registry"),
            phase="services",
            at=AT,
            name="registry",
            manifest={
                "name": "registry",
                "releases": [],
                "stemcells": [{"alias": "default", "os": "ubuntu-noble", "version": "1"}],
                "update": UPDATE,
                "instance_groups": [GROUP],
            },
            versions={},
        ),
        Config(
            id=resource_id(Config.kind, "cloud/default"),
            phase="services",
            at=AT,
            type_="cloud",
            name="default",
            document={"vm_types": [{"name": "large"}]},
        ),
        Release(
            id=resource_id(Release.kind, "minio"),
            phase="services",
            at=AT,
            name="minio",
            version="1",
            file=str(folder / "minio.tgz"),
        ),
        Stemcell(
            id=resource_id(Stemcell.kind, "default"),
            phase="services",
            at=AT,
            name="jammy",
            version="2",
            file=str(folder / "jammy.tgz"),
        ),
        Team(
            id=resource_id(Team.kind, "platform"),
            phase="services",
            at=BESIDE,
            also=(AT,),
            name="platform",
            owners=frozenset({"local:admin"}),
        ),
        Pipeline(
            id=resource_id(Pipeline.kind, "main/smoke"),
            phase="services",
            at=BESIDE,
            also=(AT,),
            team="main",
            name="smoke",
            config=yaml_text.loads(SMOKE),
            paused=True,
        ),
        Contract(
            id=resource_id(Contract.kind, "contract"),
            phase="services",
            at=JUMPBOX,
            document={"schema": "paver.contract/1"},
        ),
    )
    return {one.kind: one for one in made}


def killed_everywhere(
    tmp_path: Path,
    what: str | Resource[Any],
    *,
    lead: Callable[[Room, Resource[Any]], bool],
    follow: Callable[[Room, Resource[Any]], None],
) -> None:
    """Has `lead` die before and after each of its writes, `follow` it, and finds the room as it was at the start."""
    for after in (False, True):
        for moment in itertools.count():
            folder = tmp_path / f"{moment}-{after}"
            folder.mkdir()
            room, wish = Room(folder), wishes(folder)[what] if isinstance(what, str) else what
            start = room.stands()
            room.moment.arm(moment, after=after)
            ended = lead(room, wish)
            room.moment.arm(None, after=False)
            follow(room, wish)
            assert room.stands() == start, f"killed {'after' if after else 'before'} write {moment}"
            if ended:
                assert moment, "it writes nothing at all"
                break


def made(room: Room, wish: Resource[Any], moment: Moment) -> None:
    """Makes the wish, undisturbed, and sets the moment again."""
    at, after = moment.at, moment.after
    room.site.whole(wish)
    moment.arm(at, after=after)


@pytest.mark.parametrize("kind", WISHED)
def test_a_deletion_that_was_killed_at_any_write_is_ended_by_the_next_plan(kind: str, tmp_path: Path) -> None:
    def lead(room: Room, wish: Resource[Any]) -> bool:
        made(room, wish, room.moment)
        return room.site.act(room.site.plan(wish, mode="destroy"), wish)

    def follow(room: Room, wish: Resource[Any]) -> None:
        room.site.whole(wish, mode="destroy")

    killed_everywhere(tmp_path, kind, lead=lead, follow=follow)


@pytest.mark.parametrize("kind", WISHED)
def test_a_deletion_that_was_killed_at_any_write_is_ended_by_the_very_same_plan(
    kind: str, tmp_path: Path
) -> None:
    plans = []

    def lead(room: Room, wish: Resource[Any]) -> bool:
        made(room, wish, room.moment)
        plans.append(room.site.plan(wish, mode="destroy"))
        return room.site.act(plans[-1], wish)

    def follow(room: Room, wish: Resource[Any]) -> None:
        assert room.site.act(plans[-1], wish)

    killed_everywhere(tmp_path, kind, lead=lead, follow=follow)


@pytest.mark.parametrize("kind", WISHED)
def test_the_deletion_of_what_nobody_wishes_for_is_ended_by_the_next_plan_wherever_it_was_killed(
    kind: str, tmp_path: Path
) -> None:
    def lead(room: Room, wish: Resource[Any]) -> bool:
        made(room, wish, room.moment)
        return room.site.act(room.site.plan())

    def follow(room: Room, wish: Resource[Any]) -> None:
        del wish
        room.site.whole()
        assert pending(room.site.plan()) == {}

    killed_everywhere(tmp_path, kind, lead=lead, follow=follow)


@pytest.mark.parametrize("mode", ["destroy", "apply"])
@pytest.mark.parametrize("kind", WISHED)
def test_what_a_killed_run_began_to_make_leaves_nothing_once_it_is_to_go(
    kind: str, mode: str, tmp_path: Path
) -> None:
    """Destroyed, or out of the site file."""

    def lead(room: Room, wish: Resource[Any]) -> bool:
        return room.site.act(room.site.plan(wish), wish)

    def follow(room: Room, wish: Resource[Any]) -> None:
        room.site.whole(*([wish] if mode == "destroy" else []), mode=mode)

    killed_everywhere(tmp_path, kind, lead=lead, follow=follow)


@pytest.mark.parametrize("kind", WISHED)
def test_what_was_killed_while_it_went_is_made_again_where_it_is_wished_for_again(
    kind: str, tmp_path: Path
) -> None:
    def lead(room: Room, wish: Resource[Any]) -> bool:
        made(room, wish, room.moment)
        return room.site.act(room.site.plan(wish, mode="destroy"), wish)

    def follow(room: Room, wish: Resource[Any]) -> None:
        room.site.whole(wish)
        assert pending(room.site.plan(wish)) == {}
        room.site.whole(wish, mode="destroy")

    killed_everywhere(tmp_path, kind, lead=lead, follow=follow)


class SlowCpi(NoCpi):
    """Deletes nothing before it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def call(self, task: Any, method: str, *arguments: Any) -> Any:
        if method == "delete_stemcell":
            assert self.may.wait(60)
        return super().call(task, method, *arguments)


def test_a_stemcell_whose_deletion_goes_on_still_does_not_count_as_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpi = SlowCpi()
    room, wish = Room(tmp_path, cpi), wishes(tmp_path)["bosh.stemcell"]
    room.site.whole(wish)
    planned = room.site.plan(wish, mode="destroy")
    # Begun in the ledger first; then the director is asked.
    room.moment.arm(1, after=True)
    assert not room.site.act(planned, wish)
    call, place = room.bosh.call, f"/tasks/{room.bosh.ok('GET', '/tasks?verbose=2')[0]['id']}"

    def watched(verb: str, path: str, content: Any = None, **headers: str) -> Reply:
        if path == place:
            cpi.may.set()
        return call(verb, path, content, **headers)

    monkeypatch.setattr(room.bosh, "call", watched)
    room.site.whole(wish)
    # An apply that followed no deletion is at its end, and it goes now.
    cpi.may.set()
    until(lambda: call("GET", place).body["state"] == "done", "the deletion is at its end")
    assert pending(room.site.plan(wish)) == {}
    assert "jammy" in room.stands()["stemcells"]


@pytest.mark.parametrize("kind", ["bosh.deployment", "bosh.release", "bosh.stemcell"])
def test_a_deletion_that_was_asked_for_is_followed_and_not_asked_for_twice(kind: str, tmp_path: Path) -> None:
    room, wish = Room(tmp_path), wishes(tmp_path)[kind]
    room.site.whole(wish)
    planned = room.site.plan(wish, mode="destroy")
    # Begun in the ledger first; then the director is asked.
    room.moment.arm(1, after=True)
    assert not room.site.act(planned, wish)
    room.site.whole(wish, mode="destroy")
    assert room.tasks("delete ") == 1


def test_the_ledger_is_the_last_that_goes(tmp_path: Path) -> None:
    room, wish = Room(tmp_path), wishes(tmp_path)["bosh.deployment"]
    start = room.stands()
    room.site.whole(wish)
    assert (ledger.TYPE, "test") in room.stands()["configs"]
    room.site.whole(wish, mode="destroy")
    assert room.stands() == start


@pytest.mark.parametrize("damaged", [b"", b'{"schema":', b"[]", b"\xff"])
def test_a_damaged_contract_is_planned_to_be_written_anew_and_goes_with_the_site(
    tmp_path: Path, damaged: bytes
) -> None:
    room, wish = Room(tmp_path), wishes(tmp_path)[Contract.kind]
    start = room.stands()
    room.site.whole(wish)
    path = str(path_of("test"))
    whole = room.jumpbox.files[path]
    room.jumpbox.files[path] = damaged
    assert pending(room.site.plan(wish)) == {wish.id: "update"}
    room.site.whole(wish)
    assert room.jumpbox.files[path] == whole
    room.jumpbox.files[path] = damaged
    room.site.whole(wish, mode="destroy")
    assert room.stands() == start


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"bucc": {"tree": "../.."}}'])
def test_of_an_artefact_whose_manifest_was_changed_where_it_was_unpacked_it_is_told_how_that_is_mended(
    tmp_path: Path, damaged: bytes
) -> None:
    room = Room(tmp_path)
    wish = BuccArtefact(
        id=places.ARTEFACT, phase="services", at=JUMPBOX, sha256="d" * 64, source="/var/lib/paver/bucc.tar"
    )
    mark = {"action": "a" * 64, "complete": True, "id": wish.id, "site": "test"}
    kept = {"mark": mark, "schema": record.SCHEMA, "wish": {"sha256": wish.sha256, "source": wish.source}}
    room.jumpbox.files[str(record.RECORDS / "test" / "bucc.artefact" / "bucc.json")] = json.dumps(
        kept
    ).encode()
    room.jumpbox.files[f"{TREES}/{'d' * 64}/manifest.json"] = damaged
    with pytest.raises(
        Unobservable, match=r"manifest\.json on the jumpbox is not what was unpacked there"
    ) as told:
        room.site.plan(wish)
    assert told.value.do.startswith(f"remove {TREES}/{'d' * 64}: paver unpacks the artefact anew")


@pytest.mark.parametrize("wished", [True, False])
def test_half_a_tree_of_an_artefact_is_known_to_the_next_plan_and_goes_whole(
    wished: bool, tmp_path: Path
) -> None:
    wish = BuccArtefact(
        id=places.ARTEFACT, phase="services", at=JUMPBOX, sha256="d" * 64, source="/var/lib/paver/bucc.tar"
    )
    manifest = {"bucc": {"tree": "bucc"}, "stemcell": dict.fromkeys(("name", "os", "version", "file"), "x")}
    unpacked = {
        f"{TREES}/{'d' * 64}/manifest.json": json.dumps({**manifest, "releases": {}}).encode(),
        f"{TREES}/{'d' * 64}/bucc/bin/bucc": b"",
        f"{TREES}/{'d' * 64}/stemcell.tgz": b"",
    }
    recorded = {"sha256": wish.sha256, "source": wish.source}

    def lead(room: Room, wish: Resource[Any]) -> bool:
        mark = {"action": "a" * 64, "complete": True, "id": wish.id, "site": "test"}
        document = {"mark": mark, "schema": record.SCHEMA, "wish": recorded}
        path = str(record.RECORDS / "test" / "bucc.artefact" / "bucc.json")
        room.jumpbox.files.update(unpacked | {path: json.dumps(document).encode()})
        wishes = (wish,) if wished else ()
        return room.site.act(room.site.plan(*wishes, mode="destroy" if wished else "apply"), *wishes)

    def follow(room: Room, wish: Resource[Any]) -> None:
        room.site.whole(*((wish,) if wished else ()), mode="destroy" if wished else "apply")

    killed_everywhere(tmp_path, wish, lead=lead, follow=follow)
