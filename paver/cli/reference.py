"""The reference of the command line as Markdown, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from paver.cli import parsers
from paver.cli.commands import COMMANDS

_HEAD = """\
# The command line

Made from the parsers by `python -m paver.cli.reference`; a test holds the two equal.

`paver COMMAND --help` shows the same. Exit codes are in [exit-codes.md](exit-codes.md).

With `--json`, standard output is [one JSON document](json.md), whose key `schema` names its format. Where a command ends before
it has one, it is the error, `paver.error/1`. Standard error has the same for people. Only a second Ctrl-C, which leaves at
once, leaves without one.

| variable | what it does |
|---|---|
| `PAVER_SITE` | the site file, where `--site` does not name one |
| `PAVER_STATE` | where the runs' files lie, a relative path from the working directory; `.paver` beside the site file without it |
| `PAVER_STATION` | `jumpbox` on the jumpbox itself |
| `PAVER_TRACE` | with `1`, a fault of paver's own shows where it happened |
| `NO_COLOR` | no colours, also on a terminal |
"""


def reference() -> str:
    """Returns the reference."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        yield f"## {group}\n"
        for name, command in COMMANDS.items():
            if command.group == group:
                yield from _verb(name)


def _verb(name: str) -> Iterator[str]:
    module = parsers.module_of(name)
    parser = parsers.of(name, module)
    yield f"### paver {name}\n"
    yield f"{COMMANDS[name].summary[:1].upper()}{COMMANDS[name].summary[1:]}.\n"
    yield from _options(parser)
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to go through them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child, below in action.choices.items():
                yield f"#### paver {name} {child}\n"
                yield f"{_sentence(below.description or '')}\n"
                yield from _options(below)
    yield "```"
    yield module.EXAMPLES.rstrip("\n")
    yield "```\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [
        f"| {_name(action)} | {_help(parser, action)} |"
        for action in parser._actions  # noqa: SLF001 - argparse has no other way to go through them
        if action.help != argparse.SUPPRESS
        and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001
    ]
    if rows:
        yield "| | |\n|---|---|"
        yield from rows
        yield ""


def _name(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        words = "\\|".join(map(str, action.choices)) if action.choices else action.dest.upper()
        value = action.metavar if isinstance(action.metavar, str) else words
    if not action.option_strings:
        return f"`{value}`".replace("\\|", "`, `")
    shown = ", ".join(f"`{option}`" for option in action.option_strings)
    return f"{shown} {value}".rstrip()


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = (action.help or "") % {"default": action.default, "prog": parser.prog}
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
