"""The processes of a machine: one set of PID, mount and UTS namespaces, ended by ending its first process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paver.lab import system
from paver.lab.room import guest, world

OWN = guest.OWN
_BOOT_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """A process that the machine keeps running; `once` ones may end."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    once: bool


@dataclass(frozen=True)
class Process:
    """A started process that takes all it started with it when it is killed."""

    popen: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Kills and reaps it; all that ran on it is gone when this returns."""
        if self.popen.poll() is None:
            # The machine's first process, not the one that waits for it: its end waits for all the others'.
            for number in _children(self.popen.pid) or [self.popen.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        self.popen.wait()


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue
        # The name may hold spaces and parentheses; the parent is the second field behind it.
        if int(text[text.rindex(")") + 2 :].split()[1]) == parent:
            found.append(int(entry.parent.name))
    return found


def start(
    place: world.World,
    *,
    folder: Path,
    hostname: str,
    addresses: Sequence[str],
    folders: Sequence[str],
    services: Sequence[Service],
) -> Process:
    """Starts a machine whose root is `folder`/root, with `services` on it; `folders` are made first.

    The lab must be an isolated one: without namespaces no machine can have files of its own.
    """
    config = folder / "guest.json"
    content = {
        "root": str(folder / "root"),
        "hostname": hostname,
        "addresses": list(addresses),
        "folders": list(folders),
        "services": [
            {
                "argv": list(each.argv),
                "environment": dict(each.environment),
                "log": str(each.log),
                "once": each.once,
            }
            for each in services
        ],
    }
    with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
        json.dump(content, sink)
    argv = ["unshare", "-mpuf", "--kill-child", "--mount-proc", "--propagation", "private"]
    return spawn(
        place,
        folder,
        [*argv, sys.executable, "-m", "paver.lab.room.guest", str(config)],
        folder / "guest.log",
    )


def spawn(
    place: world.World, folder: Path, argv: Sequence[str], log: Path, extra: Mapping[str, str] | None = None
) -> Process:
    """Starts `argv` with its output in `log`, its scratch in the machine's folder, and paver importable.

    It ends with the lab: by the lab's PID namespace, or, where there is none, with the thread that calls this.
    """
    if not place.isolated:
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": system.python_path(), **(extra or {})}
    with log.open("ab") as sink:
        popen = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment, cwd="/"
        )
    return Process(popen)


def await_port(address: str, port: int) -> bool:
    """Waits until something accepts connections at the address; False where nothing does in time."""
    end = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.01)
    return False
