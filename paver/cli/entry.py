"""Finds the verb, runs it, and maps what it raises to an exit code."""

from __future__ import annotations

import importlib
import os
import sys

from paver.cli.verbs import VERBS, overview


def main(argv: list[str]) -> int:
    """Runs the command line `argv` and returns the exit code."""
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(overview())
        return 0 if argv else 3
    name, rest = argv[0], argv[1:]
    if name not in VERBS:
        return _unknown(name)
    import argparse  # noqa: PLC0415 - `paver --help` does without it

    from paver.errors import exit_code  # noqa: PLC0415 - same

    module = importlib.import_module(f"paver.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"paver {name}",
        description=VERBS[name].summary,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add(parser)
    try:
        arguments = parser.parse_args(rest)
    except SystemExit as stop:
        return 3 if stop.code else 0
    try:
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
    import difflib  # noqa: PLC0415 - only for this message

    near = difflib.get_close_matches(name, VERBS, 1)
    sys.stderr.write(f"error: paver has no verb {name!r}\n")
    sys.stderr.write(
        f"  do    did you mean `paver {near[0]}`?\n" if near else "  do    `paver --help` lists them\n"
    )
    return 3


def _tell(error: BaseException, code: int) -> None:
    from paver.errors import PaverError  # noqa: PLC0415 - only where something went wrong

    if isinstance(error, PaverError):
        text = "\n".join(error.lines())
    elif isinstance(error, KeyboardInterrupt):
        text = "stopped: the same command goes on from here"
    elif isinstance(error, SystemExit):
        return
    else:
        import traceback  # noqa: PLC0415 - same

        place = traceback.extract_tb(error.__traceback__)[-1]
        text = "\n".join(
            (
                f"error: paver itself failed: {type(error).__name__}",
                f"  seen  {place.name} in {os.path.basename(place.filename)}:{place.lineno}",  # noqa: PTH119
                "  why   this is a fault of paver, not of your site",
                "  do    set PAVER_TRACE=1 to see where; `paver logs` makes a bundle to report it with",
            )
        )
        if os.environ.get("PAVER_TRACE"):
            traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n  exit {code}\n")
