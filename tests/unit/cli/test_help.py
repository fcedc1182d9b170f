"""Help, what is misspelt, and how wide what is told may be."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from paver.cli import out
from paver.cli.commands import COMMANDS
from paver.transport.logins import LoginError
from tests.support.command import Command
from tests.support.memory import memory


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


def test_an_option_of_a_verb_below_is_said_to_be_its(site: Command) -> None:
    assert site.run("secrets", "--json").json["do"] == "`paver secrets list` takes --json"


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
