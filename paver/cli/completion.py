"""`paver completion`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from paver.cli import out

EXAMPLES = """\
examples:
  paver completion bash > ~/.local/share/bash-completion/completions/paver
  paver completion zsh > ~/.zsh/completions/_paver     a folder of $fpath
  paver completion tcsh > ~/.paver.tcsh                 and `source` it
"""

SHELLS = ("bash", "zsh", "tcsh")


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Prints a shell's completion script."""
    import shtab  # noqa: PLC0415 - only here

    from paver.cli import parsers  # noqa: PLC0415

    parser = parsers.whole()
    _values(parser, _known())
    out.line(shtab.complete(parser, arguments.shell, preamble="").rstrip("\n"))
    return 0


def _known() -> Mapping[str, tuple[str, ...]]:
    """Returns the values of arguments that are known beforehand, by the argument's name."""
    from paver.cli.env import TOOLS  # noqa: PLC0415 - only here
    from paver.runs import compose  # noqa: PLC0415
    from paver.sealed import passwords  # noqa: PLC0415

    installed = compose.drivers()
    phases = dict.fromkeys(phase for driver in installed.values() for phase in compose.phases(driver))
    return {
        "phase": tuple(phases),
        "driver": tuple(installed),
        "tool": TOOLS,
        "policy": tuple(passwords.POLICIES),
    }


def _values(parser: argparse.ArgumentParser, known: Mapping[str, tuple[str, ...]]) -> None:
    """Lets the shell complete known values, and paths where an argument takes one."""
    import pathlib  # noqa: PLC0415

    import shtab  # noqa: PLC0415

    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to go through them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _values(child, known)
        elif action.type is pathlib.Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.choices is None and action.dest in known:
            action.choices = known[action.dest]
