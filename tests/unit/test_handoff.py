"""The hand-off: of two starters one wins, and nobody takes another plan's run for its own."""

from __future__ import annotations

import dataclasses
import json
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import paver
from paver.driver import JUMPBOX_ENDPOINT, Endpoint, Paved
from paver.engine.journal import Journal
from paver.engine.plan import Plan
from paver.engine.values import ResourceId, output
from paver.errors import BadInput, Interrupted, PaverError, Refused, Unobservable
from paver.runs import evidence, handoff, outcome, wayback
from paver.runs.apply import Commission
from paver.runs.events import Happening, Tell
from paver.runs.folder import HANDED
from paver.runs.outcome import Ended
from paver.sealed import keys, store
from paver.signing import chain
from paver.transport import job
from paver.transport.job import JobState
from paver.transport.machine import MachineConnector

BASE = "/var/lib/paver/sites/north"
THERE = JobState("running", started=1_795_456_800, argv=("paver", "apply", "--begun-by=alice on desk"))
HOST_KEY = "ssh-ed25519 AAAA"
JUMPBOX = MachineConnector(
    name="jumpbox",
    address="10.20.0.10",
    host_keys=output(ResourceId("vsphere.jumpbox:jumpbox"), "host_keys", str),
)


def plan(**changed: Any) -> Plan:
    base = Plan(
        site="north",
        site_digest="0" * 64,
        paver=paver.__version__,
        driver="memory/1",
        mode="apply",
        phases=(),
        actions=(),
    )
    return dataclasses.replace(base, **changed)


def running(machine: Any) -> Plan | None:
    found = wayback.running(machine, "north")
    return None if found is None else handoff.handed_plan(machine, found)


class Machine:
    """A jumpbox: its files, and its one job of the site."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: dict[str, str] = {}
        self.job = JobState("absent")
        self.meanwhile: Callable[[], None] = lambda: None
        self.before_replacing: Callable[[], None] = lambda: None
        self.at_the_end: Callable[[], None] = lambda: None
        self.breaks: tuple[str, ...] = ()

    def probe(self, _: object) -> Any:
        return SimpleNamespace(ok=True, text=f"paver {paver.__version__}")

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: str, data: bytes, *_: object) -> None:
        self.files[path] = data

    def replace_file(self, path: str, data: bytes, *_: object, was: bytes | None, lock: str) -> None:
        self.before_replacing()
        assert lock == f"{path}.lock"
        if self.files.get(path) != was:
            raise Refused("somebody has written it")
        self.files[path] = data

    def mkdir(self, path: str, _: int, owner: str) -> None:
        self.folders[path] = owner

    def remove(self, path: str) -> None:
        self.files.pop(path, None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    def start(_: object, __: str, argv: list[str], **___: object) -> Any:
        made.meanwhile()
        if made.job.state != "running":
            made.job = JobState("running", argv=tuple(argv), began=True)

        def follow(*_: object, on_break: Callable[[str], None], **__: object) -> JobState:
            for why in made.breaks:
                on_break(why)
            made.at_the_end()
            return made.job

        return SimpleNamespace(state=made.job, follow=follow)

    monkeypatch.setattr(job, "state", lambda *_: made.job)
    monkeypatch.setattr(job, "start_or_attach", start)
    return made


def carry(
    machine: Machine,
    folder: Path,
    given: Plan,
    small_files: tuple[str, ...] = (),
    allow: tuple[str, ...] = (),
    tell: Tell = lambda _: None,
) -> None:
    """Hands `given` over and stops following."""
    sealed = folder / "north.sealed"
    connection = SimpleNamespace(writer=lambda _: machine)
    session: Any = SimpleNamespace(
        paved=Paved(jumpbox=Endpoint(JUMPBOX_ENDPOINT), connectors={JUMPBOX_ENDPOINT: JUMPBOX}),
        board=SimpleNamespace(for_reading=lambda _: HOST_KEY),
        connections=SimpleNamespace(get=lambda _: connection),
        vault=SimpleNamespace(path=sealed, forget=lambda: None),
        site=SimpleNamespace(
            name="north",
            driver="vsphere",
            source=SimpleNamespace(text="site"),
            small_files=small_files,
            path=lambda text: folder / text,
        ),
    )
    path = folder / "site.key"
    source = keys.KeyFile(path) if path.exists() else keys.new_key_file(path)
    if not sealed.exists():
        store.create(sealed, source)
    journal = Journal(folder / f"{len(list(folder.iterdir()))}.jsonl")
    commission = Commission(plan=given, folder=folder, by="bob on desk", approval="by --yes", allow=allow)
    over = handoff.HandOff(session, commission, folder, threading.Event(), source)
    over.carry_on(frozenset(), journal, tell)


def test_a_line_that_breaks_while_a_run_is_followed_is_told(machine: Machine, tmp_path: Path) -> None:
    told: list[Happening] = []
    machine.breaks = ("nothing was heard", "")
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan(), tell=told.append)
    assert [(event.what, event.station, event.text) for event in told] == [
        ("unheard", "jumpbox", "nothing was heard"),
        ("heard", "jumpbox", ""),
    ]


def test_no_file_waits_for_another_one_to_be_written_over_there(machine: Machine, tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def write(path: str, data: bytes, *_: object) -> None:
        together.wait(60)
        machine.files[path] = data

    machine.write_file = write  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan())
    assert len(machine.files) == 4


def test_the_run_over_there_may_write_wherever_its_files_lie(machine: Machine, tmp_path: Path) -> None:
    # It does not run as root, and what is only made on the way to another folder belongs to root.
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots/corp.pem").write_text("pem")
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan(), ("roots/corp.pem",))
    wanted = {str(PurePosixPath(path).parent) for path in machine.files}
    assert BASE in wanted
    assert {path: machine.folders.get(path) for path in wanted} == dict.fromkeys(wanted, "paver:paver")


def test_the_same_plan_attaches_to_its_run(machine: Machine, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(Interrupted, match="goes on"):
            carry(machine, tmp_path, plan())
    assert running(machine) == plan()


def test_another_plan_is_refused_while_one_runs(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan())
    (tmp_path / HANDED).unlink()
    with pytest.raises(Refused, match="another plan") as refused:
        carry(machine, tmp_path, plan(mode="destroy"))
    assert refused.value.seen.startswith("begun by bob on desk, ")
    assert not (tmp_path / HANDED).exists(), "it is no run of ours that a way leads back to"


def test_a_jumpbox_with_another_paver_gets_nothing(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "probe", lambda _: SimpleNamespace(ok=True, text="paver 0.0.1"))
    with pytest.raises(Refused, match="another paver"):
        carry(machine, tmp_path, plan())
    assert machine.files == {}


def test_of_two_starters_at_once_the_later_one_neither_swaps_the_plan_nor_takes_the_run_for_its_own(
    machine: Machine, tmp_path: Path
) -> None:
    first = plan()

    def win() -> None:
        machine.meanwhile = lambda: None
        with pytest.raises(Interrupted):
            carry(machine, tmp_path, first)

    machine.meanwhile = win
    with pytest.raises(Refused, match="another plan"):
        carry(machine, tmp_path, plan(allow=("*",)))
    assert running(machine) == first


def test_what_somebody_seals_over_there_while_a_plan_is_handed_over_is_not_overwritten(
    machine: Machine, tmp_path: Path
) -> None:
    """An operator's own run on the jumpbox, or `paver secrets set` there, is no job of the site's."""
    there = f"{BASE}/site.sealed"
    machine.before_replacing = lambda: machine.files.update({there: b"sealed meanwhile"})
    with pytest.raises(Refused):
        carry(machine, tmp_path, plan())
    assert machine.files[there] == b"sealed meanwhile"
    assert machine.job.state != "running"


def test_what_a_run_that_ended_unseen_sealed_over_there_is_taken_in_before_the_next_one_is_handed_over(
    machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan())
    there, key = tmp_path / "there.sealed", keys.KeyFile(tmp_path / "site.key")
    there.write_bytes(machine.files[f"{BASE}/site.sealed"])
    with store.writer(there, key, "the run on the jumpbox") as writer:
        writer.put("made-there", "a value", made_by="test")
    machine.files[f"{BASE}/site.sealed"] = there.read_bytes()
    machine.job = JobState("died")
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan())
    assert store.unlock(tmp_path / "north.sealed", key).secret("made-there").reveal() == "a value"
    assert machine.files[f"{BASE}/site.sealed"] == there.read_bytes()


def test_the_way_back_is_noted_as_long_as_a_run_over_there_was_not_seen_to_its_end(
    machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan())
    assert json.loads((tmp_path / HANDED).read_bytes())["host_keys"] == HOST_KEY
    ended(tmp_path, machine, plan(), cut=0)
    carry(machine, tmp_path, plan())
    assert not (tmp_path / HANDED).exists()


def test_an_earlier_runs_outcome_is_not_taken_for_that_of_a_run_that_died(
    machine: Machine, tmp_path: Path
) -> None:
    ended(tmp_path, machine, plan(), cut=0)
    carry(machine, tmp_path, plan())

    def die() -> None:
        machine.job = JobState("died")

    machine.at_the_end = die
    with pytest.raises(PaverError, match="without an outcome"):
        carry(machine, tmp_path, plan())


@pytest.mark.parametrize("name", ["../ca.pem", "/etc/ssl/ca.pem", "roots/../../ca.pem"])
def test_a_small_file_that_lies_outside_of_the_site_files_folder_goes_nowhere(
    machine: Machine, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInput, match="cannot go to the jumpbox"):
        carry(machine, tmp_path, plan(), (name,))
    assert machine.files == {}


@pytest.mark.parametrize("name", ["site.yml", "./site.sealed", "handoff/plan.json", ".paver/lock"])
def test_a_small_file_never_takes_the_place_of_what_paver_hands_over(
    machine: Machine, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInput, match="cannot go to the jumpbox") as refused:
        carry(machine, tmp_path, plan(), (name,))
    assert "is paver's own" in refused.value.why
    assert machine.files == {}


def test_what_the_command_allows_it_allows_over_there(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        carry(machine, tmp_path, plan(), allow=("bucc.*", "trust.*"))
    assert machine.job.argv[-2:] == ("--allow=bucc.*", "--allow=trust.*")


@pytest.mark.parametrize("change", [{"mode": "destroy"}, {"site_digest": "1" * 64}, {"allow": ("*",)}])
def test_the_same_command_goes_on_with_the_run_that_is_under_way_and_another_one_does_not(
    change: dict[str, Any],
) -> None:
    under_way = plan()
    handoff.check_same(under_way, THERE, plan(phases=("later",)), None)
    with pytest.raises(Refused, match="another plan"):
        handoff.check_same(under_way, THERE, plan(**change), None)


def test_an_approved_plan_does_not_go_on_with_the_run_of_another_one() -> None:
    handoff.check_same(plan(), THERE, plan(), plan())
    with pytest.raises(Refused, match="another plan") as refused:
        handoff.check_same(plan(), THERE, plan(), plan(phases=("later",)))
    assert refused.value.seen == "begun by alice on desk, 2026-11-23 18:00:00 UTC"


def test_a_jumpbox_that_is_not_there_yet_carries_nothing_out() -> None:
    def absent(_: str) -> Any:
        raise PaverError("not there")

    session: Any = SimpleNamespace(
        station="outside",
        paved=SimpleNamespace(jumpbox=SimpleNamespace(name="machine:jumpbox")),
        connections=SimpleNamespace(get=absent),
    )
    assert handoff.reachable(session) is None


def ended(
    folder: Path,
    machine: Machine,
    given: Plan,
    cut: int,
    acted: Plan | None = None,
    *,
    shown: Mapping[str, str] = MappingProxyType({}),
    told: Ended | None = None,
) -> None:
    """Lets the run of `given` end well.

    Args:
        folder: for its files.
        machine: the jumpbox.
        given: the plan that was handed over.
        cut: how many lines of its journal's end are not brought back.
        acted: the plan that was carried out in truth.
        shown: what its journal shows, the event by the resource.
        told: what its outcome tells; its head is put in.
    """
    (folder / "there.jsonl").unlink(missing_ok=True)
    with Journal(folder / "there.jsonl") as journal:
        journal.write("opened", {"plan": (acted or given).digest})
        for resource, event in shown.items():
            journal.write(event, {"action": "a", "resource": resource})
        journal.write("closed")
    head = f"{journal.head.lines}:{journal.head.digest}"
    lines = (folder / "there.jsonl").read_bytes().splitlines(keepends=True)
    machine.files["/there.jsonl"] = b"".join(lines[: len(lines) - cut])
    ending = dataclasses.replace(told or Ended(frozenset(), frozenset(), (), (), ""), head=head)
    outcome.write(folder, ending, Path("/there.jsonl"))

    def end() -> None:
        machine.job = JobState("ended", 0)
        machine.files[f"{BASE}/handoff/{given.digest}/outcome.json"] = (folder / "outcome.json").read_bytes()

    machine.at_the_end = end


def test_the_jumpboxs_journal_is_held_to_its_head(machine: Machine, tmp_path: Path) -> None:
    ended(tmp_path, machine, plan(), cut=0)
    carry(machine, tmp_path, plan())
    assert (tmp_path / "journal-jumpbox.jsonl").read_bytes() == machine.files["/there.jsonl"]


def test_where_paver_failed_over_there_is_brought_back_also_where_the_journal_does_not_hold(
    machine: Machine, tmp_path: Path
) -> None:
    ended(tmp_path, machine, plan(), cut=1)
    machine.files["/faults.txt"] = b"thing:a: KeyError\n  line 7, in create\n"
    with pytest.raises(chain.ChainError):
        carry(machine, tmp_path, plan())
    assert (tmp_path / "faults-jumpbox.txt").read_bytes() == machine.files["/faults.txt"]


def test_a_journal_of_another_plan_than_the_one_that_was_handed_over_is_told_and_kept(
    machine: Machine, tmp_path: Path
) -> None:
    ended(tmp_path, machine, plan(), cut=0, acted=plan(allow=("*",)))
    with pytest.raises(PaverError, match="journal is of another plan"):
        carry(machine, tmp_path, plan())
    assert (tmp_path / "journal-jumpbox.jsonl").read_bytes() == machine.files["/there.jsonl"]


def done(*ids: str, acted: tuple[str, ...] = ()) -> Ended:
    return Ended(frozenset(map(ResourceId, ids)), frozenset(map(ResourceId, acted)), (), (), "")


def test_what_was_done_over_there_is_told_as_the_journal_shows_it(machine: Machine, tmp_path: Path) -> None:
    shown = {"box:a": "done", "box:b": "skipped"}
    ended(tmp_path, machine, plan(), cut=0, shown=shown, told=done("box:a", "box:b", acted=("box:a",)))
    carry(machine, tmp_path, plan())


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ({"box:a": "done"}, done("box:a", "box:b")),
        ({"box:a": "failed"}, done("box:a")),
        ({"box:a": "skipped"}, done("box:a", acted=("box:a",))),
    ],
)
def test_an_outcome_that_tells_more_than_its_journal_shows_is_not_believed(
    machine: Machine, tmp_path: Path, shown: dict[str, str], told: Ended
) -> None:
    ended(tmp_path, machine, plan(), cut=0, shown=shown, told=told)
    with pytest.raises(PaverError, match="tells more than its journal shows"):
        carry(machine, tmp_path, plan())
    assert (tmp_path / "journal-jumpbox.jsonl").read_bytes() == machine.files["/there.jsonl"]


@pytest.mark.parametrize("change", [{"done": [1]}, {"head": ""}, {"head": "x:y"}, {"journal": None}])
def test_an_outcome_that_is_none_of_pavers_is_told_and_the_way_back_stays(
    machine: Machine, tmp_path: Path, change: dict[str, Any]
) -> None:
    ended(tmp_path, machine, plan(), cut=0)
    path, end = f"{BASE}/handoff/{plan().digest}/outcome.json", machine.at_the_end

    def changed() -> None:
        end()
        machine.files[path] = json.dumps(json.loads(machine.files[path]) | change).encode()

    machine.at_the_end = changed
    with pytest.raises(PaverError, match="the outcome of the run on the jumpbox"):
        carry(machine, tmp_path, plan())
    assert (tmp_path / HANDED).exists()


def test_the_way_back_is_known_until_the_journal_is_here(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(tmp_path, machine, plan(), cut=0)

    def read(path: str) -> bytes | None:
        if path == "/there.jsonl":
            raise Unobservable("the line broke")
        return machine.files.get(path)

    monkeypatch.setattr(machine, "read_file", read)
    with pytest.raises(Unobservable):
        carry(machine, tmp_path, plan())
    assert (tmp_path / HANDED).exists()


def test_a_second_hand_off_of_one_run_leaves_the_firsts_journal(machine: Machine, tmp_path: Path) -> None:
    ended(tmp_path, machine, plan(), cut=0)
    carry(machine, tmp_path, plan())
    first = machine.files["/there.jsonl"]
    ended(tmp_path, machine, plan(), cut=0, shown={"box:a": "done"})
    carry(machine, tmp_path, plan())
    names = ("journal-jumpbox.jsonl", "journal-jumpbox-2.jsonl")
    assert [(tmp_path / name).read_bytes() for name in names] == [first, machine.files["/there.jsonl"]]
    assert stat.S_IMODE((tmp_path / names[0]).stat().st_mode) == 0o600
    assert [name for name in evidence.evidence(tmp_path).heads if name in names] == [*names]


def test_a_journal_that_was_cut_on_the_jumpbox_is_refused(machine: Machine, tmp_path: Path) -> None:
    ended(tmp_path, machine, plan(), cut=1)
    with pytest.raises(chain.ChainError):
        carry(machine, tmp_path, plan())


@pytest.mark.parametrize("schema", ["paver.outcome/99", None])
def test_an_outcome_of_another_version_is_not_read(schema: str | None) -> None:
    with pytest.raises(PaverError) as caught:
        outcome.loads(json.dumps({"schema": schema}).encode())
    assert "paver.outcome/1" in caught.value.seen
