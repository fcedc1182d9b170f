"""What a build runs for minutes: it has a group of its own, and all of that ends with whoever started it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from paver.transport import ending

_GRACE = 30
"""Seconds in which it may clean up after itself."""


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: Path | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[str]]:
    """Yields the process, which is sent SIGTERM if its starter dies; at the end of the block it is ended, if it still runs.

    Ctrl-C is meant for us: we end it, and wait until it has cleaned up. It writes files as an image has them (umask 022).
    """
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", *argv],
        cwd=cwd,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        umask=0o022,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Asks it to end, if it still runs, and then ends whatever is left of its session: what it started, and could not end itself.

    Returns when that is gone, too: nothing writes any more into a folder that is removed next. What outlives SIGKILL hangs in
    the kernel, and is not waited for.
    """
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    # While its session has anybody in it nobody else gets its number; whoever has it once it was reaped is somebody else.
    if process.returncode is None or not Path(f"/proc/{process.pid}").exists():
        ending.end(process.pid)
