"""Ending a command with all that it started, and what runs as root by sudo by that.

A signal to its process group does not do: sudo hands one on to its command alone, not to what that started, and with
`use_pty`, which Debian has set and sudo 1.9.14 has as its default, the command is in a session of its own (sudoers(5)).

It needs nothing but the standard library, since it is also sent to a machine as source text: `ending SESSION`.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 2.0
"""Seconds that each signal is given."""
_LOOK = 0.02
_SUDO = 5.0


def end(leader: int) -> None:
    """Ends all in the session of `leader`, and in those that were begun from there; returns when they are gone.

    One that neither this account nor sudo can end ends when it writes after its caller did: nobody reads it then.
    """
    sessions = {leader}
    for number in (signal.SIGTERM, signal.SIGKILL):
        over = math.inf
        told: set[int] = set()
        while (left := _members(sessions)) and time.monotonic() < over:
            # Once each, and also those that were started after a look.
            _signal(left - told, number)
            told |= left
            # Their time begins once they were told: sudo may take its own.
            over = min(over, time.monotonic() + GRACE)
            time.sleep(_LOOK)


def _members(sessions: set[int]) -> set[int]:
    """Returns the processes in `sessions`, to which those are added that children of theirs began."""
    table = dict(_table())
    while True:
        found = {pid for pid, (_, session) in table.items() if session in sessions}
        begun = {session for parent, session in table.values() if parent in found}
        if begun <= sessions:
            return found
        sessions |= begun


def _table() -> list[tuple[int, tuple[int, int]]]:
    """Returns parent and session of each process that runs."""
    found = []
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with contextlib.suppress(OSError):
            # After the name, which may have anything in it: state, parent, group, session.
            state, parent, _, session, *_ = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            if state not in (b"Z", b"X"):
                found.append((pid, (int(parent), int(session))))
    return found


def _signal(pids: set[int], number: signal.Signals) -> None:
    refused = []
    for pid in sorted(pids):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            refused.append(str(pid))
    if refused:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["sudo", "-n", "kill", "-s", number.name.removeprefix("SIG"), "--", *refused],  # noqa: S607 (where sudo is, its own machine knows)
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_SUDO,
            )


if __name__ == "__main__":
    end(int(sys.argv[1]))
