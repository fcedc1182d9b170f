"""`paver completion`."""

from __future__ import annotations

import argparse

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
    _files(parser)
    out.line(shtab.complete(parser, arguments.shell, preamble="").rstrip("\n"))
    return 0


def _files(parser: argparse.ArgumentParser) -> None:
    """Lets the shell complete paths where an option takes one."""
    import pathlib  # noqa: PLC0415

    import shtab  # noqa: PLC0415

    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to go through them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _files(child)
        elif action.type is pathlib.Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
