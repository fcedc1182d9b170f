"""`paver` that kills itself: `python -m tests.crash.suicide WHEN ARGUMENTS`.

WHEN is `before:N` or `after:N` (the N-th line of the journal is not, or just on disk, and nothing else has happened
since), `time:SECONDS`, or `new:FILE`: at the first boundary of the journal at which no run died before, which is then
noted in FILE. A boundary is before or after a line of an event, of a kind of resource, of a call. The end is SIGKILL:
nothing is cleaned up, nothing is said.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paver.engine.journal import Journal
from paver.engine.values import kind_of


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
        _arm_at_new(Path(number))
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


def _arm_at_new(noted: Path) -> None:
    original, turn = Journal.write, threading.Lock()
    known = set(noted.read_text().splitlines()) if noted.exists() else set()
    begun: dict[object, str] = {}

    def boundary(side: str, event: str, fields: Mapping[str, Any]) -> None:
        kind = begun.get(fields.get("action"), kind_of(str(fields.get("resource", ""))))
        name = " ".join(part for part in (side, event, kind, fields.get("call", "")) if part)
        if name not in known:
            with noted.open("a") as file:
                file.write(name + "\n")
                file.flush()
                os.fsync(file.fileno())
            die()

    def write(self: Journal, event: str, fields: Mapping[str, Any] | None = None) -> None:
        with turn:
            if event == "begun" and fields is not None:
                begun[fields["action"]] = kind_of(fields["resource"])
            boundary("before", event, fields or {})
            original(self, event, fields)
            boundary("after", event, fields or {})

    Journal.write = write  # type: ignore[method-assign]


def main() -> int:
    """Runs `paver`, for as long as it lives."""
    from paver.cli import entry  # noqa: PLC0415 - the clock starts before the imports

    return entry.main(sys.argv[2:])


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main())
