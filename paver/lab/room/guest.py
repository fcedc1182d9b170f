"""The first process inside of a machine: puts the machine's own files in place, starts its services, reaps.

`python -m paver.lab.room.guest CONFIG`, inside of PID, mount and UTS namespaces of its own. The machine shares
the lab's file system, but these folders are its own: /etc, /home, /var/lib and /usr/local/bin are its root's,
with a link for everything that the host has there and the machine has not; /run and /dev/shm are empty.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.lab.room import kernel

OWN = ("etc", "home", "usr/local/bin", "var/lib")
_HOST = Path("/run/host")
_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class Service:
    """A process that the machine keeps running: argv, environment, and the file that its output goes to."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: str
    once: bool


def furnish(root: Path) -> None:
    """Lays the machine's own folders over the host's, and links to what of the host they lack."""
    handles = {place: os.open(root / place, os.O_PATH | os.O_DIRECTORY) for place in OWN}
    kernel.tmpfs("/run", 0o755)
    kernel.tmpfs("/dev/shm", 0o1777)  # noqa: S108 - hides the lab's shared memory, writes nothing there
    for place, handle in handles.items():
        there, here = Path("/", place), _HOST / place
        if not there.is_dir():
            continue
        here.mkdir(parents=True)
        kernel.bind(there, here)
        kernel.bind(f"/proc/self/fd/{handle}", there)
        os.close(handle)
        for path in here.iterdir():
            if not os.path.lexists(there / path.name):
                (there / path.name).symlink_to(path)


def main() -> int:
    """Runs the machine that the configuration file of the command line tells of, until it is killed."""
    config: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    kernel.hostname(config["hostname"])
    furnish(Path(config["root"]))
    for folder in config["folders"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("/run/services/addresses").write_text("".join(f"{each}\n" for each in config["addresses"]))
    services = [
        Service(tuple(raw["argv"]), raw["environment"], raw["log"], raw["once"]) for raw in config["services"]
    ]
    return _serve(services)


def _serve(services: Sequence[Service]) -> int:
    running: dict[int, Service] = {}
    started: dict[tuple[str, ...], list[float]] = {}

    def start(service: Service) -> None:
        with Path(service.log).open("ab") as sink:
            child = subprocess.Popen(
                service.argv,
                env=dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd="/",
            )
        running[child.pid] = service
        child.returncode = 0  # reaped below, with the orphans

    for service in services:
        start(service)
    while True:
        try:
            pid, _ = os.wait()
        except ChildProcessError:
            # Nothing runs any more; the machine stays on, as one would whose services all failed.
            time.sleep(3600)
            continue
        ended = running.pop(pid, None)
        if ended is None or ended.once:
            continue
        # As systemd does: on again, unless it keeps falling over.
        now = time.monotonic()
        times = [each for each in started.get(ended.argv, []) if now - each < _RESTART_WINDOW_SECONDS]
        if len(times) < _RESTARTS:
            started[ended.argv] = [*times, now]
            start(ended)


if __name__ == "__main__":
    sys.exit(main())
