"""The verbs that look: validate, status, verify, follow, preflight, ports, contract, drivers, version."""

from __future__ import annotations

import argparse
import base64
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

from paver.cli import acting, out, parsers
from paver.cli.commands import COMMANDS
from paver.driver import Check, Finding, Grade, Secret
from paver.drivers.vsphere import DRIVER
from paver.errors import PaverError, Unobservable
from paver.report.lines import Lines
from paver.runs import newest, reach
from paver.runs.events import Happening, Tell, parse
from paver.runs.folder import RUN_FILES, SiteFolder
from paver.runs.progress import Progress, State
from paver.sitefile.diagnostic import UNSEEN
from paver.sitefile.init import init_text
from paver.transport import job
from paver.transport.context import Wire
from paver.transport.job import JobState
from paver.transport.logins import LoginError
from paver.trust.vault import Sealed
from tests.support.command import Command, command
from tests.support.memory import memory
from tests.support.ran import Ran, refused
from tests.unit.test_foundation_yaml_text import BOMB


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return command(tmp_path, capsys, monkeypatch)


@pytest.fixture
def whole(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A site of vSphere's driver with all that stands on it; its hosts are not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(type(DRIVER), "preflight", lambda *_: ())
    made = Command(tmp_path, capsys, monkeypatch)
    made.site.write_text(init_text(DRIVER, "lab-north").replace("/etc/paver/site.key", "site.key"))
    made.fine("secrets", "init")
    return made


def test_every_verb_has_help_with_examples(site: Command) -> None:
    overview = site.fine("--help").out
    for verb in COMMANDS:
        assert f"  {verb} " in overview
        shown = site.fine(verb, "--help").out
        assert "examples:" in shown
        assert f"paver {verb}" in shown


@pytest.mark.parametrize("verb", ["image", "lab", "secrets"])
def test_help_below_a_verb_has_the_examples_that_are_of_it(site: Command, verb: str) -> None:
    examples = site.fine(verb, "--help").out.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    named = {words[words.index(verb) + 1] for words in map(str.split, examples)}
    assert len(named) >= 5
    for name in named:
        own = [line for line in examples if f"paver {verb} {name}" in line]
        assert site.fine(verb, name, "--help").out.endswith("\n".join(["examples:", *own, ""]))


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_on_a_terminal_help_is_no_wider_than_that_and_says_the_same(
    site: Command, monkeypatch: pytest.MonkeyPatch, verb: str, width: int
) -> None:
    as_written = site.fine(verb, "--help").out
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(out, "width", lambda: width)
    shown = site.fine(verb, "--help").out
    assert [line for line in shown.splitlines() if len(line) > width] == []
    assert shown.split() == as_written.split()
    if width == 200:
        examples = as_written.partition("examples:")[2]
        assert shown.endswith(examples)


def test_no_verb_is_bad_input_and_a_near_one_is_suggested(site: Command) -> None:
    assert site.run().code == 3
    ran = site.run("aply")
    assert ran.code == 3
    assert "did you mean `paver apply`?" in ran.err
    ran = site.run("-s", "site.yml", "plan")
    assert ran.code == 3
    assert "the command comes first: `paver COMMAND -s`" in ran.err


def test_the_overview_fits_a_terminal_and_begins_with_what_makes_a_store(site: Command) -> None:
    shown = site.fine("--help").out
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    recipe = [
        line.split()[1:3] for line in shown.partition("A first time:\n")[2].splitlines() if "  paver" in line
    ]
    assert recipe.index(["secrets", "init"]) < recipe.index(["secrets", "set"])


def test_the_overview_fits_a_narrow_terminal_and_says_the_same(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_written = site.fine("--help").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert site.fine("--help").out == as_written
    monkeypatch.setenv("COLUMNS", "40")
    shown = site.fine("--help").out
    assert [line for line in shown.splitlines() if len(line) > 40] == []
    assert shown.split() == as_written.split()


def test_help_of_a_verb_is_had_both_ways(site: Command) -> None:
    assert site.fine("help", "plan").out == site.fine("plan", "--help").out
    assert site.fine("help").out == site.fine("--help").out


@pytest.mark.parametrize(
    ("argv", "said", "near"),
    [
        (("plan", "--ofline"), "paver plan: unrecognized arguments: --ofline", "--offline"),
        (("image", "verfy", "x.ova"), "paver image has no 'verfy'", "verify"),
        (("image", "artefacts", "--sgn", "key", "x"), "paver image: unrecognized arguments: --sgn", "--sign"),
        (("apply", "--progress", "liv"), "paver apply: argument --progress: invalid choice: 'liv'", "live"),
        (("plan", "--nonsense"), "paver plan: unrecognized arguments: --nonsense", ""),
        (("contract", "--json"), "paver contract: unrecognized arguments: --json", ""),
        (("image", "diff", "a.ova"), "paver image diff: the following arguments are required: NEW", ""),
        (("plan", "--out"), "paver plan: argument -o/--out: expected one argument", ""),
    ],
)
def test_what_is_misspelt_is_bad_input_told_as_any_error_with_what_is_near(
    site: Command, argv: tuple[str, ...], said: str, near: str
) -> None:
    ran = site.run(*argv)
    assert ran.code == 3
    lines = ran.err.splitlines()
    assert lines[0].startswith(f"error: {said}")
    assert lines[1].startswith(f"  do    did you mean {near}? `paver" if near else "  do    `paver")
    assert lines[2:] == ["  exit  3"]


@pytest.mark.parametrize(("verb", "known"), [("lab", "up, down, "), ("image", "lock, build, ")])
def test_a_verb_of_verbs_alone_is_told_which_there_are(site: Command, verb: str, known: str) -> None:
    ran = site.run(verb)
    assert ran.code == 3
    assert ran.err.splitlines()[0] == f"error: paver {verb}: what it is to do is missing"
    assert ran.err.splitlines()[1].startswith(f"  do    one of {known}")


def test_a_site_file_that_is_named_without_its_option_is_told_with_it(site: Command) -> None:
    assert (
        site.run("validate", "site.yml")
        .err.splitlines()[1]
        .startswith("  do    did you mean --site site.yml?")
    )
    assert "--site" not in site.run("validate", "none.yml").err, "there is no such file"
    assert "--site site.yml" not in site.run("secrets", "list", "site.yml").err, (
        "what stands here may be a secret"
    )
    assert "--site" not in site.run("drivers", "site.yml").err, "it takes none"


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (("validate", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("plan", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("plan", "--phase", "roofs"), 3, "there is no phase roofs"),
        (("apply", "none.plan"), 3, "the plan none.plan can't be read"),
        (("apply",), 4, "nobody is there to confirm the plan"),
        (("destroy", "--phase", "roofs"), 3, "there is no phase roofs"),
        (("status", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("verify", "--only", "memory.box:none"), 3, "nothing is selected by memory.box:none"),
        (("preflight", "--key", "file:none.key"), 3, "there is no key file"),
        (("ports", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("env", "bsh"), 3, "paver knows no tool bsh"),
        (("secrets", "list", "-s", "none.yml"), 3, "the site file none.yml can't be read"),
        (("lab", "status", "--dir", "none"), 1, "no lab is up in"),
        (("image", "verify", "none.ova"), 3, "none.ova"),
        (("image", "diff", "none.ova", "none.ova"), 3, "none.ova"),
        (("image", "prove", "none.ova"), 3, "none.ova"),
        (("secrets",), 3, "paver secrets: unrecognized arguments: --json"),
        (("drivers", "--cals"), 3, "paver drivers: unrecognized arguments: --cals"),
        (("version", "--jsn"), 3, "paver version: unrecognized arguments: --jsn"),
        (("versio",), 3, "paver has no command 'versio'"),
    ],
)
def test_whoever_asks_for_json_gets_one_document_of_an_error_too(
    site: Command, argv: tuple[str, ...], code: int, what: str
) -> None:
    ran = site.run(*argv, "--json")
    assert ran.code == code, ran
    found = ran.json
    assert (found["schema"], found["exit"]) == ("paver.error/1", code)
    assert what in found["what"]
    assert f"error: {found['what']}" in ran.err, "people are told as ever"


def test_the_list_above_leaves_out_no_verb_that_prints_json() -> None:
    (listed,) = (
        mark.args[1]
        for mark in test_whoever_asks_for_json_gets_one_document_of_an_error_too.pytestmark  # type: ignore[attr-defined]
    )
    named = {argv[: len(verb)] for argv, _, _ in listed for verb in _with_json(parsers.whole(), ())}
    assert set(_with_json(parsers.whole(), ())) <= named


def test_every_json_document_names_its_format(site: Command) -> None:
    for argv in (
        ("version",),
        ("drivers",),
        ("validate",),
        ("ports",),
        ("status", "--quick"),
        ("secrets", "list"),
    ):
        assert site.fine(*argv, "--json").json["schema"] == f"paver.{argv[0]}/1"


@pytest.mark.parametrize("state", ["bare", "paved", "drifted", "store broken", "file broken"])
def test_however_a_site_stands_every_verb_has_one_document_of_it(site: Command, state: str) -> None:
    if state in {"paved", "drifted"}:
        site.fine("apply", "--yes")
    if state == "drifted":
        site.put("left", {"one": 7})
    if state == "store broken":
        (site.folder / "lab-north.sealed").write_text("not one")
    if state == "file broken":
        site.site.write_text("paver: 1\nname: [\n")
    for verb in _with_json(parsers.whole(), (), "--site"):
        ran = site.run(*verb, "--json", *(["--yes"] if verb[0] in {"apply", "destroy"} else []))
        assert ran.json["schema"].startswith("paver."), verb


def test_an_option_of_a_verb_below_is_said_to_be_its(site: Command) -> None:
    assert site.run("secrets", "--json").json["do"] == "`paver secrets list` takes --json"


def _with_json(
    parser: argparse.ArgumentParser, verb: tuple[str, ...], beside: str = "--help"
) -> Iterator[tuple[str, ...]]:
    """Yields the verbs that take --json, and another option beside it."""
    for action in parser._actions:
        if "--json" in action.option_strings and beside in parser._option_string_actions:
            yield verb
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _with_json(below, (*verb, name), beside)


def test_an_error_of_the_site_file_names_each_place_also_as_json(site: Command) -> None:
    site.site.write_text(site.site.read_text().replace("gateway: 10.30.0.1,", "gateway: 10.31.0.1,"))
    assert "site.yml:11:39: networks.bosh.gateway" in site.run("plan", "--json").json["seen"]


def test_what_belongs_to_a_command_inside_the_lab_is_not_taken_for_pavers(site: Command) -> None:
    ran = site.run("lab", "shell", "--dir", "none", "--", "paver", "plan", "--json")
    assert (ran.code, ran.out) == (1, "")


def test_a_site_that_is_right_is_told_in_one_line(site: Command) -> None:
    ran = site.fine("validate")
    assert ran.out.startswith("ok: site.yml: site lab-north · driver memory · 2 networks")


def test_what_is_wrong_is_told_with_file_line_column_and_path(site: Command) -> None:
    site.site.write_text(site.site.read_text().replace("gateway: 10.30.0.1,", "gateway: 10.31.0.1,"))
    ran = site.run("validate")
    assert ran.code == 3
    assert re.search(r"error: site\.yml:\d+:\d+: networks\.bosh\.gateway", ran.err)
    assert ran.err.rstrip().endswith("exit  3")
    found = site.run("validate", "--json")
    assert found.code == 3
    assert found.json["ok"] is False
    assert found.json["findings"][0]["path"] == "networks.bosh.gateway"


def test_what_sections_say_of_each_other_is_told_as_far_as_they_are_right_and_that_there_may_be_more(
    site: Command,
) -> None:
    right = site.site.read_text()
    between = right.replace("address: 10.30.0.12", "address: 10.30.0.11").replace(
        "address: 10.30.0.10, az: z1", "address: 10.30.0.10, az: z9"
    )

    def told(text: str) -> tuple[set[str], bool, bool]:
        site.site.write_text(text)
        found = site.run("validate", "--json").json
        return {one["path"] for one in found["findings"]}, found["whole"], UNSEEN in site.run("validate").err

    both = {"bucc.az", "services.registry.address"}
    assert told(between) == (both, True, False)
    wrong = between.replace("colour: grey", "colour: [grey]")
    assert told(wrong) == ({"iaas.colour", *both}, False, True)
    unread = wrong.replace("zone: north.example", "zone: 7")
    assert told(unread) == ({"iaas.colour", "site_services.zone"}, False, True), (
        "nothing that follows from it"
    )
    assert told(right) == (set(), True, False)


@pytest.mark.parametrize("width", [40, 60, 200])
def test_on_a_terminal_the_line_that_is_wrong_is_cut_around_what_is_underlined(
    site: Command, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    long = "az: z1, reserved: [10.30.0.1], static: [10.30.0.10-10.31.0.30]"
    text = re.sub(r"az: z1, reserved.*?\],\s*static: \[.*?\]", long, site.site.read_text(), flags=re.DOTALL)
    site.site.write_text(text)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = site.run("validate").err.splitlines()
    excerpt, under = (next(line for line in lines if re.match(sign, line)) for sign in (r" +\d+ \|", r" +\|"))
    start = under.index("^")
    assert excerpt[start : under.rindex("^") + 1] == "10.30.0.10-10.31.0.30"
    assert [line for line in lines if len(line) > width] == []


def test_validating_as_json_tells_the_digest(site: Command) -> None:
    found = site.fine("validate", "--json").json
    assert found["ok"] is True
    assert re.fullmatch(r"[0-9a-f]{64}", found["site"]["digest"])


def test_a_missing_site_file_is_bad_input(site: Command) -> None:
    ran = site.run("plan", "--site", "none.yml")
    assert ran.code == 3
    assert "name it with --site or PAVER_SITE, or let `paver init` write one" in ran.err


def test_status_tells_who_runs_what_is_pending_and_how_to_get_in(site: Command) -> None:
    ran = site.run("status")
    assert ran.code == 2
    assert "last run  none from this machine" in ran.out
    assert "changes pending" in ran.out
    assert "paver@10.20.0.10" in ran.out
    site.fine("apply", "--yes")
    ran = site.fine("status")
    assert "as wished: 4 resources" in ran.out
    assert "last run  done" in ran.out
    assert "the next to end is authority root" in ran.out
    assert "lab-north.sealed: `paver secrets list`" in ran.out
    with SiteFolder(site.folder / ".paver", "lab-north").locked("paver apply"):
        assert "running   paver apply, process" in site.fine("status", "--quick").out


def test_status_as_json_has_no_secret_and_names_where_each_is(site: Command) -> None:
    site.fine("apply", "--yes")
    found = site.fine("status", "--json").json
    assert found["pending"] == 0
    assert found["last_run"]["state"] == "done"
    assert {"name": "director", "secret": "director-admin"}.items() <= next(
        door for door in found["doors"] if door["name"] == "director"
    ).items()


def test_a_login_that_is_refused_is_a_failure_for_each_verb_that_looks_as_the_table_of_exit_codes_says(
    site: Command,
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise LoginError("esx-01 refuses the login of root")

    site.patch.setattr(memory.Box, "discover", refused)
    assert {verb: site.run(verb).code for verb in ("status", "plan", "verify")} == dict.fromkeys(
        ("status", "plan", "verify"), 1
    )
    page = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text()
    bad_input = {
        cells[1].strip(): cells[5] for line in page.splitlines() if len(cells := line.split("|")) == 8
    }
    assert {verb for verb, said in bad_input.items() if "password" in said} == {"`preflight`"}


def test_a_site_that_cannot_be_asked_hides_nothing_else(site: Command) -> None:
    site.room.rmdir()
    ran = site.run("status")
    assert ran.code == 1
    assert "not known: the shelf" in ran.out
    assert "ways in" in ran.out


def test_verify_holds_fails_or_differs(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.run("verify").code == 2
    site.fine("apply", "--yes")
    ran = site.fine("verify")
    assert re.fullmatch(r"\d+ hold\n", ran.out)
    things = site.things("left")
    things["one"]["size"] = 8
    site.put("left", things)
    ran = site.run("verify")
    assert ran.code == 2
    assert "other: size" in ran.out

    def checks(_self: object, _world: object, _facts: object) -> Iterator[Check]:
        yield Check("it is light", ok=False, seen="8 kg")

    monkeypatch.setattr(memory.Box, "checks", checks)
    ran = site.run("verify", "--json")
    assert ran.code == 1
    assert {"check": "it is light", "state": "fails", "seen": "8 kg"}.items() <= next(
        proof for proof in ran.json["proofs"] if proof["state"] == "fails"
    ).items()


def test_what_cannot_be_proven_is_never_taken_for_proven(
    site: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fine("apply", "--yes")

    def checks(_self: object, _world: object, _facts: object) -> Iterator[Check]:
        raise Unobservable("the scales do not answer")
        yield

    monkeypatch.setattr(memory.Box, "checks", checks)
    ran = site.run("verify", "--json")
    assert (ran.code, ran.json["exit"]) == (1, 1)
    unseen = [proof for proof in ran.json["proofs"] if proof["state"] == "unseen"]
    assert {proof["seen"] for proof in unseen} == {"the scales do not answer"}
    assert {proof["state"] for proof in ran.json["proofs"]} == {"holds", "unseen"}


def test_verify_writes_nothing(site: Command) -> None:
    site.fine("apply", "--yes")
    before = {path.name: path.read_bytes() for path in site.room.iterdir()}
    site.fine("verify")
    assert {path.name: path.read_bytes() for path in site.room.iterdir()} == before


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


class _Machine:
    """A jumpbox with one file, and a job that is told line by line."""

    name = "jumpbox"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)


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
    machine = _Machine({"/handed/plan.json": plan})
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
        self.machine = machine = _Machine({"/handed/plan.json": (former / "plan.json").read_bytes()})
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


def test_the_contract_is_read_from_the_jumpbox(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.dumps({"schema": "paver.contract/1"}).encode()
    machine = _Machine({"/var/lib/paver/sites/lab-north/contract.json": document})
    monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
    assert site.fine("contract").json == {"schema": "paver.contract/1"}
    machine.files.clear()
    ran = site.run("contract")
    assert ran.code == 1
    assert "has no contract yet" in ran.err
    monkeypatch.setattr(reach, "jumpbox", lambda _session: None)
    assert "has no jumpbox yet" in site.run("contract").err


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMtK5uFBddXOUn+TcNn1bMl3WEVK4+DZ3cQFm/RcO2xs"


def with_host_keys(keys: object, ip: str = "10.20.0.10") -> bytes:
    return json.dumps({"jumpbox": {"host_keys": keys, "ip": ip}, "schema": "paver.contract/1"}).encode()


def known_hosts(site: Command, monkeypatch: pytest.MonkeyPatch, contract: bytes) -> Ran:
    machine = _Machine({"/var/lib/paver/sites/lab-north/contract.json": contract})
    monkeypatch.setattr(reach, "jumpbox", lambda _session: machine)
    return site.run("contract", "--known-hosts")


@pytest.mark.parametrize("keys", [[HOST_KEY], [f"{HOST_KEY} root@jumpbox"], HOST_KEY])
def test_known_hosts_are_the_contracts_keys_for_the_site_files_address_alone(
    site: Command, monkeypatch: pytest.MonkeyPatch, keys: object
) -> None:
    ran = known_hosts(site, monkeypatch, with_host_keys(keys, ip="git.example"))
    assert ran.out == f"10.20.0.10 {HOST_KEY}\n"


@pytest.mark.parametrize(
    "key",
    [
        f"{HOST_KEY}\n* {HOST_KEY}",
        f"{HOST_KEY[:-8]}\n",
        HOST_KEY[:-8],
        "ssh-rsa" + HOST_KEY.removeprefix("ssh-ed25519"),
        f"* {HOST_KEY}",
        "ssh-nothing " + base64.b64encode(b"\0\0\0\x0bssh-nothing\0\0\0\1x").decode(),
        7,
    ],
)
def test_a_host_key_that_is_not_one_whole_key_in_a_line_goes_into_no_known_hosts(
    site: Command, monkeypatch: pytest.MonkeyPatch, key: object
) -> None:
    ran = known_hosts(site, monkeypatch, with_host_keys([HOST_KEY, key]))
    assert (ran.code, ran.out) == (1, "")
    assert "was changed there" in ran.err


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"schema":"paver.contract/2"}', b"[" * 100_000])
def test_what_is_no_contract_of_this_version_is_told_and_not_printed(
    site: Command, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    ran = known_hosts(site, monkeypatch, data)
    assert (ran.code, ran.out) == (1, "")
    assert "the contract on the jumpbox is damaged" in ran.err
    assert site.run("contract").out == ""


def test_preflight_ends_as_the_worst_that_it_found(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / "bucc.tar").write_bytes(b"artefact")
    found: list[Finding] = []
    monkeypatch.setattr(memory.MemoryDriver, "preflight", lambda *_: iter(found), raising=False)
    ran = site.fine("preflight")
    assert "BUCC artefact" in ran.out
    assert "opens it" in ran.out
    for grade, code in (
        (Grade.WARNING, 2),
        (Grade.UNREACHABLE, 1),
        (Grade.REFUSED, 4),
        (Grade.INPUT, 3),
    ):
        found.append(Finding(subject="rack", check="door", grade=grade, seen="open", do="close it"))
        assert site.run("preflight").code == code
        assert site.run("preflight", "--json").json["exit"] == code
    assert "  do    close it" in site.run("preflight").out


def test_of_a_key_file_that_is_lost_preflight_says_what_a_command_that_needs_it_says(site: Command) -> None:
    (site.folder / "site.key").unlink()
    words = ("secrets.key: file:site.key, which is not there", "bring it back from its copy")
    looked = site.run("preflight")
    assert looked.code == 3
    assert all(word in looked.out for word in words), looked.out
    assert "secrets init" not in looked.out
    refused(site.run("apply", "--yes"), 3, *words)


def test_a_plan_that_needs_a_lost_key_names_it(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan needs it for what is dialled, which is nothing here but this."""
    (site.folder / "site.key").unlink()

    def connect(_: Sealed, wire: Wire) -> object:
        return wire.reveal(Secret("esx-root"))

    monkeypatch.setattr(Sealed, "connect", connect)
    for verb in ("plan", "verify"):
        refused(
            site.run(verb), 3, "to open secret:esx-root", "secrets.key: file:site.key, which is not there"
        )


def test_preflight_shows_pins_whole_only_when_asked(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = "sha256:" + ":".join(["ab"] * 32)
    finding = Finding(subject="esx-01", check="certificate", grade=Grade.INPUT, seen=pin, wanted="sha256:00")
    monkeypatch.setattr(memory.MemoryDriver, "preflight", lambda *_: iter([finding]), raising=False)
    assert pin not in site.run("preflight").out
    shown = site.run("preflight", "--show-pins").out
    assert f"esx-01: {{fingerprint: {pin}}}" in shown
    assert shown.count(pin) == 1, "the whole of it stands where it is copied from, and nowhere else"


def test_at_the_jumpbox_what_was_brought_there_before_is_not_asked_for_beside_the_site_file(
    site: Command,
) -> None:
    found = {item["check"]: item for item in site.run("preflight", "--json").json["findings"]}
    assert found["BUCC artefact"]["grade"] == "input"
    ran = site.run("preflight", "--station", "jumpbox", "--json")
    found = {item["check"]: item for item in ran.json["findings"]}
    assert found["BUCC artefact"]["grade"] == "warning"
    assert ran.code == 2


def test_preflight_names_everything_that_is_missing_at_once(site: Command) -> None:
    (site.folder / "site.key").unlink()
    ran = site.run("preflight", "--json")
    assert ran.code == 3
    bad = {(one["subject"], one["check"]) for one in ran.json["findings"] if one["grade"] == "input"}
    assert bad == {("sealed store", "key"), ("files", "BUCC artefact")}


def test_a_password_that_vcenter_would_refuse_is_named_before_anything_is_planned(whole: Command) -> None:
    # Put in before the site file had a use for it: nobody could know what it is for.
    whole.patch.setattr(sys, "stdin", io.StringIO("correct-horse"))
    whole.fine("secrets", "set", "mine")
    text = whole.site.read_text()
    assert "\n    fqdn: " in text
    whole.site.write_text(text.replace("\n    fqdn: ", "\n    passwords: {root: secret:mine}\n    fqdn: "))
    found = whole.run("preflight", "--json")
    assert found.code == 3
    (told,) = [one for one in found.json["findings"] if one["check"] == "mine"]
    assert (told["grade"], told["wanted"], told["do"]) == (
        "input",
        "policy vcenter",
        "paver secrets set mine",
    )
    assert "no upper-case letter" in told["seen"]
    assert "correct-horse" not in found.out + found.err


@pytest.mark.parametrize(
    ("section", "content", "what"),
    [
        ("trust: {extra_roots: [own]}", None, "own, which the site file names, can't be read"),
        ("trust: {extra_roots: [own]}", "Größe", "own has no certificate"),
        ("trust: {extra_roots: [own]}", b"\xff\xfe", "own is not text in UTF-8"),
        ("operators", None, "own, which the site file names, can't be read"),
        ("operators", "a: map", "own holds no operations"),
        ("pipeline", "jobs: [", "own is no YAML"),
        ("pipeline", "- jobs", "own is no pipeline"),
        ("pipeline", "jobs: []\njobs: []", "own is no YAML"),
        ("pipeline", "[" * 100_000, "own is no YAML"),
        ("pipeline", "&a [" * 40 + "]" * 40 + "\n", "own is no pipeline"),
        ("pipeline", BOMB, "own is no YAML"),
    ],
)
def test_a_file_that_the_site_file_names_and_is_wrong_is_bad_input_in_every_verb(
    whole: Command, section: str, content: str | bytes | None, what: str
) -> None:
    text = whole.site.read_text()
    assert text.count("\n  artefact: ") == text.count("\nservices:\n") == 1
    if section == "operators":
        text = text.replace("\n  artefact: ", "\n  operators: [own]\n  artefact: ")
    elif section == "pipeline":
        pipelines = "\nservices:\n  concourse: {teams: {main: {pipelines: {one: {file: own}}}}}\n"
        text = text.replace("\nservices:\n", pipelines)
    else:
        text += f"{section}\n"
    whole.site.write_text(text)
    if content is not None:
        (whole.folder / "own").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = whole.run("preflight", "--json")
    assert found.code == 3
    assert any(what in one["seen"] for one in found.json["findings"] if one["subject"] == "files")
    for argv in (("plan", "--offline"), ("apply", "--yes"), ("verify",)):
        ran = whole.run(*argv)
        assert ran.code == 3, (argv, ran)
        assert f"error: {what}" in ran.err
        assert "fault of paver" not in ran.err


def test_a_pipeline_with_fractions_times_and_dates_is_planned(whole: Command) -> None:
    pipelines = "\nservices:\n  concourse: {teams: {main: {pipelines: {one: {file: own}}}}}\n"
    whole.site.write_text(whole.site.read_text().replace("\nservices:\n", pipelines))
    params = "{RATIO: 0.5, GO: 1.20, START: 1:30, DAY: 2026-11-29}"
    (whole.folder / "own").write_text(f"jobs: [{{name: one, plan: [{{task: t, params: {params}}}]}}]\n")
    ran = whole.run("plan", "--offline", "--out", "it.plan")
    assert ran.code == 2, ran.err
    planned = (whole.folder / "it.plan").read_text()
    assert '"RATIO":{"number":"0.5"}' in planned
    assert '"START":"1:30"' in planned
    assert '"DAY":"2026-11-29"' in planned


def test_ports_of_a_driver_that_does_not_say_are_those_of_what_stands_on_it(site: Command) -> None:
    rows = site.fine("ports", "--json").json["rows"]
    assert ("jumpbox", "director", 25555) in {(row["source"], row["target"], row["port"]) for row in rows}


def test_drivers_are_listed_with_kinds_and_calls(site: Command) -> None:
    assert "memory.box" in site.fine("drivers").out
    (driver,) = site.fine("drivers", "--json").json["drivers"]
    box = next(kind for kind in driver["kinds"] if kind["kind"] == "memory.box")
    assert box["calls"]["delete"] == ["remove"]


def test_what_comes_with_any_driver_is_listed_with_its_calls_too(site: Command) -> None:
    listed = {
        kind["kind"]: kind for one in site.fine("drivers", "--json").json["with_any"] for kind in one["kinds"]
    }
    assert listed["trust.authority"]["calls"]["create"] == ["seal:put"]
    assert listed["s3.bucket"]["calls"]["delete"] == [
        "file:remove",
        "s3:delete_bucket",
        "s3:put_bucket_tagging",
    ]
    told = site.fine("drivers", "--calls").out
    assert "foundation · with any driver · bucc, services, handover" in told
    assert all(f"  {kind} " in told for kind in listed)
    assert "delete   file:remove, s3:delete_bucket, s3:put_bucket_tagging" in told


def test_the_version_is_told_and_for_support_the_formats_too(site: Command) -> None:
    assert site.fine("version").out.startswith("paver ")
    assert site.fine("version", "--json").json["formats"]["plan"] == "paver.plan/1"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_of_any_width_lines_break_at_words_and_none_is_lost(
    site: Command, columns: int
) -> None:
    site.fine("apply", "--yes")
    site.put("left", {"one": 7})
    verbs = ["status", "preflight", "ports", "secrets list", "plan --all", "plan --destroy", "verify --all"]
    for verb in map(str.split, verbs):
        piped = site.run(*verb).out
        with site.patch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            patch.setenv("NO_COLOR", "1")
            patch.setattr(sys.stdout, "isatty", lambda: True)
            shown = site.run(*verb).out
        wide = [line for line in shown.splitlines() if len(line) > columns and " " in line.strip()]
        assert wide == [], verb
        assert _words(shown) == _words(piped), verb


def test_on_a_terminal_an_error_breaks_at_words_with_its_commands_whole_and_elsewhere_a_line_of_it_stays_one(
    site: Command,
) -> None:
    command = (
        "`paver apply --phase trust --phase hosts --phase jumpbox --phase site-services --phase vcenter`"
    )

    def refused(*_: Any, **__: Any) -> Any:
        do = f"look at what stands there, since each wrong try counts and locks the account, then {command}\npaver {'x ' * 50}"
        raise LoginError("esx-01 refuses the login of root", why="so it is said, " * 9, do=do)

    site.patch.setattr(memory.Box, "discover", refused)
    piped = site.run("plan").err
    assert [len(line) > 80 for line in piped.splitlines()] == [False, True, True, True, False]
    site.patch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1")):
        site.patch.setenv(name, value)
    shown = site.run("plan").err
    wide = [line.strip() for line in shown.splitlines() if len(line) > 80]
    assert wide == [command, f"do    paver {'x ' * 50}".rstrip()]
    assert shown.split() == piped.split()
    assert "\0" not in shown


def test_what_validate_says_of_a_site_breaks_at_words_on_a_terminal(site: Command) -> None:
    site.patch.setenv("COLUMNS", "40")
    site.patch.setattr(sys.stdout, "isatty", lambda: True)
    shown = site.fine("validate").out.splitlines()
    assert shown[0].startswith("ok: site.yml: ")
    assert len(shown) > 1
    assert [line for line in shown if len(line) > 40] == []


def _words(text: str) -> list[str]:
    """Returns what was said, in any order, but for how long it took and when it was."""
    return sorted(word for word in text.split() if not re.search(r"\d\.\d|\d:\d\d:\d", word))
