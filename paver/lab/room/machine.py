"""The processes of a machine: one set of PID, mount and UTS namespaces, ended by ending its first process."""

from __future__ import annotations

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

from paver.errors import PaverError
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
        """Kills and reaps it."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()


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

    Raises:
        PaverError: the lab runs without namespaces, so a machine can't have a view of its own.
    """
    if not place.isolated:
        raise PaverError("a machine with a file system of its own needs user namespaces")
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
        folder, [*argv, sys.executable, "-m", "paver.lab.room.guest", str(config)], folder / "guest.log"
    )


def spawn(folder: Path, argv: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> Process:
    """Starts `argv` with its output in `log`, its scratch in the machine's folder, and paver importable."""
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": system.python_path(), **(extra or {})}
    with log.open("ab") as sink:
        popen = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment, cwd="/"
        )
    return Process(popen)


def await_port(address: str, port: int, seconds: float = _BOOT_SECONDS) -> bool:
    """Waits until something accepts connections at the address; False where nothing does in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.01)
    return False
