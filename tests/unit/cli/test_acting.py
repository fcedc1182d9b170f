"""plan, apply and destroy from the command line, and every exit code that they may end with."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import paver
from paver.cli import acting, opening
from paver.driver import Secret
from paver.engine import plan as plans
from paver.engine.diff import Change
from paver.engine.journal import Journal, JournalError
from paver.errors import Interrupted, PartlyDone, PaverError, Refused, Unobservable
from paver.machine import jumpbox
from paver.runs import handoff, newest, outcome, wayback
from paver.runs.events import Happening
from paver.runs.folder import SiteFolder
from paver.runs.outcome import Ended
from paver.runs.progress import Progress
from paver.runs.session import Session
from paver.sealed import keys, store
from paver.transport import job
from paver.transport.context import Wire
from paver.transport.job import JobState
from tests.support.command import Command
from tests.support.memory import memory
from tests.support.ran import refused


def test_a_plan_with_changes_ends_with_2_and_writes_nothing(site: Command) -> None:
    ran = site.run("plan")
    assert ran.code == 2
    assert "4 to create" in ran.out or "to create" in ran.out
    assert "wrote nothing" in ran.out
    assert list(site.room.iterdir()) == []


def test_apply_does_what_the_plan_file_says_and_then_there_is_nothing_to_do(site: Command) -> None:
    assert site.run("plan", "--out", "site.plan").code == 2
    ran = site.fine("apply", "site.plan", "--progress", "lines")
    assert "lab-north: done in" in ran.out
    assert "created, 1 changed" in ran.out
    assert site.things("left")["one"]["size"] == 1
    assert site.fine("plan").out.splitlines()[-1].startswith("nothing to do")
    assert "nothing to do" in site.fine("apply").out


def test_a_plan_overwrites_a_plan_and_nothing_else(site: Command) -> None:
    for _ in range(2):
        assert site.run("plan", "--out", "site.plan").code == 2
    before = (site.folder / "site.yml").read_bytes()
    ran = site.run("plan", "--out", "site.yml")
    assert ran.code == 3
    assert "site.yml is there, and is no plan" in ran.err
    assert (site.folder / "site.yml").read_bytes() == before
    assert not list(site.folder.glob(".*.new"))


def test_what_a_plan_advises_next_is_the_very_command_with_what_it_was_told(site: Command) -> None:
    site.fine("apply", "--yes", "--progress", "none")
    for told, advised in (
        (("--phase", "boxes", "-s", "site.yml"), ""),
        (("--destroy", "--only", "memory.box:*"), "paver destroy --only 'memory.box:*'"),
        (("--destroy", "--allow", "*", "--out", "a plan"), "paver apply 'a plan' --allow '*'"),
    ):
        out = site.run("plan", *told).out
        if not advised:
            assert out.splitlines()[-1].startswith("nothing to do")
            continue
        command = out.rpartition(f"`{advised}`")
        assert command[1], out
    site.fine("apply", "a plan", "--allow", "*", "--progress", "none")
    assert site.things("left") == {}
    assert (
        "`paver apply --site site.yml --phase shelves`"
        in site.run("plan", "--phase", "shelves", "-s", "site.yml").out
    )
    offline = site.run("plan", "--offline", "--out", "offline.plan").out
    assert offline.splitlines()[-1] == " written to offline.plan"
    assert "asks before it begins" not in offline


def test_the_end_of_a_run_says_where_everything_is_and_what_comes_next(site: Command) -> None:
    out = site.fine("apply", "--yes").out
    (folder,) = site.runs
    for place in (folder / "report.html", folder / "journal.jsonl"):
        assert str(place.relative_to(site.folder)) in out
        assert place.exists()
    assert "paver status" in out
    page = (folder / "report.html").read_text()
    assert "lab-north: done" in page
    assert "box one" in page
    assert "paver secrets show director-admin" in page


def test_destroy_takes_away_what_the_command_names_and_puts_back_what_was_set(site: Command) -> None:
    site.fine("apply", "--yes")
    refused = site.run("destroy", "--yes")
    assert refused.code == 4
    assert "trust.authority:root" in refused.err
    site.fine("destroy", "--allow", "*", "--yes")
    assert site.things("left") == {}
    assert site.things("dials") == {}


def test_a_plan_that_was_edited_is_bad_input(site: Command) -> None:
    site.run("plan", "--out", "site.plan")
    plan = json.loads((site.folder / "site.plan").read_text())
    plan["actions"][0]["verb"] = "delete"
    (site.folder / "site.plan").write_text(json.dumps(plan))
    ran = site.run("apply", "site.plan")
    assert ran.code == 3
    assert "edited" in ran.err


def test_a_plan_follows_no_link_that_lies_where_its_draft_is_written(site: Command) -> None:
    (site.folder / "keys").write_text("mine\n")
    draft = site.folder / f".site.plan.{os.getpid()}"
    draft.symlink_to(site.folder / "keys")
    assert site.run("plan", "--out", "site.plan").code == 2
    assert (site.folder / "keys").read_text() == "mine\n"
    assert not (site.folder / "site.plan").is_symlink()
    assert not draft.is_symlink()


def test_what_is_no_plan_at_all_is_bad_input(site: Command) -> None:
    (site.folder / "site.plan").write_text("half a pl")
    ran = site.run("apply", "site.plan")
    assert ran.code == 3
    assert "site.plan is not a plan" in ran.err
    assert site.run("apply", "none.plan").code == 3


def test_a_plan_that_is_older_than_the_site_file_is_refused_and_nothing_was_changed(site: Command) -> None:
    site.run("plan", "--out", "site.plan")
    site.write(dials="{loud: 4}")
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "exit  4  nothing was changed" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_plan_that_was_made_offline_is_refused(site: Command) -> None:
    site.run("plan", "--offline", "--out", "site.plan")
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "offline cannot be applied" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_plan_of_another_paver_is_refused(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run("plan", "--out", "site.plan")
    monkeypatch.setattr(paver, "__version__", "9.9.9")
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "this is 9.9.9" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_plan_of_another_driver_is_refused(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run("plan", "--out", "site.plan")
    monkeypatch.setattr(memory.MemoryDriver, "version", "2")
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "the plan was made by the driver memory/1" in ran.err
    assert "this is memory/2" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_plan_that_shows_another_change_than_it_makes_is_refused_before_anything_is_done(
    site: Command,
) -> None:
    site.fine("apply", "--yes")
    site.write(shelves="{left: {one: 5, two: 9}}")
    site.run("plan", "--out", "site.plan")
    honest = plans.loads((site.folder / "site.plan").read_bytes())
    harmless = Change("label", None, "a nicer one")
    actions = [
        dataclasses.replace(one, changes=(harmless,)) if one.resource.endswith("/two") else one
        for one in honest.actions
    ]
    (site.folder / "site.plan").write_bytes(dataclasses.replace(honest, actions=tuple(actions)).dumps())
    before, runs = site.things("left"), site.runs
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "the plan's changes for memory.box:left/two is not what paver plans" in ran.err
    assert "a nicer one" in ran.err
    assert "exit  4  nothing was changed" in ran.err
    assert (site.things("left"), site.runs) == (before, runs)


def test_what_somebody_else_made_is_blocked_in_the_plan_and_refused_by_apply(site: Command) -> None:
    site.put("left", {"one": {"size": 9, "colour": "red"}})
    planned = site.run("plan")
    assert planned.code == 2
    assert "blocked: a foreign thing" in planned.out
    assert "memory.box:left/one" in planned.out
    ran = site.run("apply", "--yes")
    assert ran.code == 4
    assert "memory.box:left/one is blocked" in ran.err
    assert site.runs == [], "what was refused is no run that was killed"


def test_a_plan_that_is_blocked_is_refused_before_a_view_of_its_run_begins(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object) -> None:
        raise AssertionError("a run is shown")

    site.put("left", {"one": {"size": 9, "colour": "red"}})
    monkeypatch.setattr(acting, "view", begun)
    ran = site.run("apply", "--yes")
    refused(ran, 4, "memory.box:left/one is blocked")
    assert "blocked: a foreign thing" in ran.out
    assert "nothing was changed" in ran.err


def test_nobody_to_confirm_is_a_refusal(site: Command) -> None:
    ran = site.run("apply")
    assert ran.code == 4
    assert "nobody is there to confirm" in ran.err
    assert "nothing was changed" in ran.err


def test_a_plan_is_confirmed_by_the_name_of_the_site(site: Command) -> None:
    site.terminal("yes")
    assert site.run("apply").code == 4
    site.terminal("lab-north")
    assert site.run("apply", "--progress", "none").code == 0


def test_two_applies_at_once_are_one(site: Command) -> None:
    with SiteFolder(site.folder / ".paver", "lab-north").locked("paver apply"):
        ran = site.run("apply", "--yes")
        running = site.run("status", "--quick").out
    assert ran.code == 4
    assert "another run is at work" in ran.err
    user = pwd.getpwuid(os.getuid()).pw_name
    who = f"paver apply, process {os.getpid()} on {socket.gethostname()}, by {user}, since 2"
    assert f"seen  {who}" in ran.err
    assert f"running   {who}" in running, "two words for one thing"


def test_of_a_lock_that_does_not_say_all_what_it_says_is_told(site: Command) -> None:
    state = SiteFolder(site.folder / ".paver", "lab-north")
    with state.locked("paver apply"):
        for text, told in (
            ("", "it did not say who it is"),
            ('{"doing": "pav', "it did not say who it is"),
            ('{"doing": "paver apply", "host": "vm", "pid": 7}', "paver apply, process 7 on vm\n"),
        ):
            (state.path / "lock").write_text(text)
            assert f"seen  {told}" in site.run("apply", "--yes").err


def test_on_the_jumpbox_an_apply_of_another_copy_of_the_site_is_kept_out_by_the_one_that_was_handed_over(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jumpbox, "SITES", site.folder / "sites")
    handed = SiteFolder(site.folder / "sites" / "lab-north" / ".paver", "lab-north")
    with handed.locked("paver apply"):
        ran = site.run("apply", "--yes", "--station", "jumpbox")
        assert ran.code == 4
        assert "another run is at work" in ran.err
        site.fine("apply", "--yes")
    assert "nothing to do" in site.fine("apply", "--yes", "--station", "jumpbox").out


def test_what_is_handed_over_for_the_first_time_is_kept_out_by_an_apply_that_began_on_the_jumpbox(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jumpbox, "SITES", site.folder / "sites")
    handed = SiteFolder(site.folder / "sites" / "lab-north" / ".paver", "lab-north")
    create, met, made = memory.Box.create, [], site.folder / "made"
    made.mkdir()

    def meanwhile(box: Any, world: Any) -> None:
        with pytest.raises(Refused, match="another run is at work") as refused, handed.locked("paver apply"):
            pass
        met.append(refused.value)
        create(box, world)

    monkeypatch.setattr(memory.Box, "create", meanwhile)
    site.fine("apply", "--yes", "--station", "jumpbox")
    assert met
    assert stat.S_IMODE((site.folder / "sites").stat().st_mode) == stat.S_IMODE(made.stat().st_mode)
    with handed.locked("paver apply"):
        assert site.run("apply", "--yes", "--station", "jumpbox").code == 4


def test_an_account_that_may_not_run_what_is_handed_over_makes_no_folder_for_it(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jumpbox, "SITES", site.folder / "elsewhere" / "sites")
    site.fine("apply", "--yes", "--station", "jumpbox")
    assert not (site.folder / "elsewhere").exists()


def test_what_does_not_answer_fails_and_never_counts_as_absent(site: Command) -> None:
    site.room.rmdir()
    ran = site.run("plan")
    assert ran.code == 1
    assert "does not answer" in ran.err


def test_of_two_that_write_one_plan_file_at_once_neither_takes_the_others_draft(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, pid = os.fsync, os.getpid()
    codes: list[int] = []

    def meanwhile(handle: int) -> None:
        if not codes and "site.plan" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            codes.append(0)
            with pytest.MonkeyPatch.context() as other:
                other.setattr(os, "getpid", lambda: pid + 1)
                codes[:] = [site.run("plan", "--out", "site.plan").code]
        written(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert site.run("plan", "--out", "site.plan").code == 2
    assert codes == [2]
    assert plans.loads((site.folder / "site.plan").read_bytes()).pending


def test_a_failed_action_ends_with_1_and_the_same_command_goes_on(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: object, _world: object) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(memory.Box, "create", fails)
        ran = site.run("apply", "--yes")
    assert ran.code == 1
    assert "not all done" in ran.out
    assert "memory.box:left/one" in ran.err
    site.fine("apply", "--yes")


@pytest.mark.parametrize("named", [True, False], ids=["opening", "writing"])
@pytest.mark.parametrize("file", ["plan.json", "events.jsonl"])
def test_a_disk_that_is_full_when_a_run_begins_is_told_as_such_and_by_its_place(
    site: Command, monkeypatch: pytest.MonkeyPatch, file: str, named: bool
) -> None:
    opened = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([str(path)] if named else []))
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        ran = site.run("apply", "--yes")
    assert ran.code == 1
    assert "No space left" in ran.err
    assert "fault of paver" not in ran.err
    assert f"  seen  {site.folder / '.paver' / 'lab-north'}" in ran.err
    assert (file in ran.err) is named
    site.fine("apply", "--yes")


def test_a_disk_that_takes_no_event_is_warned_of_once_and_decides_nothing(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        return opened(Path("/dev/full") if path.name == "events.jsonl" else path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        ran = site.fine("apply", "--yes", "--progress", "lines")
    assert ran.err.count("can't be written: No space left on device; the run goes on") == 1
    assert "✓" in ran.out
    assert "failed" not in (site.runs[-1] / "journal.jsonl").read_text().replace('"failed":[]', "")
    assert site.run("plan").code == 0


def test_what_paver_itself_failed_with_is_told_by_its_place_and_not_by_its_words(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "Correct-Horse-9"

    def fails(_self: object, _world: object) -> None:
        raise ValueError(secret)

    monkeypatch.setattr(memory.Box, "create", fails)
    ran = site.run("apply", "--yes")
    assert ran.code == 1
    assert "ValueError" in ran.err
    assert "fails in test_acting.py:" in ran.err
    (folder,) = site.runs
    written = "".join(path.read_text() for path in folder.iterdir())
    assert secret not in ran.out + ran.err + written


def test_drift_between_plan_and_apply_is_refused(site: Command) -> None:
    site.fine("apply", "--yes")
    site.write(shelves="{left: {one: 5, two: 2}}")
    site.run("plan", "--out", "site.plan")
    things = site.things("left")
    things["one"]["size"] = 7
    site.put("left", things)
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "changed since the plan was made" in ran.err


def test_a_refusal_in_a_run_that_made_nothing_says_so_and_one_after_a_write_does_not(site: Command) -> None:
    site.fine("apply", "--yes")
    for drifted, last in (("one", "  exit  4  nothing was changed"), ("two", "  exit  4")):
        site.write(shelves="{left: {one: 5, two: 6}}")
        site.run("plan", "--out", "site.plan")
        before = site.things("left")
        site.put("left", {**before, drifted: {**before[drifted], "size": 7}})
        ran = site.run("apply", "site.plan")
        assert ran.code == 4
        assert ran.err.splitlines()[-1] == last
        site.put("left", before)


def test_a_disk_that_is_full_while_journalling_fails_before_anything_is_done(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: object, event: str, _fields: object = None) -> None:
        if event == "begun":
            raise JournalError("the journal cannot be written: no space left on device")

    monkeypatch.setattr(Journal, "write", full)
    ran = site.run("apply", "--yes")
    assert ran.code == 1
    assert not (site.room / "left").exists()


def test_a_run_that_was_stopped_ends_with_130(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_self: object, _world: object) -> None:
        raise Interrupted("stopped while it waited")

    monkeypatch.setattr(memory.Box, "create", stopped)
    assert site.run("apply", "--yes").code == 130


def test_a_first_interrupt_says_what_it_waits_for_and_a_second_one_would_leave(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    progress = Progress()
    progress(Happening(what="begun", resource="memory.box:left/one", phase="left"))
    with opening.stopping(progress.stopping) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
    told = capsys.readouterr().err
    assert "nothing new is started" in told
    assert "waits for memory.box:left/one" in told
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Has SIGINT do what it does at a terminal: a shell starts its background jobs with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_before_anything_was_begun_ends_the_command_with_130(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        # A handler of paver's own would make the person wait at the question, or the plan go on being made.
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the command goes on")

    with monkeypatch.context() as planning:
        planning.setattr(memory.Box, "read", interrupted)
        for argv in (("plan",), ("apply", "--yes"), ("status",)):
            ran = site.run(*argv)
            assert ran.code == 130, (argv, ran)
            assert "the same command goes on" in ran.err
    site.terminal("lab-north")
    monkeypatch.setattr("builtins.input", interrupted)
    ran = site.run("apply")
    assert ran.code == 130
    assert "exit  130  nothing was changed" in ran.err
    assert list(site.room.iterdir()) == []


def test_an_input_that_ends_at_a_question_confirms_nothing(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> str:
        raise EOFError

    site.terminal()
    monkeypatch.setattr("builtins.input", ended)
    monkeypatch.setattr("getpass.getpass", ended)
    for argv in (("apply",), ("secrets", "set", "foo")):
        ran = site.run(*argv)
        assert ran.code == 4, (argv, ran)
        assert "the input ended without an answer" in ran.err
    assert list(site.room.iterdir()) == []


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_whoever_confirms_a_plan_sees_it_where_the_outcome_goes_into_a_file(
    site: Command, more: tuple[str, ...]
) -> None:
    site.terminal("lab-north")
    ran = site.run("apply", "--progress", "none", *more)
    assert ran.code == 0
    assert "box one" in ran.err
    assert "Type the site's name: " in ran.err
    assert "Type the site's name" not in ran.out
    assert ("box one" in ran.out) is False
    if more:
        assert json.loads(ran.out)["failed"] == []


def test_a_plan_without_changes_says_nothing_of_a_world_that_has_moved_on_since(site: Command) -> None:
    site.fine("apply", "--yes")
    site.fine("plan", "--out", "site.plan")
    assert "resources are as they are wished" in site.fine("apply", "site.plan").out
    site.put("left", {"one": {**site.things("left")["one"], "size": 77}})
    ran = site.fine("apply", "site.plan")
    assert ran.out == "nothing to do: the plan has no changes\n"
    assert "2 changes pending, which came after this plan was made" in ran.err
    assert "2 changes pending" in site.fine("apply", "site.plan", "--json").err


def test_a_plan_file_is_carried_out_as_it_is_and_takes_no_selection(site: Command) -> None:
    site.run("plan", "--out", "site.plan")
    for part in (("--phase", "boxes"), ("--only", "memory.box:*")):
        ran = site.run("apply", "site.plan", *part)
        assert ran.code == 3
        assert "do not go with a plan file" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_plan_that_cannot_be_carried_out_is_refused_before_anybody_is_asked(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run("plan", "--offline", "--out", "offline.plan")
    site.fine("apply", "--yes")
    site.run("plan", "--destroy", "--allow", "*", "--out", "all.plan")

    def asked(_self: object, _world: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(memory.Box, "read", asked)
    assert "offline cannot be applied" in site.run("apply", "offline.plan").err
    assert "the command does not name it" in site.run("apply", "all.plan").err
    site.write(dials="{loud: 4}")
    assert "not of this site file" in site.run("apply", "all.plan", "--allow", "*").err


def test_a_station_that_is_none_is_bad_input(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAVER_STATION", "Jumpbox")
    ran = site.run("plan")
    assert ran.code == 3
    assert "PAVER_STATION: 'Jumpbox' is no station" in ran.err
    monkeypatch.setenv("PAVER_STATION", "")
    assert site.run("plan").code == 2


def test_what_is_left_for_another_station_ends_with_5(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def partly(_ended: Ended, _rest: str) -> None:
        raise PartlyDone("2 actions are left for another station", do="run it outside")

    monkeypatch.setattr(outcome, "demand_whole", partly)
    ran = site.run("apply", "--yes")
    assert ran.code == 5
    assert "run it outside" in ran.err


def test_a_destroy_on_the_jumpbox_leaves_what_is_reached_from_outside_and_ends_with_5(site: Command) -> None:
    site.fine("apply", "--yes")
    left = site.things("left")
    for run in site.runs:
        shutil.rmtree(run)
    ran = site.run("destroy", "--allow", "*", "--yes", "--station", "jumpbox")
    assert ran.code == 5, ran
    assert site.things("left") == left
    told = ran.err.splitlines()
    assert told[1] == "  seen  memory.box:left/one, memory.box:left/two, memory.dial:loud and 1 more"
    assert told[2] == f"  do    copy {site.runs[-1]} away: its journal goes with this machine"
    # The one command that goes on from there, to be copied.
    label, verb, *rest = shlex.split(told[-2])
    assert (label, verb) == ("do", "paver")
    site.fine(*rest, "--yes")
    assert site.things("left") == {}


def test_what_was_handed_over_does_only_its_own_stations_part(site: Command) -> None:
    site.run("plan", "--out", "site.plan")
    handed = site.folder / plans.loads((site.folder / "site.plan").read_bytes()).digest
    handed.mkdir()
    (handed / "done.json").write_text("[]")
    site.fine("apply", "site.plan", "--station", "jumpbox", "--handed-off", str(handed))
    outcome = json.loads((handed / "outcome.json").read_text())
    assert outcome["acted"] == []
    assert "memory.box:left/one" in outcome["left"]
    assert list(site.room.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "state"),
    [
        (Unobservable("jumpbox: the line broke", do="look at it"), 1, "failed"),
        (Interrupted("stopped following; the run on the jumpbox goes on"), 130, "interrupted"),
        (KeyError("a value"), 1, "failed"),
    ],
)
def test_a_run_whose_hand_off_fails_or_is_stopped_has_an_end_that_says_so(
    site: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, state: str
) -> None:
    wish = memory.wish
    monkeypatch.setattr(
        memory, "wish", lambda settings: dataclasses.replace(wish(settings), outside=frozenset({"shelves"}))
    )

    def fails(*_: object) -> Any:
        raise error

    monkeypatch.setattr(handoff.HandOff, "carry_on", fails)
    ran = site.run("apply", "--yes", "--progress", "none")
    assert ran.code == code
    (run,) = site.runs
    end = json.loads((run / "journal.jsonl").read_text().splitlines()[-1])
    told = str(error) if isinstance(error, PaverError) else "KeyError"
    assert (end["error"], end["done"], end["failed"], end["left"]) == (told, 2, [], 2)
    assert "look at it" in ran.err or code == 130 or "KeyError" in ran.err
    assert "a value" not in ran.err + ran.out
    assert "its head" in ran.out
    assert f"last  {state}, " in site.fine("follow", "--local").out
    again = site.run("follow", "--last")
    assert again.code == 1
    assert "killed" not in again.err
    assert (run / "faults.txt").exists() is isinstance(error, KeyError)


def test_a_plan_that_was_changed_where_it_was_handed_over_is_not_carried_out(site: Command) -> None:
    site.run("plan", "--out", "site.plan")
    handed = site.folder / ("0" * 64)
    handed.mkdir()
    (handed / "done.json").write_text("[]")
    ran = site.run("apply", "site.plan", "--station", "jumpbox", "--handed-off", str(handed))
    assert ran.code == 4
    assert "the plan is not the one that was handed over" in ran.err
    assert list(site.room.iterdir()) == []


def test_a_fault_of_paver_says_so_and_shows_no_trace_unasked(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: object, _site: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(memory.MemoryDriver, "pave", broken)
    ran = site.run("plan")
    assert ran.code == 1
    assert "paver itself failed: ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("PAVER_TRACE", "1")
    assert "Traceback" in site.run("plan").err


def test_without_the_key_a_plan_is_made_and_an_apply_is_not(site: Command) -> None:
    (site.folder / "site.key").unlink()
    assert site.run("plan").code == 2
    ran = site.run("apply", "--yes")
    assert ran.code == 3
    assert "key is needed to act" in ran.err


def test_a_sealed_store_that_was_put_back_is_refused(site: Command) -> None:
    store = site.folder / "lab-north.sealed"
    old = store.read_bytes()
    site.fine("apply", "--yes")
    store.write_bytes(old)
    ran = site.run("plan")
    assert ran.code == 4
    assert "older than what was seen before" in ran.err


def test_another_sealed_store_in_its_place_is_refused(site: Command) -> None:
    site.run("plan")
    (site.folder / "other").mkdir()
    other = site.folder / "other" / "x.sealed"
    site.fine("secrets", "init", "--sealed", str(other), "--key", "file:other.key")
    assert site.run("plan", "--sealed", str(other), "--key", "file:other.key").code == 2
    other.replace(site.folder / "lab-north.sealed")
    ran = site.run("plan", "--key", "file:other.key")
    assert ran.code == 4
    assert "another store" in ran.err


def test_apply_as_json_prints_one_document_and_nothing_else(site: Command) -> None:
    ran = site.fine("apply", "--yes", "--json")
    assert ran.json["schema"] == "paver.outcome/1"
    assert ran.json["left"] == []
    assert Path(ran.json["folder"]).is_dir()


def test_a_run_that_failed_prints_its_outcome_as_json_and_no_second_document(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: object, _world: object) -> None:
        raise PaverError("the shelf is full", do="make room")

    monkeypatch.setattr(memory.Box, "create", fails)
    ran = site.run("apply", "--yes", "--json")
    assert ran.code == 1
    assert ran.json["schema"] == "paver.outcome/1"
    assert ran.json["failed"] == [{"resource": "memory.box:left/one", "what": "the shelf is full"}]
    assert ran.err.startswith("error: the shelf is full\n  do    make room\n  exit  1")


def test_the_first_line_of_the_journal_says_who_acted_and_how_that_was_approved(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    for size, argv, approval in (
        (1, ("apply", "--yes"), "by --yes"),
        (2, ("apply", "site.plan"), "given as a file"),
        (3, ("apply", "--progress", "none"), "confirmed on the terminal"),
    ):
        site.write(dials=f"{{loud: {size}}}")
        site.run("plan", "--out", "site.plan")
        if size == 3:
            site.terminal("lab-north")
        before = set(site.runs)
        site.fine(*argv)
        (folder,) = set(site.runs) - before
        opened = json.loads((folder / "journal.jsonl").read_text().splitlines()[0])
        user = pwd.getpwuid(os.getuid()).pw_name
        assert (opened["by"], opened["approval"]) == (f"{user} on {socket.gethostname()}", approval)
        assert f"{user} on" in (folder / "report.html").read_text()


def test_what_is_tried_again_while_a_run_acts_stands_in_its_journal(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires: list[Wire] = []
    answers: list[BaseException | None] = [ConnectionResetError(), None]
    create = memory.Box.create

    def connect(shelf: Any, wire: Wire) -> Any:
        wires.append(wire)
        return shelf

    def cut() -> None:
        answer = answers.pop(0) if answers else None
        if answer is not None:
            raise answer

    def made(box: Any, world: Any) -> None:
        wires[-1].repeated("left", "looking for room", cut)
        create(box, world)

    monkeypatch.setattr(memory.Shelf, "connect", connect)
    monkeypatch.setattr(memory.Box, "create", made)
    site.fine("apply", "--yes", "--progress", "none")
    (folder,) = site.runs
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    (retry,) = [line for line in lines if line["event"] == "retry"]
    told = (retry["endpoint"], retry["doing"], retry["attempt"])
    assert told == ("left", "looking for room", 1)
    assert retry["what"] == "ConnectionResetError"


def test_events_are_kept_for_whoever_follows(site: Command) -> None:
    ran = site.fine("apply", "--yes", "--progress", "events")
    (folder,) = site.runs
    kept = (folder / "events.jsonl").read_text()
    assert kept in ran.out
    assert '"what":"done"' in kept


def test_a_plan_file_that_takes_away_what_is_protected_needs_the_command_to_name_it_too(
    site: Command,
) -> None:
    site.fine("apply", "--yes")
    left = site.things("left")
    assert site.run("plan", "--destroy", "--allow", "*", "--out", "site.plan").code == 2
    ran = site.run("apply", "site.plan")
    assert ran.code == 4
    assert "trust.authority:root, which is protected, and the command does not name it" in ran.err
    assert "nothing was changed" in ran.err
    assert site.things("left") == left
    site.fine("apply", "site.plan", "--allow", "trust.*")
    assert site.things("left") == {}


def test_leave_for_what_no_action_is_named_is_warned_of(site: Command) -> None:
    warning = "warning: --allow {}: no action of this plan is named so"
    ran = site.run(
        "plan", "--allow", "nope", "--allow", "memory.box:left/on", "--allow", "memory.*", "--json"
    )
    assert ran.code == 2
    assert ran.err.splitlines() == [
        warning.format("nope"),
        f"{warning.format('memory.box:left/on')}; did you mean memory.box:left/one?",
    ]
    assert warning.format("nope") in site.fine("apply", "--yes", "--allow", "nope").err
    assert site.run("plan", "--destroy", "--allow", "*").err == ""


def test_a_file_that_is_larger_than_any_plan_is_not_read_to_its_end(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "MOST_PLAN_BYTES", 1024 * 1024)
    with (site.folder / "site.plan").open("wb") as file:
        file.truncate(2**40)
    ran = site.run("apply", "site.plan")
    assert ran.code == 3
    assert "site.plan is not a plan: it has more than 1 MiB" in ran.err


def test_what_a_run_that_began_on_the_jumpbox_sealed_there_is_taken_in_before_anything_is_written_here(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fine("apply", "--yes")
    ours, theirs = site.folder / "lab-north.sealed", site.folder / "theirs.sealed"
    theirs.write_bytes(ours.read_bytes())
    key = keys.key_source("file:site.key", base=site.folder)
    with store.writer(theirs, key, "paver destroy on the jumpbox") as writer:
        writer.remove("root")
    machine = SimpleNamespace(read_file=lambda _: theirs.read_bytes())
    monkeypatch.setattr(handoff, "reachable", lambda _: machine)
    monkeypatch.setattr(wayback, "running", lambda *_: None)
    site.fine("apply", "--yes")
    (made,) = [
        line for line in (site.runs[-1] / "journal.jsonl").read_text().splitlines() if '"seal:put"' in line
    ]
    assert '"target":"root"' in made, "the plan was made again: what is gone there is gone here"
    index = store.open_index(ours)
    assert store.open_index(theirs).digest in index.ancestry


def test_a_part_of_the_site_that_knows_no_jumpbox_is_not_changed_while_a_run_goes_on_there(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fine("apply", "--yes", "--phase", "trust")
    under_way = site.folder / "whole.plan"
    site.run("plan", "--out", str(under_way))
    running = JobState(
        "running", argv=("paver", "apply", "plan.json", "--begun-by=alice on desk"), started=1_795_456_800
    )
    machine = SimpleNamespace(read_file=lambda path: under_way.read_bytes() if path == "plan.json" else None)
    monkeypatch.setattr(newest, "jumpbox", lambda _: machine)
    monkeypatch.setattr(job, "state", lambda *_: running)
    ran = site.run("apply", "--yes", "--only", "memory.dial:loud")
    refused(ran, 4, "another plan of this site", "begun by alice on desk, 2026-11-23 18:00:00 UTC")
    assert list(site.room.iterdir()) == []


def test_the_sealed_store_is_free_while_the_jumpbox_carries_on_and_what_was_sealed_there_is_seen(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = site.folder / "lab-north.sealed"
    pave = memory.MemoryDriver.pave
    inside = frozenset({"shelves"})
    monkeypatch.setattr(
        memory.MemoryDriver, "pave", lambda *to: dataclasses.replace(pave(*to), outside=inside)
    )
    seen: list[str | None] = []

    def carry_on(hand: Any, _done: object, _journal: object, _tell: object) -> Ended:
        # Over there the same store is written, by another process.
        with store.writer(sealed, hand.key, "the run on the jumpbox") as writer:
            writer.put("made-there", "a value", made_by="test")
        done = frozenset(action.resource for action in hand.commission.plan.pending)
        return Ended(done=done, acted=frozenset(), failed=(), left=(), head="1:0")

    close = Session.close

    def closed(session: Session) -> None:
        seen.append(session.vault.version(Secret("made-there")))
        close(session)

    monkeypatch.setattr(handoff.HandOff, "carry_on", carry_on)
    monkeypatch.setattr(handoff, "reachable", lambda _: None)
    monkeypatch.setattr(Session, "close", closed)
    site.fine("apply", "--yes")
    assert seen[-1] is not None
