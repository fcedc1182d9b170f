"""`make bench`: paver's speed against that of its peers, whole processes, ratios within one run.

    python -m tests.bench [--only NAME] [--rounds N] [--strict] [--json]

A goal that is missed is said, and ends with 0 all the same: how loaded the machine is decides too. `--strict` ends
with 1 then.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from paver.errors import PaverError
from tests.bench.measure import Ground, Row

NAMES = ("start", "ova", "properties", "plan", "apply", "image")
_MEASURED = tuple(Path(__file__).parents[2] / name for name in ("paver", "tests/bench", "tests/support"))
_ROOM = 8_000_000_000
"""Bytes that the largest measure needs: an OVA of 2 GB, its raw disk, and what the host keeps of it."""


def main() -> int:
    """Measures, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="paver's speed against its peers'")
    parser.add_argument("--only", action="append", choices=NAMES, help="only this measure (repeatable)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="pairs of runs, where a measure is not slow (7)"
    )
    parser.add_argument("--strict", action="store_true", help="end with 1 where a goal is missed")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    if not compiled(*_MEASURED):
        _say(
            "what is measured cannot be compiled where it lies: each start compiles it anew, and that counts"
        )
    rows: list[Row] = []
    try:
        for name in arguments.only or NAMES:
            module = importlib.import_module(f"tests.bench.{name}")
            with (
                tempfile.TemporaryDirectory(prefix="paver-bench-", dir=_place()) as folder,
                tempfile.TemporaryDirectory(prefix="paver-bench-") as disk,
            ):
                for row in module.measure(Ground(Path(folder), Path(disk), arguments.rounds, _say)):
                    rows.append(row)
                    _say(f"  {_line(row)}")
    except PaverError as error:
        sys.stderr.write("\n".join(error.lines()) + "\n")
        return error.exit_code
    if arguments.json:
        sys.stdout.write(json.dumps([row.document() for row in rows], indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(_table(rows)) + "\n")
    return int(arguments.strict and not all(row.ok for row in rows))


def compiled(*folders: Path) -> bool:
    """Compiles what is measured, as who installs paver has it; returns whether that was possible.

    Where Python may not write what it compiled (PYTHONDONTWRITEBYTECODE, as in many containers), each start would
    compile anew what changed: 0.2 s of a core for an apply, more than most of what is measured.
    """
    return all(compileall.compile_dir(folder, quiet=2) for folder in folders)


def _place() -> str | None:
    """Memory, if there is enough: what the disk happens to be doing would count for whoever runs then."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 * _ROOM:
        return str(shared)
    return None


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _line(row: Row) -> str:
    peer = "" if row.peer is None else f"{row.peer:.3f} {row.unit}"
    verdict = "" if row.goal is None else "ok" if row.ok else "missed"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    goal = "" if row.goal is None else f"≤ {row.goal:g}"
    return (
        f"{row.what:<44} {row.paver:>9.3f} {row.unit:<4} {peer:>12}  {row.against:<34} "
        f"{ratio:>6} {goal:>7}  {verdict}"
    ).rstrip()


def _table(rows: list[Row]) -> list[str]:
    head = f"{'what':<44} {'paver':>9}      {'peer':>12}  {'the peer':<34} {'ratio':>6} {'goal':>7}"
    missed = [row.what for row in rows if not row.ok]
    end = f"{len(missed)} of {len(rows)} goals missed: {', '.join(missed)}" if missed else "all goals met"
    return [head, *map(_line, rows), "", end]


if __name__ == "__main__":
    sys.exit(main())
