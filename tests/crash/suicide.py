"""`paver` that kills itself: `python -m tests.crash.suicide WHEN ARGUMENTS`.

WHEN is `before:N` or `after:N` (the N-th line of the journal is not, or just on disk, and nothing else has happened
since), or `time:SECONDS`. The end is SIGKILL: nothing is cleaned up, nothing is said.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from paver.engine.journal import Journal


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


def main() -> int:
    """Runs `paver`, for as long as it lives."""
    from paver.cli import entry  # noqa: PLC0415 - the clock starts before the imports

    return entry.main(sys.argv[2:])


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main())
