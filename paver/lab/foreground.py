"""A command inside of a lab that a person watches, and may stop with Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from paver.lab.raising import Lab


def run(lab: Lab, argv: Sequence[str], cwd: Path | None = None) -> int:
    """Runs `argv` inside of the lab and returns its exit code.

    Ctrl-C goes to the whole foreground: to the command, but to this process and to nsenter as well. Those two wait,
    or the command would be left behind (or killed) while it still ends what it began.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # What is ignored here is ignored by nsenter too; the command itself gets the signal as ever.
        inside = lab.argv(["env", "--default-signal=INT", *argv], cwd)
        return subprocess.run(inside, env=lab.environment(), check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
