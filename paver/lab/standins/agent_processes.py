"""The processes of a lab VM, as its jobs' `config/bpm.yml` says: the format of BOSH's process manager.

One addition: `lab_ports`, on which a process has to listen before it counts as running.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02


@dataclass
class Processes:
    """Started and ended from one thread: the kernel ends them when that thread goes."""

    root: Path
    address: str
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ports: dict[str, list[int]] = field(default_factory=dict)

    def start(self) -> None:
        """Starts what doesn't run yet, and waits until all listen, or one has ended, or time is up."""
        for file in sorted((self.root / "jobs").glob("*/config/bpm.yml")):
            job = file.parent.parent.name
            for process in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("processes") or []:
                name = f"{job}/{process['name']}"
                known = self._running.get(name)
                if known is None or known.poll() is not None:
                    self._running[name] = self._spawn(job, process)
                    self._ports[name] = [int(port) for port in process.get("lab_ports") or []]
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and "starting" in self.states().values():
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Ends all, the last started first."""
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def states(self) -> dict[str, str]:
        """The processes by "job/name": running, starting or failing."""
        return {name: self._state(name) for name in list(self._running)}

    def run(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Runs a job's script to its end."""
        return subprocess.run(
            [str(script)],
            cwd=self.root,
            env=self._environment({}),
            capture_output=True,
            text=True,
            check=False,
        )

    def _spawn(self, job: str, process: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        logs = self.root / "sys" / "log" / job
        for folder in (logs, self.root / "data" / job, self.root / "store"):
            if not folder.is_symlink():
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A machine that loses its power loses its processes with it.
        command = ["setpriv", "--pdeathsig", "KILL", "--", str(process["executable"])]
        command += [str(argument) for argument in process.get("args") or []]
        with (
            (logs / f"{process['name']}.stdout.log").open("ab") as out,
            (logs / f"{process['name']}.stderr.log").open("ab") as err,
        ):
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self._environment(process.get("env") or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _environment(self, own: Mapping[str, Any]) -> dict[str, str]:
        scratch = self.root / "data" / "tmp"
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {
            key: value for key, value in os.environ.items() if key == "PATH" or key.startswith("PAVER_LAB_")
        }
        return {
            **kept,
            **{key: str(value) for key, value in own.items()},
            "HOME": str(self.root),
            "TMPDIR": str(scratch),
            "BOSH_VM_IP": self.address,
            "BOSH_JOBS_DIR": str(self.root / "jobs"),
            "BOSH_PACKAGES_DIR": str(self.root / "packages"),
            "VCAP_ROOT": str(self.root),
        }

    def _state(self, name: str) -> str:
        if self._running[name].poll() is not None:
            return "failing"
        return "running" if all(_listens(self.address, port) for port in self._ports[name]) else "starting"


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
