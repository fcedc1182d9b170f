"""What a director holds to deploy from: releases and stemcells, their upload, listing, deletion and clean-up."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.lab.standins import director_configs, director_intake, director_tarballs
from paver.lab.standins.director_machines import Cpi, CpiError
from paver.lab.standins.director_state import State
from paver.lab.standins.director_tasks import Task, TaskError

_UPLOADING, _UPLOADING_STEMCELL, _DELETING = 300.0, 900.0, 10.0
"""Seconds for which a task waits for another one at the same release or stemcell (bosh, lock_helper.rb and the jobs)."""


@dataclass
class Library:
    """Releases and stemcells on the state's document."""

    state: State
    cpi: Cpi
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    @contextmanager
    def locked(self, name: str, seconds: float) -> Iterator[None]:
        """Keeps other tasks from a release or stemcell, as `release:minio`; raises TaskError if one does not end in time."""
        with self.state.lock:
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=seconds):
            raise TaskError(100, f"Failed to acquire lock for lock:{name}")
        try:
            yield
        finally:
            lock.release()

    def add_release(self, task: Task, path: Path, *, fix: bool) -> str:
        """Takes an uploaded release in; a known one only if it is the same."""
        try:
            with task.step("Extracting release", "Extracting release"):
                release = director_tarballs.read_release(path)
        finally:
            path.unlink()
        with self.locked(f"release:{release.name}", _UPLOADING):
            director_intake.take_in(self.state, task, release, fix=fix)
        return f"Created release '{release.name}/{release.version}'"

    def has_release(self, name: str) -> bool:
        """Tells whether there is any version of a release."""
        with self.state.lock:
            return bool(self.state.data["releases"].get(name))

    def add_stemcell(self, task: Task, path: Path, *, fix: bool) -> str:
        """Takes an uploaded stemcell in, by the CPI."""
        try:
            with task.step("Update stemcell", "Extracting stemcell archive", 1, 3):
                manifest, image = director_tarballs.read_stemcell(path)
        finally:
            path.unlink()
        name, version = str(manifest["name"]), str(manifest["version"])
        with self.locked(f"stemcells:{name}:{version}", _UPLOADING_STEMCELL):
            with task.step("Update stemcell", "Checking if this stemcell already exists", 2, 3):
                known = self._stemcell(name, version)
            if known and not fix:
                return f"/stemcells/{name}/{version}"
            with (
                task.step("Update stemcell", f"Uploading stemcell {name}/{version} to the cloud", 3, 3),
                tempfile.NamedTemporaryFile() as file,
            ):
                file.write(image)
                file.flush()
                cid = self.cpi.call(task, "create_stemcell", file.name, manifest["cloud_properties"])
            entry = {"name": name, "version": version, "os": str(manifest["operating_system"]), "cid": cid}
            with self.state.changing() as data:
                others = [s for s in data["stemcells"] if (s["name"], s["version"]) != (name, version)]
                data["stemcells"] = [*others, entry]
        return f"/stemcells/{name}/{version}"

    def delete_release(self, task: Task, name: str, version: str | None) -> str:
        """Deletes one version or all; refused while a deployment uses it."""
        with self.locked(f"release:{name}", _DELETING):
            return self._delete_release(task, name, version)

    def _delete_release(self, task: Task, name: str, version: str | None) -> str:
        with self.state.lock:
            versions = [version] if version else list(self.state.data["releases"].get(name, {}))
        if not versions:
            raise TaskError(30005, f"Release '{name}' doesn't exist")
        for one in versions:
            director_configs.release_spec(self.state.data["releases"], name, one)
            if (name, one) in self.state.used_releases():
                users = self._users("releases", name, one)
                raise TaskError(30008, f"Release version '{name}/{one}' is still in use by: {users}")
        for one in versions:
            with task.step("Deleting release", f"{name}/{one}"), self.state.changing() as data:
                del data["releases"][name][one]
                if not data["releases"][name]:
                    del data["releases"][name]
        return f"/releases/{name}"

    def delete_stemcell(self, task: Task, name: str, version: str) -> str:
        """Deletes a stemcell; refused while a deployment uses it."""
        known = self._stemcell(name, version)
        if known is None:
            raise TaskError(50003, f"Stemcell '{name}/{version}' doesn't exist")
        if (name, version) in self.state.used_stemcells():
            raise TaskError(
                50005,
                f"Stemcell '{name}/{version}' is still in use by: {self._users('stemcells', name, version)}",
            )
        with self.locked(f"stemcells:{name}:{version}", _DELETING):
            with task.step("Deleting stemcell from cloud", f"{name}/{version}"):
                self.cpi.call(task, "delete_stemcell", known["cid"])
            with self.state.changing() as data:
                others = [s for s in data["stemcells"] if (s["name"], s["version"]) != (name, version)]
                data["stemcells"] = others
        return f"/stemcells/{name}/{version}"

    def clean_up(self, task: Task, *, everything: bool, keep_disks: bool) -> str:
        """Deletes what no deployment uses: all of it, or all but the two newest of each; and orphaned disks."""
        spare = self.unused(everything=everything)
        for name, version in spare["releases"]:
            self.delete_release(task, name, version)
        for name, version in spare["stemcells"]:
            self.delete_stemcell(task, name, version)
        disks = (
            []
            if keep_disks or not everything
            else [disk["disk_cid"] for disk in self.state.data["orphaned_disks"]]
        )
        for position, disk in enumerate(disks, start=1):
            with task.step("Deleting orphaned disks", disk, position, len(disks)):
                self.delete_disk(task, disk)
        counts = f"{len(spare['releases'])} release(s), {len(spare['stemcells'])} stemcell(s), {len(disks)} orphaned disk(s)"
        return f"Deleted {counts}"

    def delete_disk(self, task: Task, disk: str) -> str:
        """Deletes an orphaned disk; one that the CPI does not find is forgotten without a word (orphan_disk_manager.rb)."""
        if disk not in [entry["disk_cid"] for entry in self.state.data["orphaned_disks"]]:
            raise TaskError(390001, f"Orphaned disk '{disk}' doesn't exist")
        try:
            self.cpi.call(task, "delete_disk", disk)
        except CpiError as error:
            if error.kind != "Bosh::Clouds::DiskNotFound":
                raise
            task.debug(f"Disk not found in IaaS: {disk}")
        with self.state.changing() as data:
            data["orphaned_disks"] = [entry for entry in data["orphaned_disks"] if entry["disk_cid"] != disk]
        return f"Orphaned disk '{disk}' deleted"

    def unused(self, *, everything: bool) -> dict[str, list[tuple[str, str]]]:
        """Name and version of releases and stemcells that a clean-up would delete."""
        keep = 0 if everything else 2
        with self.state.lock:
            used, found = self.state.used_releases(), []
            runtime = [director_configs.content(c["content"]) for c in self.state.current_configs("runtime")]
            used |= {
                (str(e["name"]), str(e["version"]))
                for config in runtime
                for e in config.get("releases") or []
            }
            for name, versions in self.state.data["releases"].items():
                free = [
                    v for v in sorted(versions, key=director_configs.version_key) if (name, v) not in used
                ]
                found += [(name, v) for v in (free[:-keep] if keep else free)]
            kept, stemcells = self.state.used_stemcells(), []
            for name in sorted({s["name"] for s in self.state.data["stemcells"]}):
                versions_of = [s["version"] for s in self.state.data["stemcells"] if s["name"] == name]
                free = [
                    v for v in sorted(versions_of, key=director_configs.version_key) if (name, v) not in kept
                ]
                stemcells += [(name, v) for v in (free[:-keep] if keep else free)]
        return {"releases": found, "stemcells": stemcells}

    def releases(self) -> list[dict[str, Any]]:
        """The releases as the API lists them."""
        with self.state.lock:
            used = self.state.used_releases()
            return [
                {
                    "name": name,
                    "release_versions": [
                        {
                            "version": version,
                            "commit_hash": entry["commit_hash"],
                            "uncommitted_changes": entry["uncommitted"],
                            "currently_deployed": (name, version) in used,
                            "job_names": sorted(entry["jobs"]),
                        }
                        for version, entry in sorted(versions.items())
                    ],
                }
                for name, versions in sorted(self.state.data["releases"].items())
            ]

    def release(self, name: str, version: str) -> dict[str, Any] | None:
        """A release's jobs and packages as the API shows them."""
        with self.state.lock:
            entry = self.state.data["releases"].get(name, {}).get(version)
        if entry is None:
            return None
        jobs = [
            {"name": job, **_public(spec), "consumes": [], "provides": []}
            for job, spec in entry["jobs"].items()
        ]
        packages = []
        for package, spec in entry["packages"].items():
            shown = {"name": package, **_public(spec), "compiled_packages": []}
            if spec["stemcell"]:
                shown["compiled_packages"] = [
                    {"stemcell": spec["stemcell"], "sha1": spec["sha1"], "blobstore_id": spec["blob"]}
                ]
                shown |= {"blobstore_id": None, "sha1": None}
            packages.append(shown)
        return {"jobs": jobs, "packages": packages}

    def stemcells(self) -> list[dict[str, Any]]:
        """The stemcells as the API lists them."""
        with self.state.lock:
            return [
                {
                    "name": s["name"],
                    "operating_system": s["os"],
                    "version": s["version"],
                    "cid": s["cid"],
                    "cpi": "",
                    "api_version": 3,
                    "deployments": [
                        {"name": user} for user in self._user_list("stemcells", s["name"], s["version"])
                    ],
                }
                for s in self.state.data["stemcells"]
            ]

    def _stemcell(self, name: str, version: str) -> dict[str, Any] | None:
        with self.state.lock:
            found = [s for s in self.state.data["stemcells"] if (s["name"], s["version"]) == (name, version)]
            return dict(found[0]) if found else None

    def _user_list(self, kind: str, name: str, version: str) -> list[str]:
        return sorted(
            deployment
            for deployment, known in self.state.data["deployments"].items()
            if {"name": name, "version": version} in known[kind]
        )

    def _users(self, kind: str, name: str, version: str) -> str:
        return ", ".join(self._user_list(kind, name, version))


def _public(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"fingerprint": spec["fingerprint"], "sha1": spec["sha1"], "blobstore_id": spec["blob"]}
