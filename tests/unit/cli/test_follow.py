"""`paver follow`: a run that goes on, here or on the jumpbox, and the last one told again."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import signal
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live as RichLive

from paver.cli import acting, out
from paver.errors import PaverError
from paver.report.lines import Lines
from paver.runs import newest, reach
from paver.runs.events import Happening, Tell, parse
from paver.runs.folder import RUN_FILES, SiteFolder
from paver.runs.progress import Progress, State
from paver.transport import job
from paver.transport.job import JobState
from tests.support.command import Command, Machine
from tests.support.memory import memory
from tests.support.ran import Ran


def test_follow_tells_the_last_run_again(site: Command) -> None:
    assert "nothing is under way" in site.fine("follow", "--local").out
    assert "there is no run of this site on this machine yet" in site.fine("follow", "--last").out
    site.fine("apply", "--yes")
    (folder,) = site.runs
    kept = folder / "events.jsonl"
    kept.write_text(re.sub(r'"at":[0-9]+', f'"at":{(13 * 60 + 37) * 60 + 59}', kept.read_text()))
    ran = site.fine("follow", "--last")
    assert "13:37:59 ✓ create memory.box:left/one" in ran.out, (
        "it is told when it happened, not when it is told"
    )
    assert "the run ended well" in ran.out
    assert "last  done" in site.fine("follow", "--local").out


def test_follow_tells_the_last_run_again_with_the_times_of_its_journals(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run that took 26 s, of which a second was the jumpbox's: its journal says when."""
    site.fine("apply", "--yes")
    (folder,) = site.runs
    plan = json.loads((folder / "plan.json").read_text())
    ids = {
        phase: [one["resource"] for one in plan["actions"] if one["phase"] == phase]
        for phase in plan["phases"]
    }
    ids = {phase: found for phase, found in ids.items() if found}
    first, last = next(iter(ids)), [*ids][-1]
    begins = {first: 10.0, last: 30.5}

    def line(event: str, at: float, **more: object) -> str:
        return json.dumps({"event": event, "time": f"2026-01-01T00:00:{at:06.3f}Z", **more})

    def acts(phase: str) -> list[str]:
        at = begins.get(phase, 20.0)
        begun = [line("begun", at, resource=id_) for id_ in ids[phase]]
        return [*begun, *(line("done", at + 1.5, resource=id_) for id_ in ids[phase])]

    here = [acted for phase in ids if phase != last for acted in acts(phase)]
    journal = [line("opened", 8.0), *here, line("closed", 34.0, failed=[], left=0)]
    (folder / "journal.jsonl").write_text("\n".join(journal))
    (folder / "journal-jumpbox.jsonl").write_text("\n".join(acts(last)))
    screen = io.StringIO()
    monkeypatch.setattr("rich.console.Console", functools.partial(Console, file=screen, width=90, height=40))
    monkeypatch.setattr("paver.report.live.RichLive", functools.partial(RichLive, auto_refresh=False))
    assert "ended well" in site.fine("follow", "--last", "--progress", "live").out
    *phases, foot = screen.getvalue().rstrip().splitlines()[-len(ids) - 1 :]
    assert [line.rpartition("  ")[2] for line in phases] == ["1.5 s"] * len(ids)
    assert foot.strip() == "26 s"


def test_of_a_last_run_that_failed_nothing_is_waited_for(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.Box, "create", lambda *_: 1 / 0)
    site.run("apply", "--yes")
    screen = io.StringIO()
    monkeypatch.setattr("rich.console.Console", functools.partial(Console, file=screen, width=90, height=40))
    assert site.run("follow", "--last", "--progress", "live").code == 1
    assert "Ctrl-C" not in screen.getvalue()
    assert "left" not in screen.getvalue().splitlines()[-1]


def test_a_destroy_is_told_as_one_and_who_follows_one_that_failed_is_not_sent_to_apply(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fine("apply", "--yes")
    assert json.loads(site.fine("status", "--json").out)["last_run"]["mode"] == "apply"
    with monkeypatch.context() as patch:
        patch.setattr(memory.Box, "delete", lambda *_: 1 / 0)
        assert site.run("destroy", "--yes", "--allow", "*").code == 1
    assert "last run  destroy: failed" in site.run("status", "--quick").out
    assert "`paver destroy` goes on" in site.run("follow", "--last").err
    site.fine("destroy", "--yes", "--allow", "*")
    assert json.loads(site.run("status", "--json").out)["last_run"]["mode"] == "destroy"
    assert "last run  destroy: done" in site.run("status", "--quick").out
    assert "last  destroy: done" in site.fine("follow", "--local").out
    assert "the run ended well" in site.fine("follow", "--last").out


@pytest.mark.parametrize("mark", ["\u2028", "\u2029"])
def test_a_failure_in_words_that_hold_a_line_separator_is_no_run_that_was_killed(
    site: Command, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    """As of a server whose answer holds one: canonical JSON keeps it as it is, within a line of the journal."""

    def create(*_: object) -> None:
        raise PaverError(f"the server said: no{mark}room")

    monkeypatch.setattr(memory.Box, "create", create)
    assert site.run("apply", "--yes").code == 1
    last = json.loads(site.run("status", "--json").out)["last_run"]
    assert last["state"] == "failed"
    assert last["failed"], "what failed is named"


def test_of_a_journal_that_ends_within_a_character_the_lines_before_are_told(site: Command) -> None:
    """As after a power cut."""
    site.fine("apply", "--yes")
    (folder,) = site.runs
    for name in ("journal.jsonl", "events.jsonl"):
        *whole, _ = (folder / name).read_bytes().splitlines(keepends=True)
        (folder / name).write_bytes(b"".join((*whole, b'{"what":"\xe2\x80')))
    assert json.loads(site.fine("status", "--json").out)["last_run"]["state"] == "unfinished"
    assert "memory.box:left/one" in site.run("follow", "--last").out


def test_the_last_run_is_the_one_that_was_begun_last_also_where_the_clock_was_set_back(site: Command) -> None:
    site.fine("apply", "--yes")
    (folder,) = site.runs
    assert {path.name for path in folder.iterdir()} <= {*RUN_FILES}, "a bundle takes nothing else"
    # As of a clock that went ahead when it ran, in a folder that a file system was mounted on.
    ahead = folder.with_name("20990101T000000-aaaaaa")
    folder.rename(ahead)
    (folder.parent / "lost+found").mkdir()
    site.write(shelves="{left: {one: 5, two: 2}}")
    site.fine("apply", "--yes")
    last = json.loads(site.fine("status", "--json").out)["last_run"]
    assert last["name"].startswith("20990101T000001-")
    assert "memory.box:left/one" in site.fine("follow", "--last").out
    assert "memory.box:left/two" not in site.fine("follow", "--last").out
    packed = site.folder / "bundle.tgz"
    site.fine("logs", "--runs", "1", "--out", str(packed))
    with tarfile.open(packed) as archive:
        names = {name.split("/")[2] for name in archive.getnames() if "/runs/" in name}
    assert names == {last["name"]}


def test_runs_of_one_second_have_names_in_their_order(tmp_path: Path) -> None:
    state = SiteFolder(tmp_path, "north")
    made = [state.new_run() for _ in range(8)]
    assert state.runs() == made


@pytest.mark.parametrize("failed", [[], ["memory.box:left/one"]])
def test_follow_waits_for_the_run_of_a_command_that_still_plans_and_tells_no_other(
    site: Command, failed: list[str]
) -> None:
    """The run before it, which went well, is the newest until then."""
    site.fine("apply", "--yes")
    state = SiteFolder(site.runs[-1].parents[2], site.runs[-1].parents[1].name)
    planning, seen = threading.Event(), threading.Event()

    def act() -> None:
        with state.locked("paver apply"):
            planning.set()
            assert seen.wait(20)
            folder = state.new_run()
            (folder / "events.jsonl").write_text("")
            end = {"event": "closed", "failed": failed, "left": 0, "time": "2026-01-01T00:00:00Z"}
            (folder / "journal.jsonl").write_text(f"{json.dumps(end)}\n")

    acting = threading.Thread(target=act)
    acting.start()
    assert planning.wait(20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(out, "note", lambda text: seen.set() if "has begun no run yet" in text else None)
        ran = site.run("follow", "--local")
    acting.join()
    assert ran.code == (1 if failed else 0)
    assert "✓" not in ran.out, "it tells what the run before did"


def test_follow_of_a_run_that_was_killed_ends_with_1(site: Command) -> None:
    site.fine("apply", "--yes")
    (folder,) = site.runs
    journal = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(journal[:-1]))
    ran = site.run("follow", "--last")
    assert ran.code == 1
    assert "it was killed" in ran.err


def test_follow_of_a_run_that_left_something_to_another_machine_ends_as_that_run_did(site: Command) -> None:
    site.fine("apply", "--yes")
    (folder,) = site.runs
    *lines, last = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    left = json.dumps({**json.loads(last), "left": 2})
    (folder / "journal.jsonl").write_text("".join([*lines, f"{left}\n"]))
    ran = site.run("follow", "--last")
    assert ran.code == 5
    assert "ended well" not in ran.out
    assert "left 2 actions that its machine could not do" in ran.err


class _Job:
    def __init__(self, lines: list[str], end: JobState) -> None:
        self._lines, self._end = lines, end

    def follow(self, on_line: Any, *, on_break: Any, **_: Any) -> JobState:
        on_break("jumpbox: nothing was heard of job apply-lab-north for 30 s")
        on_break("")
        for line in self._lines:
            on_line(line)
        return self._end


def _plan_of_a_destroy(site: Command) -> bytes:
    kept = site.folder / "destroy.plan"
    assert site.run("plan", "--destroy", "--out", str(kept)).code == 2
    return kept.read_bytes()


def test_follow_attaches_to_the_job_on_the_jumpbox(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    site.fine("apply", "--yes")
    (folder,) = site.runs
    events = (folder / "events.jsonl").read_text().splitlines()
    plan = (folder / "plan.json").read_bytes()
    machine = Machine({"/handed/plan.json": plan})
    argv = ("paver", "apply", "/handed/plan.json")
    ended = _Job([*events, "warning: something else"], JobState("ended", 0))
    monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
    monkeypatch.setattr(job, "state", lambda _machine, _name: JobState("running", argv=argv))
    monkeypatch.setattr(job, "attach", lambda _machine, _name: ended)
    ran = site.fine("follow")
    assert "on the jumpbox: job apply-lab-north" in ran.err
    assert "warning: something else" in ran.err
    assert "for 30 s: connecting anew, the run there goes on" in ran.out
    assert "the jumpbox is heard again" in ran.out
    assert "the run on the jumpbox ended well" in ran.out
    monkeypatch.setattr(job, "attach", lambda *_: _Job([], JobState("ended", 4)))
    ran = site.run("follow")
    assert ran.code == 1
    assert "`paver apply` goes on where it stopped" in ran.err
    machine.files["/handed/plan.json"] = _plan_of_a_destroy(site)
    assert "`paver destroy` goes on where it stopped" in site.run("follow").err
    monkeypatch.setattr(job, "attach", lambda *_: _Job([], JobState("running")))
    assert site.run("follow").code == 130


class _HandsOver:
    """A run here that is handed over, and stopped while `follow` shows it; some of what is said there was passed on."""

    def __init__(self, site: Command, monkeypatch: pytest.MonkeyPatch, *jobs: JobState) -> None:
        site.fine("apply", "--yes")
        (former,) = site.runs
        events = (former / "events.jsonl").read_text()
        self.there = events.replace('"station":"outside"', '"station":"jumpbox"').splitlines()
        self.machine = machine = Machine({"/handed/plan.json": (former / "plan.json").read_bytes()})
        states = iter(jobs)
        monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
        monkeypatch.setattr(newest, "jumpbox", lambda _session: machine)
        monkeypatch.setattr(job, "state", lambda *_: next(states))
        monkeypatch.setattr(job, "attach", lambda *_: _Job(self.there, JobState("ended", 0)))
        self._plan = (former / "plan.json").read_bytes()
        self.state = SiteFolder(former.parents[2], former.parents[1].name)
        self._monkeypatch = monkeypatch

    def while_it(self, does: Callable[[], Ran]) -> Ran:
        """Has the run stop following once `does` saw what was passed on."""
        begun, seen = threading.Event(), threading.Event()

        def act() -> None:
            with self.state.locked("paver apply"):
                self._write(self.state.new_run())
                begun.set()
                assert seen.wait(60)

        def shown(text: str) -> None:
            sys.stdout.write(f"{text}\n")
            if "→ the run goes on on the jumpbox" in text:
                seen.set()

        self._monkeypatch.setattr(acting, "_flushed", shown)
        acting_here = threading.Thread(target=act)
        acting_here.start()
        assert begun.wait(60)
        ran = does()
        acting_here.join()
        return ran

    def _write(self, folder: Path) -> None:
        over = Happening(what="handed-off", resource="jumpbox", station="jumpbox").line()
        self.state.handed.write_text("{}")
        journal = [
            {"event": "opened", "time": "2026-01-01T00:00:00.000Z"},
            {"event": "handed-off", "time": "2026-01-01T00:00:01.000Z"},
            {"event": "interrupted", "left": 2, "time": "2026-01-01T00:00:02.000Z"},
        ]
        (folder / "journal.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in journal))
        (folder / "plan.json").write_bytes(self._plan)
        (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in (over, *self.there[:3])))


@pytest.mark.parametrize("state", ["running", "ended"])
def test_a_run_that_goes_on_on_the_jumpbox_when_the_one_here_is_stopped_is_followed_there_to_its_end(
    site: Command, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    handed = _HandsOver(site, monkeypatch, JobState(state, argv=("paver", "apply", "/handed/plan.json")))
    ran = handed.while_it(lambda: site.run("follow"))
    assert ran.code == 0
    assert "interrupted" not in ran.err
    assert "followed from here no longer: this goes on there" in ran.err
    assert "on the jumpbox: job apply-lab-north" in ran.err
    assert "the run on the jumpbox ended well" in ran.out
    lines: list[str] = []
    told = Lines(lines.append)
    for event in filter(None, map(parse, handed.there)):
        told(event)
    shown = [line for line in ran.out.splitlines() if line[:1].isdigit() and "jumpbox" not in line]
    assert shown == lines, "something is told twice, or left out"


def test_of_a_run_on_the_jumpbox_only_what_is_left_for_it_is_waited_for(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = JobState("running", argv=("paver", "apply", "/handed/plan.json"))
    handed = _HandsOver(site, monkeypatch, running)
    done = [found.resource for found in filter(None, map(parse, handed.there))]
    handed.machine.files["/handed/done.json"] = json.dumps(sorted(set(done))).encode()
    handed.there = []
    shown: list[State] = []

    @contextlib.contextmanager
    def view(_: str, progress: Progress, *__: object) -> Iterator[Tell]:
        yield progress
        shown.append(progress.state())

    monkeypatch.setattr(acting, "view", view)
    assert "ended well" in site.fine("follow").out
    (state,) = shown
    assert state.phases
    assert all(phase.done == phase.total for phase in state.phases)


def test_whoever_ends_the_watching_is_told_of_nothing_that_stops(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off a terminal; on one the foot says it."""
    running = JobState("running", argv=("paver", "apply", "/handed/plan.json"))
    handed = _HandsOver(site, monkeypatch, running)

    class Watched(_Job):
        def follow(self, on_line: Any, **more: Any) -> JobState:
            super().follow(on_line, **more)
            os.kill(os.getpid(), signal.SIGINT)
            assert more["stop"]()
            return JobState("running")

    monkeypatch.setattr(job, "attach", lambda *_: Watched(handed.there, JobState("running")))
    ran = site.run("follow")
    assert ran.code == 130
    assert "stopped watching; the run goes on" in ran.err
    assert "stopping:" not in ran.err


def test_what_was_handed_over_and_is_followed_no_longer_is_not_called_interrupted(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = JobState("running", argv=("paver", "apply", "/handed/plan.json"))
    handed = _HandsOver(site, monkeypatch, running, JobState("ended", 0))
    for ran in (handed.while_it(lambda: site.run("follow", "--local")), site.run("follow", "--last")):
        assert ran.code == 1
        assert "handed over to the jumpbox, and is followed from here no longer" in ran.err
        assert "`paver follow` shows it there" in ran.err
        assert "interrupted" not in ran.err
    quick = site.fine("status", "--quick").out
    assert "what was handed over to the jumpbox may go on there: `paver follow`" in quick
    assert "last run  handed over to the jumpbox, and followed from here no longer" in quick
    assert "interrupted" not in quick
    said = site.fine("status", "--json", "--quick").json
    assert (said["handed_over"], said["last_run"]["handed_over"]) == (True, True)
    assert "running   on the jumpbox, begun by" in site.fine("status").out
    assert "has ended there: `paver follow` tells how" in site.fine("status").out
    handed.state.handed.unlink()
    ended = site.fine("status", "--quick").out
    assert (
        "last run  handed over to the jumpbox, and not followed to its end, 2026-01-01T00:00:02.000Z" in ended
    )
    assert "left" not in ended, "what is left of it nobody knows here"
