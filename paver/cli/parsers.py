"""The argument parsers, one a command, and the whole of them for completion and reference."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NoReturn

from paver.cli import out
from paver.cli.commands import COMMANDS
from paver.errors import BadInput, nearest

_CHOICE = re.compile(r"argument (?P<of>\S+): invalid choice: '(?P<given>.*?)' \(choose from (?P<known>.*)\)")
_UNKNOWN = "unrecognized arguments: "
_IGNORED = ": ignored explicit argument "


class Form(argparse.RawDescriptionHelpFormatter):
    """Leaves descriptions and examples as they are written, but for lines that a terminal is too narrow for."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        # A name with a hyphen is copied in one piece.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False, break_long_words=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        room = out.width()
        return super()._fill_text(text, width, indent) if room is None else filled(text, room)


def filled(text: str, room: int) -> str:
    """Returns a text as it is written, but for lines that a terminal of `room` columns is too narrow for."""
    lines: list[str] = []
    for line in text.splitlines():
        # What is said of an example goes on below its words.
        start = re.match(r"  \S.*?\s{2,}(?=\S)|\s*", line)
        hang = start.end() if start and start.end() <= room // 2 else 6
        lines += textwrap.wrap(
            line, room, subsequent_indent=" " * hang, break_on_hyphens=False, break_long_words=False
        ) or [""]
    return "\n".join(lines) + "\n"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong as every other error of paver is said, with what is near to it."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print.

        Raises:
            BadInput: always.
        """
        known: Iterable[str] = ()
        wrong = what = f"{self.prog}: {message}"
        if message.startswith(_UNKNOWN):
            wrong = message.removeprefix(_UNKNOWN).split(" ")[0]
            takers = _options(self)
            if wrong in takers:
                raise BadInput(what, do=f"`{takers[wrong]}` takes {wrong}")
            if "--site" in takers and _is_site_file(wrong):
                raise BadInput(what, do=f"did you mean --site {wrong}?")
            known = takers
        elif message.endswith("arguments are required: DO"):
            raise BadInput(
                f"{self.prog}: what it is to do is missing",
                do=f"one of {', '.join(_verbs(self))}; `{self.prog} --help` says what each does",
            )
        elif chosen := _CHOICE.fullmatch(message):
            known, wrong = re.findall(r"[\w.-]+", chosen["known"]), chosen["given"]
            what = f"{self.prog} has no {wrong!r}" if chosen["of"] == "DO" else what
        raise BadInput(what, do=f"{_hint(wrong, known)}`{self.prog} --help` lists what there is")


class Discreet(Parser):
    """A parser of what takes secrets in: an argument that it does not take may be one, and is not repeated."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print, without the argument.

        Raises:
            BadInput: always.
        """
        instead = "pipe it in, or wait to be asked; if this was a real one, change it"
        if _IGNORED in message:
            option = message.partition(_IGNORED)[0].removeprefix("argument ")
            raise BadInput(f"{self.prog}: {option} takes no value", do=f"of a secret's value: {instead}")
        if not message.startswith(_UNKNOWN):
            super().error(message)
        wrong, takers = message.removeprefix(_UNKNOWN).split(" ")[0], _options(self)
        if wrong in takers:
            super().error(f"{_UNKNOWN}{wrong}")
        if wrong.startswith("-"):
            raise BadInput(
                f"{self.prog} has no such option",
                do=f"{_hint(wrong, takers)}`{self.prog} --help` lists what there is\nof a secret's value: {instead}",
            )
        raise BadInput(
            f"{self.prog}: a value is never an argument",
            why="every process of the machine could read it there, and the shell keeps it",
            do=instead,
        )


def _hint(wrong: str, known: Iterable[str]) -> str:
    # By its words: two hyphens alone make any option near to any other.
    near = nearest(wrong.removeprefix("--"), (one.removeprefix("--") for one in known))
    near = f"--{near}" if near and wrong.startswith("--") else near
    return f"did you mean {near}? " if near else ""


def below(verbs: Any, command: str, name: str, what: str, examples: str) -> argparse.ArgumentParser:
    """Adds a parser below a verb's, with those of the verb's examples that are of it.

    Args:
        verbs: where it is added.
        command: the verb, `paver image`.
        name: its own.
        what: it does, in a line.
        examples: the verb's.
    """
    own = [line for line in examples.splitlines() if re.search(rf"\b{command} {name}( |$)", line)]
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=what,
        description=what,
        epilog="\n".join(["examples:", *own]) if own else None,
        formatter_class=Form,
        allow_abbrev=False,
    )
    return parser


def number(least: int, most: int) -> Callable[[str], int]:
    """Returns what reads an option's whole number between `least` and `most`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            msg = f"{text!r} is no number from {least} to {most}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return read


def _options(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Returns the options of a parser, and of those below it, which leave what they do not know to it; each with whose it is."""
    found: dict[str, str] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to them
        found |= {option: parser.prog for option in action.option_strings if option.startswith("--")}
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - same
            for below in action.choices.values():
                found = _options(below) | found
    return found


def _is_site_file(text: str) -> bool:
    """Tells whether an argument names a file that may be a site's; what can be no name of a file is none."""
    return text.endswith((".yml", ".yaml")) and os.path.isfile(text)  # noqa: PTH113 - it raises nothing


def _verbs(parser: argparse.ArgumentParser) -> list[str]:
    """Returns the verbs below a parser."""
    return [
        name
        for action in parser._actions  # noqa: SLF001 - argparse has no other way to them
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - same
        for name in action.choices
    ]


def module_of(name: str) -> ModuleType:
    """Returns the module of a command."""
    return importlib.import_module(f"paver.cli.{name}")


def of(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """Returns a command's parser."""
    kind: type[Parser] = getattr(module, "PARSER", Parser)
    parser = kind(prog=f"paver {name}", **_form(name, module))
    module.add(parser)
    return parser


def whole() -> argparse.ArgumentParser:
    """Returns one parser of all commands; it loads every command's module."""
    parser = argparse.ArgumentParser(prog="paver", description="From bare hosts to a platform.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND")
    for name, command in COMMANDS.items():
        module = module_of(name)
        module.add(commands.add_parser(name, help=command.summary, **_form(name, module)))
    return parser


def _form(name: str, module: ModuleType) -> dict[str, Any]:
    return {
        "description": COMMANDS[name].summary,
        "epilog": module.EXAMPLES,
        "formatter_class": Form,
        "allow_abbrev": False,
    }
