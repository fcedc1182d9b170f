"""The inside of a lab VM: disks, jobs, packages and the processes that the jobs say.

A job's processes are read from its rendered `config/bpm.yml`, the format of BOSH's process manager, with one
addition: `lab_ports`, on which a process has to listen before it counts as running. "/var/vcap" in rendered
text becomes this machine's own folder, since the lab's machines share one file system.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from paver.lab.standins.cpi_paths import DATA_SUFFIX

_VCAP = "/var/vcap"
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02


class AgentError(Exception):
    """A call failed; the message is the answer's."""


class Machine:
    """One VM. Used from one thread; the read-only properties from any."""

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        """Takes the CPI's settings; `root` stands for /var/vcap."""
        self._settings = settings
        self._root = root
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, list[int]] = {}
        self._state_file = root / "bosh" / "state.json"
        self._state: dict[str, Any] = {
            "spec": {},
            "disks": settings["disks"].get("persistent") or {},
            "started": False,
        }
        if self._state_file.is_file():
            self._state = json.loads(self._state_file.read_text(encoding="utf-8"))

    @property
    def address(self) -> str:
        """The VM's first address."""
        return str(next(iter(self._settings["networks"].values()))["ip"])

    def boot(self) -> None:
        """Goes on where the machine was before it was powered off: disk mounted, jobs started."""
        if self._state.get("mounted"):
            self._mount(self._state["mounted"])
        if self._state["started"]:
            self._start()

    def perform(self, method: str, arguments: list[Any]) -> Any:
        """Carries out one method of the mbus."""
        if method == "list_disk":
            return sorted(self._state["disks"])
        if method == "get_state":
            return self._get_state()
        if method == "start":
            return self._start()
        if method == "update_settings":
            return "updated"
        return TASKS[method](self, *arguments)

    def blob(self, name: str) -> Path:
        """Where a blob lies."""
        return self._root / "data" / "blobs" / name

    def store_blob(self, name: str, chunks: Iterable[bytes]) -> None:
        """Keeps a blob under its name."""
        path = self.blob(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def apply(self, spec: dict[str, Any]) -> str:
        """Lays out the jobs and packages of a spec; an empty one removes them."""
        for folder in ("jobs", "packages"):
            shutil.rmtree(self._root / folder, ignore_errors=True)
            (self._root / folder).mkdir(mode=0o700)
        archive = spec.get("rendered_templates_archive") or {}
        if archive.get("blobstore_id"):
            self._unpack(archive["blobstore_id"], self._root / "jobs", archive.get("sha1"))
            self._relocate(self._root / "jobs")
        for name, package in (spec.get("packages") or {}).items():
            self._unpack(package["blobstore_id"], self._root / "packages" / name, package.get("sha1"))
        self._state["spec"] = spec
        self._save()
        return "applied"

    def compile_package(
        self, blob: str, digest: str, name: str, version: str, dependencies: Any
    ) -> dict[str, Any]:
        """Runs a package's `packaging` script and keeps what it installs as a blob."""
        work = self._root / "data" / "compile" / name
        target = self._root / "data" / "packages" / name / version
        for folder in (work, target):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
        self._unpack(blob, work, digest)
        for dependency in dependencies or {}:
            if not (self._root / "data" / "packages" / dependency).is_dir():
                raise AgentError(f"Compiling package {name}: dependency '{dependency}' is not there")
        environment = {
            "BOSH_COMPILE_TARGET": str(work),
            "BOSH_INSTALL_TARGET": str(target),
            "BOSH_PACKAGE_NAME": name,
            "BOSH_PACKAGE_VERSION": version,
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            ["bash", "-x", "packaging"],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AgentError(
                f"Compiling package {name}: packaging exited {done.returncode}: {done.stderr[-2000:]}"
            )
        identity = f"compiled-{name}-{version}"
        archive = self.blob(identity)
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            tar.add(target, arcname=".")
        sha1 = hashlib.sha1(archive.read_bytes(), usedforsecurity=False).hexdigest()
        return {"result": {"blobstore_id": identity, "sha1": sha1}}

    def stop(self) -> str:
        """Ends the processes, the last started first."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        return "stopped"

    def stop_jobs(self, *_: Any) -> str:
        """Ends the processes, and they stay ended when the machine boots again."""
        self._state["started"] = False
        self._save()
        return self.stop()

    def add_persistent_disk(self, disk: str, hint: Any) -> str:
        """Learns where a disk is."""
        self._state["disks"][disk] = hint
        self._save()
        return "added"

    def remove_persistent_disk(self, disk: str) -> str:
        """Forgets a disk."""
        self._state["disks"].pop(disk, None)
        self._save()
        return "removed"

    def mount_disk(self, disk: str, hint: Any = None) -> dict[str, Any]:
        """Makes /var/vcap/store the folder that lies beside the disk's file."""
        if isinstance(hint, dict):
            self._state["disks"][disk] = hint
        self._mount(disk)
        self._state["mounted"] = disk
        self._save()
        return {}

    def unmount_disk(self, disk: str) -> dict[str, Any]:
        """Takes /var/vcap/store away."""
        store = self._root / "store"
        if store.is_symlink():
            store.unlink()
        self._state["mounted"] = None
        self._save()
        return {"message": f"Unmounted partition of {disk}"}

    def run_script(self, name: str, _options: Any = None) -> dict[str, Any]:
        """Runs `bin/<name>` of every job that has it."""
        for script in sorted((self._root / "jobs").glob(f"*/bin/{name}")):
            done = subprocess.run([str(script)], cwd=self._root, capture_output=True, text=True, check=False)
            if done.returncode:
                job = script.parent.parent.name
                raise AgentError(f"1 of 1 {name} scripts failed. Failed Jobs: {job}. {done.stderr[-500:]}")
        return {}

    def _start(self) -> str:
        for file in sorted((self._root / "jobs").glob("*/config/bpm.yml")):
            job = file.parent.parent.name
            for process in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("processes") or []:
                name = f"{job}/{process['name']}"
                running = self._processes.get(name)
                if running is None or running.poll() is not None:
                    self._processes[name] = self._spawn(job, process)
                    self._ports[name] = [int(port) for port in process.get("lab_ports") or []]
        self._state["started"] = True
        self._save()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and any(
            self._status(name) == "starting" for name in self._processes
        ):
            time.sleep(_POLL_SECONDS)
        return "started"

    def _spawn(self, job: str, process: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        logs = self._root / "sys" / "log" / job
        scratch = self._root / "data" / "tmp"
        for folder in (logs, scratch, self._root / "data" / job, self._root / "store"):
            if not folder.is_symlink():
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {
            key: value for key, value in os.environ.items() if key == "PATH" or key.startswith("PAVER_LAB_")
        }
        environment = {
            **kept,
            **{key: str(value) for key, value in (process.get("env") or {}).items()},
            "HOME": str(self._root),
            "TMPDIR": str(scratch),
            "BOSH_VM_IP": self.address,
            "BOSH_JOBS_DIR": str(self._root / "jobs"),
            "BOSH_PACKAGES_DIR": str(self._root / "packages"),
            "VCAP_ROOT": str(self._root),
        }
        # A machine that loses its power loses its processes with it.
        command = ["setpriv", "--pdeathsig", "KILL", "--", str(process["executable"])]
        command += [str(argument) for argument in process.get("args") or []]
        with (
            (logs / f"{process['name']}.stdout.log").open("ab") as out,
            (logs / f"{process['name']}.stderr.log").open("ab") as err,
        ):
            return subprocess.Popen(
                command,
                cwd=self._root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _status(self, name: str) -> str:
        if self._processes[name].poll() is not None:
            return "failing"
        return "running" if all(_listens(self.address, port) for port in self._ports[name]) else "starting"

    def _get_state(self) -> dict[str, Any]:
        states = {name: self._status(name) for name in list(self._processes)}
        worst = next((state for state in ("failing", "starting") if state in states.values()), "running")
        spec = self._state["spec"]
        return {
            **spec,
            "agent_id": self._settings["agent_id"],
            "vm": self._settings["vm"],
            "job_state": worst if self._state["started"] or not spec else "stopped",
            "networks": spec.get("networks") or self._settings["networks"],
            "processes": [{"name": name.partition("/")[2], "state": state} for name, state in states.items()],
        }

    def _mount(self, disk: str) -> None:
        hint = self._state["disks"].get(disk)
        if not isinstance(hint, dict) or not hint.get("file"):
            raise AgentError(f"Mounting persistent disk: no device for disk '{disk}'")
        file = Path(hint["file"])
        if not file.exists():
            raise AgentError(f"Mounting persistent disk: '{hint['path']}' is not there")
        folder = file.with_name(file.name + DATA_SUFFIX)
        folder.mkdir(exist_ok=True, mode=0o700)
        store = self._root / "store"
        if store.is_symlink():
            store.unlink()
        elif store.is_dir():
            shutil.rmtree(store)
        store.symlink_to(folder)

    def _unpack(self, blob: str, target: Path, digest: str | None) -> None:
        path = self.blob(blob)
        if not path.is_file():
            raise AgentError(f"Getting blob '{blob}': not found")
        content = path.read_bytes()
        if digest:
            kind, _, value = digest.rpartition(":")
            actual = hashlib.new(kind or "sha1", content, usedforsecurity=False).hexdigest()
            if actual != value:
                raise AgentError(f"Expected stream to have digest '{digest}' but was '{actual}'")
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tarfile.open(path, "r:gz") as tar:
            tar.extractall(target, filter="data")

    def _relocate(self, folder: Path) -> None:
        for file in folder.rglob("*"):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                if _VCAP in text:
                    file.write_text(text.replace(_VCAP, str(self._root)), encoding="utf-8")
                # Secrets are rendered into both; the CLI's archive carries no modes.
                file.chmod(0o700 if file.parent.name == "bin" else 0o600)

    def _save(self) -> None:
        self._state_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = self._state_file.with_suffix(".new")
        scratch.write_text(json.dumps(self._state), encoding="utf-8")
        scratch.replace(self._state_file)


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


TASKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "apply": Machine.apply,
        "prepare": lambda _machine, _spec: "prepared",
        "stop": Machine.stop_jobs,
        "drain": lambda _machine, *_: 0,
        "compile_package": Machine.compile_package,
        "run_script": Machine.run_script,
        "add_persistent_disk": Machine.add_persistent_disk,
        "remove_persistent_disk": Machine.remove_persistent_disk,
        "mount_disk": Machine.mount_disk,
        "unmount_disk": Machine.unmount_disk,
        "migrate_disk": lambda _machine, *_: {},
        "delete_arp_entries": lambda _machine, *_: {},
        "sync_dns": lambda _machine, *_: "synced",
        "fetch_logs": lambda _machine, *_: {"blobstore_id": ""},
    }
)
