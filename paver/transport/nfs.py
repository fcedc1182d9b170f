"""A file on an NFS server, read on a machine by libnfs' programs: in user space, without a mount that could hang.

The machine over there runs `nfs_reader`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paver.errors import BadInput, PaverError, Refused, Unobservable
from paver.transport import sent
from paver.transport.context import Progress
from paver.transport.machine import MachineReader, MachineWriter
from paver.transport.nfs_url import PORTMAPPER, Remote

_PROGRAM = Path(__file__).with_name("nfs_reader.py")
_GB = 10**9

LIMIT = 20.0
"""Seconds that a server has to answer."""
QUIET = 60.0
"""Seconds that may pass without a byte while a file comes."""
LONGEST = 3 * 3600.0
"""Seconds that a file may take: 13 GB at 1.2 MB/s."""


@dataclasses.dataclass(frozen=True)
class Copied:
    """A file as it arrived; `size` in bytes."""

    size: int
    sha256: str


def size(machine: MachineReader, remote: Remote, *, limit: float = LIMIT) -> int:
    """Returns how large the file is; reads only.

    Raises:
        PaverError: the file cannot be read from this machine; why, and what to do.
    """
    told = _asked(machine, remote, "look", str(limit), timeout=6 * limit + 60)
    return int(told["size"])


def copy(
    machine: MachineWriter,
    remote: Remote,
    target: str,
    *,
    times: int = 1,
    limit: float = LIMIT,
    quiet: float = QUIET,
    on_progress: Progress | None = None,
) -> Copied:
    """Brings the file to `target` (call `nfs:copy`), whole or not at all, digested on the way.

    Args:
        machine: where it is read, and lands.
        remote: the file.
        target: a path there.
        times: how often it must find room there, for what is made of it.
        limit: seconds that the server has to answer.
        quiet: seconds that may pass without a byte.
        on_progress: is told bytes done, and all (0 until that is known); also while the server is silent.

    Raises:
        PaverError: it did not come; why, and what to do.
    """
    machine.admit("nfs:copy", f"{remote.server}:{remote.path} to {target}")
    done, total = 0, 0

    def step(told: Mapping[str, Any]) -> None:
        nonlocal done, total
        done, total = int(told.get("done", done)), int(told.get("size", total))
        if on_progress is not None and "end" not in told:
            on_progress(done, total)

    told = _asked(
        machine, remote, "copy", str(limit), str(quiet), target, str(times), timeout=LONGEST, step=step
    )
    return Copied(int(told["size"]), str(told["sha256"]))


def _asked(
    machine: MachineReader,
    remote: Remote,
    verb: str,
    *more: str,
    timeout: float,
    step: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Mapping[str, Any]:
    steps = _Steps(machine, step)
    # As root, since most servers answer to ports below 1024 alone.
    words = [verb, remote.server, str(remote.port or 0), remote.path, *more]
    ran = sent.run(machine, _PROGRAM, words, timeout=timeout, root=True, on_output=steps.take)
    if steps.end is None:
        raise PaverError(
            f"{machine.name}: {remote.server} could not be asked for {remote.path}",
            seen=ran.err.decode("utf-8", "replace").strip().rpartition("\n")[2],
            do="check that the account may use sudo without a password",
        )
    if steps.end["end"] != "ok":
        raise _error(machine.name, remote, steps.end)
    return steps.end


class _Steps:
    """Takes the lines that the program over there prints."""

    def __init__(self, machine: MachineReader, step: Callable[[Mapping[str, Any]], None]) -> None:
        self._machine = machine
        self._step = step
        self._line = b""
        self.end: Mapping[str, Any] | None = None

    def take(self, piece: bytes) -> None:
        *whole, self._line = (self._line + piece).split(b"\n")
        for line in whole:
            told = self._told(line)
            self._step(told)
            if "end" in told:
                self.end = told

    def _told(self, line: bytes) -> Mapping[str, Any]:
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if isinstance(told, dict):
            return told
        raise sent.not_its_answer(self._machine, "a reader was started", line)


_AGAIN = "run the same command again: it begins anew, nothing half stayed on the jumpbox"
_PORTS = f"TCP {PORTMAPPER} and 2049, and the port of its mount service (`paver ports`)"


def _error(machine: str, remote: Remote, told: Mapping[str, Any]) -> PaverError:
    """Returns what the end of the program over there means to whoever wrote the URL."""
    where, seen = f"{remote.server}:{remote.path}", str(told.get("seen", ""))
    came = f"{int(told.get('done', 0)) / _GB:.2f} of {int(told.get('size', 0)) / _GB:.2f} GB came"
    match told["end"]:
        case "unreachable":
            return Unobservable(
                f"the NFS server {remote.server} does not answer {machine}",
                seen=seen,
                do=f"check that it runs and serves NFSv3 or v4, and that {machine} reaches it: {_PORTS}",
            )
        case "refused":
            return Refused(
                f"{remote.server} does not export {remote.folder} to {machine}",
                seen=seen,
                why="it is not in an export, the export is not for this address, or the server wants a port below 1024 "
                "(`secure`) and the account here has none",
                do=f"export it there, read-only, to {machine}'s address: /etc/exports, then exportfs -ra",
            )
        case "denied":
            return Refused(
                f"{remote.server} does not let {machine} read {remote.path}",
                seen=seen,
                why="it is asked as nobody, who may read what everybody may",
                do="give everybody the right to read it there: chmod a+r, and a+x for the folders above",
            )
        case "absent" | "no-file":
            absent = told["end"] == "absent"
            return BadInput(
                f"{where} is not there" if absent else f"{where} is no plain file",
                seen=seen,
                do="put it there, or name another place",
            )
        case "room":
            free, wanted = int(told["free"]) / _GB, int(told["wanted"]) / _GB
            return Refused(
                f"{machine} has too little room for {remote.name}",
                seen=f"{free:.1f} GB free",
                why=f"the file and what is unpacked from it take {wanted:.1f} GB",
                do="make room there, or give the jumpbox a larger disk (jumpbox.disk_gb)",
            )
        case "stalled":
            return Unobservable(
                f"{remote.server} fell silent while {remote.name} was read",
                seen=came,
                do=f"see to it, then {_AGAIN}",
            )
        case "broken" | "stale":
            return Unobservable(
                f"{remote.server} broke off while {remote.name} was read",
                seen=f"{came}; {seen}",
                why="the server went, or the file was exchanged under its name (stale)",
                do=_AGAIN,
            )
        case "changed":
            return PaverError(
                f"{where} changed while it was read", seen=seen, do=f"wait until it is whole, then {_AGAIN}"
            )
        case "no-program":
            return BadInput(
                f"{machine} has no {seen}, which reads from NFS servers",
                do="apt-get install libnfs-utils there, or use paver's image, which has it",
            )
        case "busy":
            return Refused(
                f"{machine}: {remote.name} is being read already", seen=seen, do="wait for that run to end"
            )
        case _:
            return PaverError(
                f"{machine}: {remote.name} could not be written",
                seen=seen,
                do="mend that disk, then run it again",
            )
