"""What the documentation gives an auditor to hold a run to its plan: it passes what is true, and names what is not."""

from __future__ import annotations

import dataclasses
import itertools
import json
import runpy
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.driver import Opaque
from paver.engine import plan as plans
from paver.errors import PaverError, Unobservable
from paver.machine import jumpbox
from paver.runs import handoff
from paver.signing import chain
from paver.transport.job import JobState
from tests.support.command import Command, command
from tests.support.memory import killing, memory

SCRIPT = Path(__file__).parents[2] / "docs" / "howto" / "check_run.py"
HERE, THERE = "journal.jsonl", "journal-jumpbox.jsonl"
Lines = list[dict[str, Any]]
Check = Callable[..., tuple[object, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Returns what runs the script: its code or its last words, and what it printed."""

    def run(*argv: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, argv)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return command(tmp_path, capsys, monkeypatch)


@pytest.fixture
def two(site: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Returns a site whose boxes are made on the jumpbox: the same command goes on there, with a state of its own."""
    wish = memory.wish
    outside = frozenset({"shelves"})
    monkeypatch.setattr(memory, "wish", lambda values: dataclasses.replace(wish(values), outside=outside))

    def carry_on(self: Any, done: Any, journal: Any, tell: Any) -> Any:
        del tell
        plan = self.commission.plan
        there = site.folder / "there" / plan.digest
        there.mkdir(parents=True, exist_ok=True)
        (there / "plan.json").write_bytes(plan.dumps())
        (there / "done.json").write_text(json.dumps(sorted(done)))
        base = jumpbox.SITES / "lab-north"
        handed = base / "handoff" / plan.digest
        argv, _ = self._command(base, handed)
        for call, target in (
            *(("file:mkdir", path) for path in (base, handed.parent, handed)),
            ("file:write", base / "site.sealed"),
            ("file:remove", handed / "outcome.json"),
            *(
                ("file:write", path)
                for path in (base / "site.yml", handed / "plan.json", handed / "done.json")
            ),
            ("job:start", f"apply-lab-north: {' '.join(argv)}"),
        ):
            record = {"action": f"hand-off {plan.digest}", "call": call, "endpoint": "machine:jumpbox"}
            journal.write("call", {**record, "target": f"jumpbox: {target}", "detail": {}})
        with monkeypatch.context() as patch:
            patch.setenv("PAVER_STATE", str(site.folder / "state-there"))
            allow = [word for word in argv if word.startswith("--allow")]
            rest = (
                "--station",
                "jumpbox",
                "--handed-off",
                str(there),
                "--yes",
                f"--begun-by={self.commission.by}",
            )
            site.run("apply", str(there / "plan.json"), *rest, *allow)
        machine = SimpleNamespace(
            read_file=lambda path: Path(path).read_bytes() if Path(path).exists() else None
        )
        return self._bring_back(machine, PurePosixPath(there), JobState("ended", 0))

    monkeypatch.setattr(handoff.HandOff, "carry_on", carry_on)
    return site


def applied(site: Command, *argv: str, code: int = 0) -> Path:
    """Returns the folder of a run that ended with `code`."""
    before = set(site.runs)
    ran = site.run(*argv)
    assert ran.code == code, ran
    (run,) = set(site.runs) - before
    return run


def plain(site: Command) -> Path:
    site.run("plan", "--out", "site.plan")
    return applied(site, "apply", "site.plan")


def failing(site: Command) -> Path:
    """Returns a run in which an act failed, and one that found drift."""
    site.fine("apply", "--yes")
    site.write(shelves="{left: {one: 5, two: 6}}", dials="{loud: 4, low: 1}")
    site.run("plan", "--out", "site.plan")

    def fails(*_: Any) -> None:
        raise PaverError("the shelf broke")

    with site.patch.context() as patch:
        patch.setattr(memory.Box, "update", fails)
        return applied(site, "apply", "site.plan", code=1)


def drifting(site: Command) -> Path:
    site.fine("apply", "--yes")
    site.write(shelves="{left: {one: 5, two: 6}}")
    site.run("plan", "--out", "site.plan")
    site.put("left", {name: {**thing, "size": 9} for name, thing in site.things("left").items()})
    return applied(site, "apply", "site.plan", code=4)


def resumed(site: Command) -> Path:
    """Returns the run that ended what another one began, which was killed in the midst of a write."""
    site.run("plan", "--out", "site.plan")
    with site.patch.context() as patch:
        patch.setattr(memory.Room, "write", killing(2))
        applied(site, "apply", "site.plan", code=1)
    return applied(site, "apply", "site.plan")


def anew(site: Command) -> Path:
    site.fine("apply", "--yes")
    site.write(colour="red")
    return applied(site, "apply", "--yes")


def destroyed(site: Command) -> Path:
    site.fine("apply", "--yes")
    return applied(site, "destroy", "--yes", "--allow", "*")


RUNS: dict[str, tuple[Callable[[Command], Path], int]] = {
    "plain": (plain, 0),
    "failing": (failing, 2),
    "drifting": (drifting, 2),
    "resumed": (resumed, 0),
    "made anew": (anew, 0),
    "destroyed": (destroyed, 0),
}


def rewrite(run: Path, change: Callable[[Lines], None], name: str = HERE) -> None:
    """Forges a journal whose chain holds again; one of the jumpbox's with its head in the other one."""

    def chained(journal: Path, change: Callable[[Lines], None]) -> str:
        found: Lines = [json.loads(line) for line in journal.read_text().splitlines()]
        change(found)
        head, written = chain.Head(), b""
        for record in found:
            record.pop("prev", None)
            line, head = chain.link(record, head)
            written += line
        journal.write_bytes(written)
        return f"{head.lines}:{head.digest}"

    ended = chained(run / name, change)
    if name == THERE:
        chained(run / HERE, lambda found: of(found, "returned").update(head=ended))


def of(found: Lines, event: str) -> dict[str, Any]:
    return next(record for record in found if record["event"] == event)


def before_the_end(*records: dict[str, Any]) -> Callable[[Lines], None]:
    def insert(found: Lines) -> None:
        found[-1:-1] = [dict(record) for record in records]

    return insert


@pytest.mark.parametrize("station", ["one station", "two stations"])
@pytest.mark.parametrize("what", RUNS)
def test_what_a_run_did_of_its_plan_passes(
    request: pytest.FixtureRequest, check: Check, what: str, station: str
) -> None:
    site: Command = request.getfixturevalue("site" if station == "one station" else "two")
    make, code = RUNS[what]
    run = make(site)
    assert (run / THERE).exists() is (station == "two stations")
    head = chain.verify((run / HERE).read_bytes())
    ended, told = check(run, "--plan", run / "plan.json", "--head", f"{head.lines}:{head.digest}")
    assert ended == code, told
    everything = len(plans.loads((run / "plan.json").read_bytes()).pending)
    assert f"of {everything} actions done" in told
    assert (f"; {everything} of" in told) is (code == 0)
    assert "0 writes" not in told or what in {"drifting", "resumed"}


def test_a_journal_that_was_handed_over_holds_by_itself(two: Command, check: Check) -> None:
    plain(two)
    (run,) = (two.folder / "state-there").glob("*/runs/*")
    code, told = check(run)
    assert code == 2, code
    assert "not done: memory.dial:loud" in told
    assert "not done: memory.box:left/one" not in told


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (lambda found: of(found, "opened").update(plan="0" * 64), "line 1 opens another plan's run"),
        (lambda found: of(found, "opened").update(site="another"), "line 1 is another site's"),
        (lambda found: of(found, "opened").update(schema="paver.journal/2"), "line 1 is another format's"),
        (lambda found: found.insert(1, of(found, "opened")), "line 2: line 1 opens it, and no other"),
        (lambda found: found.pop(0), "line 1: line 1 opens it, and no other"),
        (lambda found: of(found, "call").update(call="burn"), "burn is not in the plan"),
        (lambda found: of(found, "call").update(endpoint="elsewhere"), "elsewhere is not in the plan"),
        (lambda found: of(found, "call").update(action="0" * 64), "its action is not in the plan"),
        (lambda found: of(found, "call").update(action=""), "its action is not in the plan"),
        (lambda found: of(found, "call").pop("action"), "not as paver writes it: KeyError 'action'"),
        (lambda found: of(found, "call").update(event="wrote"), "wrote is no event of a journal"),
        (lambda found: of(found, "begun").update(verb="delete"), "planned as "),
        (lambda found: of(found, "begun").update(found="0" * 64), "it found something else than the plan"),
        (lambda found: of(found, "begun").update(opaque={"tool": "sh"}), "a tool acts by itself"),
        (lambda found: found.remove(of(found, "begun")), "before its action began, or after its end"),
        (lambda found: found.insert(2, of(found, "begun")), "it was begun or ended before"),
        (lambda found: of(found, "done").update(resource="memory.box:x/y"), "another thing than planned"),
        (lambda found: found.insert(1, of(found, "done")), "done, and it was new"),
        (lambda found: before_the_end(of(found, "done"))(found), "done, and it was done"),
        (
            lambda found: before_the_end({**of(found, "done"), "event": "failed", "what": ""})(found),
            "failed, and it was done",
        ),
        (lambda found: before_the_end(of(found, "call"))(found), "before its action began, or after its end"),
        (lambda found: found.append(of(found, "call")), "stands after the end"),
        (lambda found: found.remove(of(found[::-1], "done")), "tells of other failures"),
        (lambda found: found[-1].update(done=1), "1 done, and the lines before it tell of "),
        (lambda found: found[-1].update(left=1), "1 left, and the lines before it leave 0"),
        (lambda found: found[-1].update(failed=["memory.dial:loud"]), "tells of other failures"),
        (
            before_the_end({"event": "handed-off", "plan": "0" * 64, "done": []}),
            "hands over another plan",
        ),
        (
            before_the_end({"event": "returned", "head": "1:00", "left": []}),
            "nothing was handed over",
        ),
    ],
)
def test_a_forged_journal_is_told_though_its_chain_holds(
    site: Command, check: Check, forge: Callable[[Lines], None], says: str
) -> None:
    run = plain(site)
    rewrite(run, forge)
    code, _ = check(run)
    assert str(code).startswith("does not hold: ")
    assert says in str(code)


def sent(found: Lines, call: str) -> dict[str, Any]:
    return next(one for one in found if one.get("call") == call)


def told(call: str, old: str, new: str) -> Callable[[Lines], None]:
    """Returns what forges the target of a call of the hand-off."""

    def change(found: Lines) -> None:
        record = sent(found, call)
        assert old in record["target"]
        record["target"] = record["target"].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("name", "forge", "says"),
    [
        (HERE, lambda found: of(found, "handed-off").update(plan="0" * 64), "hands over another plan"),
        (HERE, lambda found: of(found, "handed-off").update(done=[]), "it tells of other things done"),
        (HERE, lambda found: found.remove(of(found, "handed-off")), "nothing is being handed over"),
        (HERE, lambda found: found.insert(-1, of(found, "handed-off")), "it tells of other things done"),
        (
            HERE,
            lambda found: found.insert(found.index(of(found, "returned")), of(found, "handed-off")),
            "it was handed over before",
        ),
        (
            HERE,
            lambda found: found.remove(of(found, "returned")),
            "the other station's journal did not return",
        ),
        (HERE, lambda found: found.insert(-1, of(found, "returned")), "nothing was handed over"),
        (
            HERE,
            lambda found: of(found, "returned").update(head="1:00"),
            f"{THERE} is not the one that {HERE}",
        ),
        (HERE, lambda found: found.insert(-1, sent(found, "file:write")), "nothing is being handed over"),
        (HERE, lambda found: sent(found, "file:write").update(call="machine:wipe"), "no part of a hand-off"),
        (
            HERE,
            lambda found: sent(found, "file:write").update(endpoint="machine:other"),
            "to another machine",
        ),
        (
            HERE,
            told("file:write", "/var/lib/paver/sites/lab-north/", "/etc/sudoers.d/"),
            "not for it to write",
        ),
        (HERE, told("file:write", "/lab-north/", "/lab-north/../"), "not for it to write"),
        (HERE, told("file:write", "/lab-north/", "/lab-north2/"), "not for it to write"),
        (HERE, told("file:write", "/site.sealed", "/.paver/lab-north/lock"), "not for it to write"),
        (HERE, told("file:remove", "outcome.json", "plan.json"), "not for it to remove"),
        (HERE, told("job:start", "paver apply", "sh -c evil"), "another job than the plan's"),
        (HERE, told("job:start", "--site /var", "--site /tmp"), "another job than the plan's"),
        (HERE, told("job:start", "--yes", "--yes --site /tmp/evil.yml"), "another job than the plan's"),
        (HERE, told("job:start", " --allow=trust.*", " --allow=trust.* --site /tmp"), "the job is told more"),
        (THERE, lambda found: of(found, "opened").update(plan="0" * 64), "opens another plan's run"),
        (THERE, lambda found: of(found, "opened").update(approval="by --yes"), "that nobody handed over"),
        (THERE, lambda found: of(found, "opened").update(station="outside"), "planned for the other station"),
        (THERE, lambda found: found.pop(), f"{THERE} has no end"),
        (THERE, lambda found: found[-1].update(done=1), "1 done, and the lines before it tell of"),
        (
            THERE,
            lambda found: found.insert(
                1, {"event": "handed-off", "plan": of(found, "opened")["plan"], "done": []}
            ),
            "the jumpbox hands nothing over",
        ),
    ],
)
def test_a_forged_hand_off_is_told_though_both_chains_hold(
    two: Command, check: Check, name: str, forge: Callable[[Lines], None], says: str
) -> None:
    two.run("plan", "--out", "site.plan")
    run = applied(two, "apply", "site.plan", "--allow", "trust.*")
    assert check(run)[0] == 0
    rewrite(run, forge, name)
    code, _ = check(run)
    assert str(code).startswith("does not hold: ")
    assert says in str(code)


def test_what_was_done_at_the_other_station_is_done_there_alone(two: Command, check: Check) -> None:
    run = plain(two)
    box = of([json.loads(line) for line in (run / THERE).read_text().splitlines()], "begun")
    rewrite(run, lambda found: found.insert(1, box))
    assert "planned for the other station" in str(check(run)[0])


def test_what_goes_along_has_no_act_of_its_own(site: Command, check: Check) -> None:
    wish = memory.wish

    def nested(values: Any) -> Any:
        paved = wish(values)
        one, two, dial = (
            next(r for r in paved.resources if r.id.endswith(n)) for n in ("one", "two", "loud")
        )
        inner = dataclasses.replace(two, within=one.id)
        return dataclasses.replace(paved, resources=(dial, one, inner))

    site.patch.setattr(memory, "wish", nested)
    site.patch.setattr(memory.Box, "dies_with_parent", True)
    run = destroyed(site)
    assert check(run)[0] == 0
    whole = (run / HERE).read_bytes()

    def along(found: Lines) -> dict[str, Any]:
        return next(line for line in found if line.get("implied"))

    def begun(found: Lines) -> None:
        begins = {
            **of(found, "begun"),
            "resource": along(found)["resource"],
            "action": along(found)["action"],
        }
        found.insert(found.index(along(found)), begins)

    rewrite(run, begun)
    assert "it goes along, by no act of its own" in str(check(run)[0])
    (run / HERE).write_bytes(whole)
    rewrite(run, lambda found: along(found).update(event="skipped"))
    assert "it goes along, by no act of its own" in str(check(run)[0])


def test_what_a_tool_was_told_is_what_the_plan_says(site: Command, check: Check) -> None:
    tool = Opaque("tool", ("run",), ("a box",), program="0" * 64)
    site.patch.setattr(memory.Box, "opaque", lambda *_: tool)
    run = plain(site)
    assert check(run)[0] == 0
    whole = (run / HERE).read_bytes()
    for name in ("inputs", "program", "tool"):
        (run / HERE).write_bytes(whole)

        def other(found: Lines, name: str = name) -> None:
            begun = next(line for line in found if line["event"] == "begun" and "opaque" in line)
            begun["opaque"] = {**begun["opaque"], name: "1" * 64}

        rewrite(run, other)
        assert f"its tool's {name} is not the planned one" in str(check(run)[0])


def test_what_waits_for_something_else_does_not_begin_before_it(site: Command, check: Check) -> None:
    run = plain(site)
    planned = json.loads((site.folder / "site.plan").read_text())["actions"]
    made = {action["resource"] for action in planned if action["verb"] != "keep"}
    # Which of them begins last of all is chance; that one waits for others is not.
    waits = {action["id"] for action in planned if made.intersection(action["needs"])}
    assert waits

    def swap(found: Lines) -> None:
        last = max(
            number
            for number, line in enumerate(found)
            if line["event"] == "begun" and line["action"] in waits
        )
        first = min(number for number, line in enumerate(found) if line["event"] == "begun")
        found.insert(first, found.pop(last))

    rewrite(run, swap)
    assert "was to be done before" in str(check(run)[0])


def test_a_jumpboxs_journal_that_this_one_does_not_tell_of_is_told(site: Command, check: Check) -> None:
    run = plain(site)
    shutil.copy(run / HERE, run / THERE)
    assert f"{THERE} is not the one that {HERE} tells of" in str(check(run)[0])


def test_one_journal_more_than_this_one_tells_of_is_told(two: Command, check: Check) -> None:
    run = plain(two)
    shutil.copy(run / THERE, run / "journal-jumpbox-2.jsonl")
    assert f"journal-jumpbox-2.jsonl is not the one that {HERE} tells of" in str(check(run)[0])


def test_a_run_that_could_not_hear_of_the_jumpbox_to_its_end_passes_and_is_not_done(
    two: Command, check: Check
) -> None:
    def away(*_: Any) -> None:
        raise Unobservable("the jumpbox does not answer")

    two.run("plan", "--out", "site.plan")
    with two.patch.context() as patch:
        patch.setattr(handoff.HandOff, "_bring_back", away)
        run = applied(two, "apply", "site.plan", code=1)
    assert json.loads((run / HERE).read_text().splitlines()[-1])["error"]
    code, told = check(run)
    assert code == 2, code
    assert "not done: memory.box:left/one" in told
    shutil.copy(run / HERE, run / THERE)
    code, told = check(run)
    assert (code, f"{THERE} is not looked at" in told) == (2, True), (code, told)
    rewrite(run, lambda found: found[-1].update(error=None))
    assert "the other station's journal did not return before" in str(check(run)[0])


def test_a_jumpboxs_journal_that_is_not_there_is_missed(two: Command, check: Check) -> None:
    run = plain(two)
    (run / THERE).unlink()
    assert "tells of a journal of the jumpbox, which is not here" in str(check(run)[0])


def test_a_run_that_was_killed_as_it_took_the_other_journal_in_has_no_end_and_tells_of_none(
    two: Command, check: Check
) -> None:
    run = plain(two)
    rewrite(run, lambda found: found.__delitem__(slice(-2, None)))
    code, told = check(run)
    assert code == 2
    assert f"{HERE} has no end" in told
    assert f"{THERE} is not looked at" in told
    assert "not done: memory.box:left/one" in told


def test_a_failure_that_the_disk_took_no_line_of_stands_in_the_last_one(site: Command, check: Check) -> None:
    run = failing(site)
    honest = check(run)
    rewrite(run, lambda found: found.remove(of(found, "failed")))
    assert check(run)[0] == honest[0] == 2


def test_a_journal_that_was_written_anew_without_a_write_is_told_by_the_head_that_was_shipped(
    site: Command, check: Check
) -> None:
    run = plain(site)
    shipped = chain.verify((run / HERE).read_bytes())
    rewrite(run, lambda found: found.remove(of(found, "call")))
    assert check(run)[0] == 0
    code, _ = check(run, "--head", f"{shipped.lines}:{shipped.digest}")
    assert "does not hold: the head" in str(code)


def test_a_line_that_was_changed_and_lines_that_were_cut_off_are_told(site: Command, check: Check) -> None:
    run = plain(site)
    whole = (run / HERE).read_bytes()
    (run / HERE).write_bytes(whole.replace(b'"time":"2', b'"time":"1', 1))
    assert "does not follow the line before it" in str(check(run)[0])
    (run / HERE).write_bytes(whole.replace(b'"event":"call"', b'"event": "call"', 1))
    assert "is not as paver writes it" in str(check(run)[0])
    (run / HERE).write_bytes(whole[:-1])
    assert "its last line is not whole" in str(check(run)[0])
    (run / HERE).write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    code, told = check(run)
    assert code == 2
    assert "has no end" in told
    assert "not done: " in told
    (run / HERE).write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert check(run)[0] == 2


def test_another_plan_than_the_approved_one_is_told(site: Command, check: Check) -> None:
    run = plain(site)
    site.write(dials="{loud: 9}")
    site.run("plan", "--out", "other.plan")
    assert "another plan than the approved one" in str(check(run, "--plan", site.folder / "other.plan")[0])
    (run / "plan.json").write_bytes((site.folder / "other.plan").read_bytes())
    assert "opens another plan's run" in str(check(run)[0])
    (run / "plan.json").write_bytes((site.folder / "other.plan").read_bytes().replace(b":", b": ", 1))
    assert "the plan is not as paver writes it" in str(check(run)[0])


def values(lines: Lines) -> list[Any]:
    """Returns all that stands in lines, to be put elsewhere."""
    found = [value for line in lines for value in line.values()]
    inside = [item for value in found if isinstance(value, list) for item in value]
    unique = {json.dumps(value): value for value in [*found, *inside, None, 0, 1, "", [], {}]}
    return list(unique.values())


def forgeries(lines: Lines, others: Lines) -> st.SearchStrategy[Callable[[Lines], None]]:
    """Returns what removes, doubles, moves, inserts or alters one line."""
    numbers, keys = st.integers(0, len(lines) - 1), sorted({key for line in lines for key in line} - {"prev"})

    def alter(number: int, key: str, value: Any) -> Callable[[Lines], None]:
        return lambda found: found[number].update({key: value})

    return st.one_of(
        numbers.map(lambda number: lambda found: found.__delitem__(number)),
        st.builds(lambda a, b: lambda found: found.insert(b, found.pop(a)), numbers, numbers),
        st.builds(
            lambda line, b: lambda found: found.insert(b, dict(line)),
            st.sampled_from([*lines, *others]),
            st.integers(0, len(lines)),
        ),
        st.builds(alter, numbers, st.sampled_from(keys), st.sampled_from(values([*lines, *others]))),
        st.builds(
            lambda number, key: lambda found: found[number].pop(key, None), numbers, st.sampled_from(keys)
        ),
    )


@dataclasses.dataclass(frozen=True)
class Told:
    """What the script says of a run.

    Attributes:
        code: that it ends with, or its last words.
        writes: of the plan, as it counts them.
        missed: what it says is not done.
    """

    code: object
    writes: int
    missed: frozenset[str]


def judged(folder: Path, script: dict[str, Any], capture: pytest.CaptureFixture[str]) -> Told:
    capture.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(SCRIPT), str(folder)])
        try:
            code = script["main"]()
        except SystemExit as ended:
            return Told(ended.code, 0, frozenset())
    out = capture.readouterr().out.splitlines()
    writes = next(int(line.split()[0]) for line in out if "writes, each of the plan's" in line)
    return Told(code, writes, frozenset(line for line in out if line.startswith("not done: ")))


def planned_writes(folder: Path, names: Iterable[str]) -> int:
    """Counts the writes of a run that its plan has, in another way than the script; fails at one that it has not."""
    plan = plans.loads((folder / "plan.json").read_bytes())
    actions = {action.id: action for action in plan.actions}
    count = 0
    for name in names:
        begun: set[str] = set()
        for line in (folder / name).read_text().splitlines():
            said = json.loads(line)
            if said["event"] == "begun":
                begun.add(said["action"])
            elif said["event"] in {"done", "skipped", "failed", "drift"}:
                begun.discard(said["action"])
            elif said["event"] == "call" and not said["action"].startswith("hand-off "):
                action = actions[said["action"]]
                assert said["action"] in begun
                assert said["call"] in action.calls
                assert said["endpoint"] in {action.endpoint, *action.also}
                count += 1
    return count


@pytest.mark.parametrize("station", ["one station", "two stations"])
@pytest.mark.parametrize("what", RUNS)
def test_any_line_that_is_put_in_taken_out_or_altered_is_told_or_adds_nothing_to_what_was_done(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    what: str,
    station: str,
) -> None:
    site: Command = request.getfixturevalue("site" if station == "one station" else "two")
    run = RUNS[what][0](site)
    names = [name for name in (HERE, THERE) if (run / name).exists()]
    journals = {name: [json.loads(line) for line in (run / name).read_text().splitlines()] for name in names}
    script = runpy.run_path(str(SCRIPT), run_name="check_run")
    honest = judged(run, script, capsys)
    numbers = itertools.count()
    base = tmp_path_factory.mktemp("forged")

    @settings(max_examples=60, deadline=None)
    @given(data=st.data(), name=st.sampled_from(names))
    def forged(data: st.DataObject, name: str) -> None:
        folder = base / str(next(numbers))
        shutil.copytree(run, folder)
        others = [line for other in names if other != name for line in journals[other]]
        rewrite(folder, data.draw(forgeries(journals[name], others)), name)
        found = judged(folder, script, capsys)
        if found.code not in {0, 2}:
            assert str(found.code).startswith("does not hold: ")
            return
        assert found.missed >= honest.missed
        assert found.code == 2 or honest.code == 0
        assert found.writes == planned_writes(folder, names)

    forged()
