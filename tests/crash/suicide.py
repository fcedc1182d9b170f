"""`paver` that kills itself: `python -m tests.crash.suicide WHEN ARGUMENTS`.

WHEN is `before:N` or `after:N` (the N-th line of the journal is not, or just on disk, and nothing else has happened
since), `time:SECONDS`, or `new:SIDE:FILE`: at the first line of the journal on whose SIDE no run died before, which is
then noted in FILE; the same command is then run again at once, until it comes to its end. The end of a run is SIGKILL:
nothing is cleaned up, nothing is said.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paver.engine.journal import Journal
from tests.crash import boundaries

# Costs most of a short run; loaded once, before any run begins.
HEAVY = ("botocore", "paramiko", "paver.drivers.vsphere.pave", "paver.cli.apply", "paver.cli.destroy")
# A command that is killed more often than it has lines dies at the same place again and again.
MOST = 2000
OUTSIDE, JUMPBOX = "outside", "jumpbox"


def die() -> None:
    """Never returns."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def arm(when: str) -> None:
    """Sees to it that this process dies at `when`."""
    what, _, number = when.partition(":")
    if what == "time":
        timer = threading.Timer(float(number), die)
        timer.daemon = True
        timer.start()
        return
    if what == "new":
        side, _, file = number.partition(":")
        _arm_at_new(side, Path(file))
        return
    original, left, turn = Journal.write, [int(number)], threading.Lock()

    def write(self: Journal, event: str, fields: Mapping[str, Any] | None = None) -> None:
        with turn:
            left[0] -= 1
            if left[0] <= 0 and what == "before":
                die()
            original(self, event, fields)
            if left[0] <= 0:
                die()

    Journal.write = write  # type: ignore[method-assign]


def _arm_at_new(side: str, noted: Path) -> None:
    original, turn = Journal.write, threading.Lock()
    known = set(noted.read_text().splitlines()) if noted.exists() else set()
    reader = boundaries.Reader(JUMPBOX if "--handed-off" in sys.argv else OUTSIDE)

    def unless_known(name: str) -> None:
        if name in known:
            return
        with noted.open("a") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        die()

    def write(self: Journal, event: str, fields: Mapping[str, Any] | None = None) -> None:
        with turn:
            name = f"{side} {reader.line(event, fields or {})}"
            if side == "before":
                unless_known(name)
            original(self, event, fields)
            if side == "after":
                unless_known(name)

    Journal.write = write  # type: ignore[method-assign]


def again(when: str) -> int:
    """Has a process die at `when`, and another one, until one comes to its end; returns its exit code."""
    for module in HEAVY:
        importlib.import_module(module)
    for _ in range(MOST):
        child = os.fork()
        if child == 0:
            arm(when)
            return main()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            return code
    raise AssertionError(f"{sys.argv[2:]} does not come to its end")


def main() -> int:
    """Runs `paver`, for as long as it lives."""
    from paver.cli import entry  # noqa: PLC0415 - the clock starts before the imports

    return entry.main(sys.argv[2:])


if __name__ == "__main__":
    if sys.argv[1].startswith("new:"):
        sys.exit(again(sys.argv[1]))
    arm(sys.argv[1])
    sys.exit(main())
