"""The inside of a lab VM: what the agent's methods do to its disks, jobs and processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paver.lab.standins.agent_blobs import AgentError, Blobs
from paver.lab.standins.agent_processes import Processes
from paver.lab.standins.cpi_paths import DATA_SUFFIX


class Machine:
    """One VM; `root` stands for /var/vcap. Used from one thread, but for `address` and `blobs`."""

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        """Takes the CPI's settings."""
        self._settings = settings
        self._root = root
        self.blobs = Blobs(root)
        self._processes = Processes(root, self.address)
        self._state_file = root / "bosh" / "state.json"
        disks = settings["disks"].get("persistent") or {}
        self._state: dict[str, Any] = {"spec": {}, "disks": disks, "mounted": None, "started": False}
        if self._state_file.is_file():
            self._state = json.loads(self._state_file.read_text(encoding="utf-8"))

    @property
    def address(self) -> str:
        """The VM's first address."""
        return str(next(iter(self._settings["networks"].values()))["ip"])

    def boot(self) -> None:
        """Goes on where the machine was before it was powered off: disk mounted, jobs started."""
        if self._state["mounted"]:
            self._mount(self._state["mounted"])
        if self._state["started"]:
            self._processes.start()

    def halt(self) -> None:
        """Ends the processes; they start again at the next boot."""
        self._processes.stop()

    def perform(self, method: str, arguments: list[Any]) -> Any:
        """Carries out one method of the mbus."""
        if method == "list_disk":
            return sorted(self._state["disks"])
        if method == "get_state":
            return self._get_state()
        if method == "start":
            self._remember(started=True)
            self._processes.start()
            return "started"
        if method == "update_settings":
            return "updated"
        return TASKS[method](self, *arguments)

    def apply(self, spec: dict[str, Any]) -> str:
        """Lays out the jobs and packages of a spec."""
        self.blobs.lay_out(spec)
        self._remember(spec=spec)
        return "applied"

    def compile_package(self, *arguments: Any) -> dict[str, Any]:
        """Makes a compiled package of a source package."""
        return self.blobs.compile(*arguments)

    def stop(self, *_: Any) -> str:
        """Ends the processes, and they stay ended when the machine boots again."""
        self._remember(started=False)
        self._processes.stop()
        return "stopped"

    def add_persistent_disk(self, disk: str, hint: Any) -> str:
        """Learns where a disk is."""
        self._remember(disks={**self._state["disks"], disk: hint})
        return "added"

    def remove_persistent_disk(self, disk: str) -> str:
        """Forgets a disk."""
        self._remember(disks={cid: hint for cid, hint in self._state["disks"].items() if cid != disk})
        return "removed"

    def mount_disk(self, disk: str, hint: Any = None) -> dict[str, Any]:
        """Makes /var/vcap/store the folder that lies beside the disk's file."""
        if isinstance(hint, dict):
            self.add_persistent_disk(disk, hint)
        self._mount(disk)
        self._remember(mounted=disk)
        return {}

    def unmount_disk(self, disk: str) -> dict[str, Any]:
        """Takes /var/vcap/store away."""
        store = self._root / "store"
        if store.is_symlink():
            store.unlink()
        self._remember(mounted=None)
        return {"message": f"Unmounted partition of {disk}"}

    def migrate_disk(self, old: str, new: str) -> dict[str, Any]:
        """Copies a disk's content to another."""
        shutil.copytree(self._content(old), self._content(new), symlinks=True, dirs_exist_ok=True)
        return {}

    def run_script(self, name: str, _options: Any = None) -> dict[str, Any]:
        """Runs `bin/<name>` of every job that has it."""
        scripts = sorted((self._root / "jobs").glob(f"*/bin/{name}"))
        failed = [(script, done) for script in scripts if (done := self._processes.run(script)).returncode]
        if failed:
            jobs = ", ".join(script.parent.parent.name for script, _ in failed)
            words = " ".join(done.stderr[-500:] for _, done in failed)
            raise AgentError(
                f"{len(failed)} of {len(scripts)} {name} scripts failed. Failed Jobs: {jobs}. {words}"
            )
        return {}

    def _get_state(self) -> dict[str, Any]:
        states, spec = self._processes.states(), self._state["spec"]
        worst = next((state for state in ("failing", "starting") if state in states.values()), "running")
        return {
            **spec,
            "agent_id": self._settings["agent_id"],
            "vm": self._settings["vm"],
            "job_state": worst if self._state["started"] or not spec else "stopped",
            "networks": spec.get("networks") or self._settings["networks"],
            "processes": [
                {"name": name.partition("/")[2], "state": state} for name, state in sorted(states.items())
            ],
        }

    def _content(self, disk: str) -> Path:
        hint = self._state["disks"].get(disk)
        if not isinstance(hint, dict) or not hint.get("file"):
            raise AgentError(f"Mounting persistent disk: no device for disk '{disk}'")
        file = Path(hint["file"])
        if not file.exists():
            raise AgentError(f"Mounting persistent disk: '{hint['path']}' is not there")
        folder = file.with_name(file.name + DATA_SUFFIX)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def _mount(self, disk: str) -> None:
        folder, store = self._content(disk), self._root / "store"
        if store.is_symlink():
            store.unlink()
        elif store.is_dir():
            shutil.rmtree(store)
        store.symlink_to(folder)

    def _remember(self, **changes: Any) -> None:
        self._state |= changes
        self._state_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = self._state_file.with_suffix(".new")
        scratch.write_text(json.dumps(self._state), encoding="utf-8")
        scratch.replace(self._state_file)


TASKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "apply": Machine.apply,
        "prepare": lambda _machine, _spec: "prepared",
        "stop": Machine.stop,
        "drain": lambda _machine, *_: 0,
        "compile_package": Machine.compile_package,
        "run_script": Machine.run_script,
        "add_persistent_disk": Machine.add_persistent_disk,
        "remove_persistent_disk": Machine.remove_persistent_disk,
        "mount_disk": Machine.mount_disk,
        "unmount_disk": Machine.unmount_disk,
        "migrate_disk": Machine.migrate_disk,
        "delete_arp_entries": lambda _machine, *_: {},
        "sync_dns": lambda _machine, *_: "synced",
    }
)
