"""Finds the command, runs it, and maps what it raises to an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from paver.cli import terminal
from paver.cli.commands import COMMANDS, overview

if TYPE_CHECKING:
    from paver.errors import PaverError


def main(argv: list[str]) -> int:
    """Runs the command line `argv` and returns the exit code."""
    try:
        code = _main(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has had enough: say nothing more, and do not fail at exit either.
        _shut()
        return 1
    except OSError as error:
        _shut()
        sys.stderr.write(f"error: standard output can't be written: {error.strerror}\n  exit  1\n")
        return 1
    return code


def _shut() -> None:
    """Lets what standard output did not take, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(argv: list[str]) -> int:
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [*argv[1:], "--help"]
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_fitting(overview()))
        return 0 if argv else 3
    name, rest = argv[0], argv[1:]
    name = "version" if name in {"--version", "-V"} else name
    try:
        _demand(name)
        from paver.cli import parsers  # noqa: PLC0415 - `paver --help` does without it

        module = parsers.module_of(name)
        try:
            arguments = parsers.of(name, module).parse_args(rest)
        except SystemExit:  # after --help
            return 0
        code: int = module.run(arguments)
        _flush()
    except BrokenPipeError:
        raise
    except BaseException as error:  # noqa: BLE001 - this is the one place that ends the process
        return _end(error, argv)
    return code


def _flush() -> None:
    """Sees to it that all is written; what can't be says that it is standard output: nothing else of it does."""
    from paver.errors import naming  # noqa: PLC0415 - `paver --help` does without it

    with naming("standard output"):
        sys.stdout.flush()


def _fitting(text: str) -> str:
    """Returns a text that is 80 columns wide, for the terminal at hand."""
    room = terminal.width(sys.stdout)
    if room is None or room >= terminal.USUAL:
        return text
    from paver.cli import parsers  # noqa: PLC0415 - a wider one does without it

    return parsers.filled(text, room)


def _demand(name: str) -> None:
    if name in COMMANDS:
        return
    from paver.errors import BadInput, nearest  # noqa: PLC0415 - only for this message

    near = nearest(name, COMMANDS)
    hint = f"did you mean `paver {near}`?" if near else "`paver --help` lists them"
    if name.startswith("-"):
        hint = f"the command comes first: `paver COMMAND {name}`"
    raise BadInput(f"paver has no command {name!r}", do=hint)


def _end(error: BaseException, argv: list[str]) -> int:
    """Tells what went wrong: people always, and programs that wait for a document and have none yet."""
    from paver.cli import out  # noqa: PLC0415 - only where something went wrong
    from paver.errors import exit_code  # noqa: PLC0415 - same

    waiting = "--json" in argv[: argv.index("--") if "--" in argv else None]
    if isinstance(error, out.Documented):
        error, waiting = error.__cause__ or error, False
    code, notes = exit_code(error), "  ".join(getattr(error, "__notes__", ()))
    known = _known(error)
    try:
        if waiting:
            from paver.report.failure import Failure  # noqa: PLC0415 - only for programs

            out.document("paver.error/1", Failure(exit=code, note=notes, **known.document()))
        sys.stdout.flush()
    except OSError:
        _shut()
    stopped = isinstance(error, KeyboardInterrupt)
    lines = [f"{known.what}: {known.do}"] if stopped else known.lines(out.width(sys.stderr))
    lines.append(f"  exit  {code}  {notes}".rstrip())
    lines = _broken_at_words(lines, out.width(sys.stderr))
    if out.colour(sys.stderr):
        lines = [_coloured(line) for line in lines]
    sys.stderr.write("\n".join(lines) + "\n")
    return code


def _broken_at_words(lines: list[str], width: int | None) -> list[str]:
    """Returns the lines as a terminal of `width` shows them. What is a command as a whole is left to it: it is copied."""
    if width is None or max(map(len, lines)) <= width:
        return lines
    from paver.report import words  # noqa: PLC0415 - only where something has to fit

    shown: list[str] = []
    for line in lines:
        whole = line[8:].startswith("paver ")
        shown += [line] if whole else words.around_commands(line, width, " " * 8)
    return shown


def _known(error: BaseException) -> PaverError:
    """Returns what is told of `error`."""
    from paver.errors import Interrupted, PaverError, of_disk  # noqa: PLC0415 - only where something went wrong

    known = error if isinstance(error, PaverError) else of_disk(error)
    if known is not None:
        return known
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("stopped", do="the same command goes on from here")
    import traceback  # noqa: PLC0415 - same

    if os.environ.get("PAVER_TRACE"):
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return PaverError(
        f"paver itself failed: {type(error).__name__}",
        seen=f"{place.name} in {os.path.basename(place.filename)}:{place.lineno}",  # noqa: PTH119
        why="this is a fault of paver, not of your site",
        do="set PAVER_TRACE=1 to see where; `paver logs` makes a bundle to report it with",
    )


def _coloured(line: str) -> str:
    word, _, rest = line.partition(" ")
    if word in {"error:", "warning:"}:
        return f"\x1b[1;{31 if word == 'error:' else 33}m{word}\x1b[0m \x1b[1m{rest}\x1b[0m"
    for label in ("seen", "why", "do", "exit"):
        if line.startswith(f"  {label} "):
            return f"  \x1b[2m{label}\x1b[0m{line[2 + len(label) :]}"
    return line
