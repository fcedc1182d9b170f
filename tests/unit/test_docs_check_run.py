"""What the documentation gives an auditor to hold a run to its plan: it passes what is true, and names what is not."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.engine import plan as plans
from paver.engine.journal import Journal
from paver.signing import chain
from tests.support.command import Command, command

SCRIPT = Path(__file__).parents[2] / "docs" / "howto" / "check_run.py"
HERE, THERE = "journal.jsonl", "journal-jumpbox.jsonl"
Lines = list[dict[str, Any]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
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
def run(site: Command) -> Path:
    """Returns the folder of a whole run of an approved plan."""
    site.run("plan", "--out", "site.plan")
    site.fine("apply", "site.plan")
    return site.runs[-1]


def rewrite(journal: Path, change: Callable[[Lines], None]) -> None:
    """Forges a journal whose chain holds again."""
    found: Lines = [json.loads(line) for line in journal.read_text().splitlines()]
    change(found)
    head, written = chain.Head(), b""
    for record in found:
        record.pop("prev", None)
        line, head = chain.link(record, head)
        written += line
    journal.write_bytes(written)


def of(found: Lines, event: str) -> dict[str, Any]:
    return next(record for record in found if record["event"] == event)


def test_a_run_that_did_its_plan_and_nothing_else_passes(
    site: Command, run: Path, check: Callable[..., Any]
) -> None:
    head = chain.verify((run / HERE).read_bytes())
    code, told = check(run, "--plan", site.folder / "site.plan", "--head", f"{head.lines}:{head.digest}")
    assert code == 0
    done = len(plans.loads((run / "plan.json").read_bytes()).pending)
    assert f"each of the plan's; {done} of {done} actions done" in told


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (lambda found: of(found, "opened").update(plan="0" * 64), "line 1 opens another plan's run"),
        (lambda found: of(found, "opened").update(site="another"), "line 1 is another site's"),
        (lambda found: of(found, "call").update(call="burn"), "burn is not in the plan"),
        (lambda found: of(found, "call").update(endpoint="elsewhere"), "elsewhere is not in the plan"),
        (lambda found: of(found, "call").update(action="0" * 64), "its action is not in the plan"),
        (lambda found: of(found, "begun").update(verb="delete"), "planned as "),
        (lambda found: of(found, "done").update(resource="memory.box:x/y"), "another thing than planned"),
        (lambda found: found.append(dict(of(found, "call"))), "before its action began, or after its end"),
        (
            lambda found: found.append({"event": "handed-off", "plan": "0" * 64, "done": []}),
            "hands over another plan",
        ),
        (
            lambda found: found.append({"event": "returned", "head": "1:00", "left": []}),
            "tells of a journal of the jumpbox, which is not here",
        ),
    ],
)
def test_a_forged_journal_is_told_though_its_chain_holds(
    run: Path, check: Callable[..., Any], forge: Callable[[Lines], None], says: str
) -> None:
    rewrite(run / HERE, forge)
    code, _ = check(run)
    assert str(code).startswith("does not hold: ")
    assert says in str(code)


def test_a_journal_that_was_written_anew_without_a_write_is_told_by_the_head_that_was_shipped(
    run: Path, check: Callable[..., Any]
) -> None:
    shipped = chain.verify((run / HERE).read_bytes())
    rewrite(run / HERE, lambda found: found.remove(of(found, "call")))
    assert check(run)[0] == 0
    code, _ = check(run, "--head", f"{shipped.lines}:{shipped.digest}")
    assert "does not hold: the head" in str(code)


def test_a_line_that_was_changed_and_lines_that_were_cut_off_are_told(
    run: Path, check: Callable[..., Any]
) -> None:
    whole = (run / HERE).read_bytes()
    (run / HERE).write_bytes(whole.replace(b'"time":"2', b'"time":"1', 1))
    assert "does not follow the line before it" in str(check(run)[0])
    (run / HERE).write_bytes(whole[:-1])
    assert "its last line is not whole" in str(check(run)[0])
    (run / HERE).write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    code, told = check(run)
    assert code == 2
    assert "has no end" in told
    assert "not done: " in told


def test_another_plan_than_the_approved_one_is_told(
    site: Command, run: Path, check: Callable[..., Any]
) -> None:
    site.write(dials="{loud: 9}")
    site.run("plan", "--out", "other.plan")
    assert "another plan than the approved one" in str(check(run, "--plan", site.folder / "other.plan")[0])
    (run / "plan.json").write_bytes((site.folder / "other.plan").read_bytes())
    assert "opens another plan's run" in str(check(run)[0])


def test_the_jumpboxs_journal_is_the_one_that_this_one_tells_of(run: Path, check: Callable[..., Any]) -> None:
    plan = plans.loads((run / "plan.json").read_bytes())
    with Journal(run / THERE) as journal:
        journal.write("opened", {"plan": plan.digest, "site": plan.site})
        journal.write("closed")
    assert f"{THERE} is not the one that {HERE} tells of" in str(check(run)[0])
    head = f"{journal.head.lines}:{journal.head.digest}"
    handed = {"action": f"hand-off {plan.digest}", "call": "file:write", "endpoint": "machine:jumpbox"}

    def tell(found: Lines) -> None:
        found[-1:-1] = [
            {"event": "handed-off", "plan": plan.digest, "done": []},
            {"event": "call", **handed},
            {"event": "returned", "head": head, "left": []},
        ]

    rewrite(run / HERE, tell)
    assert check(run)[0] == 0
    rewrite(run / HERE, lambda found: found[-3].update(call="machine:wipe"))
    assert "machine:wipe is no part of a hand-off" in str(check(run)[0])
