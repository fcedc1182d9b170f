"""Runs mmdebstrap: what unpacks Debian, and runs its programs, in a user namespace.

No root, no loop device, no mount that this machine would see.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from paver.errors import PaverError
from paver.image import children
from paver.lab import system

_WHOLE_GROUP = (
    'trap \'trap "" TERM; kill 0\' TERM; exec 3<&0; "$@" <&3 3<&- & wait $!; code=$?; wait; exit $code'
)
"""Runs a command, and passes SIGTERM on to all of its group: mmdebstrap waits for its children to end, and does not end them.

A shell gives what it does not wait for an empty standard input, unless it is another descriptor."""


def run(
    argv: Sequence[str],
    *,
    what: str,
    epoch: int,
    scratch: Path,
    tell: Callable[[str], None],
    stdin: Path | None = None,
) -> None:
    """Runs mmdebstrap with `argv`.

    Args:
        argv: after the program's name.
        what: could not be done, if it fails.
        epoch: seconds since 1970, the date of every file.
        scratch: a folder that is thrown away, the home of what runs.
        tell: told what is being done.
        stdin: a file that hooks read; none else can be read in the namespace where others may not read it.

    Raises:
        PaverError: it is not there, or failed.
    """
    environment = {
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "PATH": system.search_path(),
        "SOURCE_DATE_EPOCH": str(epoch),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - where mmdebstrap unpacks, in a folder of its own
        "TZ": "UTC",
    }
    said: list[str] = []
    with (
        (stdin or Path(os.devnull)).open("rb") as given,
        children.running(
            ["sh", "-c", _WHOLE_GROUP, "sh", "mmdebstrap", *argv], environment, stdin=given
        ) as running,
    ):
        for line in running.stdout or ():
            said.append(line.rstrip())
            if line.startswith("I: "):
                tell(line[3:].strip().rstrip("."))
            elif line.startswith(("Unpacking ", "Setting up ")):
                tell(" ".join(line.split()[:3]))
        running.wait()
    if running.returncode:
        raise PaverError(
            f"{what} could not be unpacked",
            seen="\n".join(line for line in said if not line.startswith(("W: ", "I: ")))[-1500:],
            why=f"mmdebstrap ended with {running.returncode}",
            do="where it speaks of user namespaces: build as root, or give the user subordinate ids (/etc/subuid)",
        )
