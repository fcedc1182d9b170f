"""Finds the verb, runs it, and maps what it raises to an exit code."""

from __future__ import annotations

import os
import sys

from paver.cli.verbs import VERBS, overview


def main(argv: list[str]) -> int:
    """Runs the command line `argv` and returns the exit code."""
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [*argv[1:], "--help"]
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(overview())
        return 0 if argv else 3
    name, rest = argv[0], argv[1:]
    name = "version" if name in {"--version", "-V"} else name
    if name not in VERBS:
        return _unknown(name)
    from paver.cli import parsers  # noqa: PLC0415 - `paver --help` does without it
    from paver.errors import exit_code  # noqa: PLC0415 - same

    module = parsers.module_of(name)
    try:
        try:
            arguments = parsers.of(name, module).parse_args(rest)
        except SystemExit:  # after --help
            return 0
        code: int = module.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has had enough: say nothing more, and do not fail at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:  # noqa: BLE001 - this is the one place that ends the process
        code = exit_code(error)
        _tell(error, code)
    return code


def _unknown(name: str) -> int:
    from paver.errors import nearest  # noqa: PLC0415 - only for this message

    near = nearest(name, VERBS)
    hint = f"did you mean `paver {near}`?" if near else "`paver --help` lists them"
    if name.startswith("-"):
        hint = f"the verb comes first: `paver VERB {name}`"
    sys.stderr.write(f"error: paver has no verb {name!r}\n  do    {hint}\n")
    sys.stderr.write("  exit  3\n")
    return 3


def _tell(error: BaseException, code: int) -> None:
    from paver.cli import out  # noqa: PLC0415 - only where something went wrong

    lines = _lines(error)
    notes = "  ".join(getattr(error, "__notes__", ()))
    lines.append(f"  exit  {code}  {notes}".rstrip())
    if out.colour(sys.stderr):
        lines = [_coloured(line) for line in lines]
    sys.stdout.flush()
    sys.stderr.write("\n".join(lines) + "\n")


def _lines(error: BaseException) -> list[str]:
    from paver.errors import PaverError, of_disk  # noqa: PLC0415 - only where something went wrong

    known = error if isinstance(error, PaverError) else of_disk(error)
    if known is not None:
        return known.lines()
    if isinstance(error, KeyboardInterrupt):
        return ["stopped: the same command goes on from here"]
    if isinstance(error, SystemExit):
        return []
    import traceback  # noqa: PLC0415 - same

    if os.environ.get("PAVER_TRACE"):
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return [
        f"error: paver itself failed: {type(error).__name__}",
        f"  seen  {place.name} in {os.path.basename(place.filename)}:{place.lineno}",  # noqa: PTH119
        "  why   this is a fault of paver, not of your site",
        "  do    set PAVER_TRACE=1 to see where; `paver logs` makes a bundle to report it with",
    ]


def _coloured(line: str) -> str:
    word, _, rest = line.partition(" ")
    if word in {"error:", "warning:"}:
        return f"\x1b[1;{31 if word == 'error:' else 33}m{word}\x1b[0m \x1b[1m{rest}\x1b[0m"
    for label in ("seen", "why", "do", "exit"):
        if line.startswith(f"  {label} "):
            return f"  \x1b[2m{label}\x1b[0m{line[2 + len(label) :]}"
    return line
