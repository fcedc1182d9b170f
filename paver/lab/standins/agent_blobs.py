"""What an agent is handed as blobs: rendered jobs and packages, unpacked and compiled below /var/vcap."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.lab.standins import tarballs

_VCAP = "/var/vcap"


class AgentError(Exception):
    """A call failed; the message is the answer's."""


@dataclass(frozen=True)
class Blobs:
    """The blobs of one VM; `root` stands for /var/vcap."""

    root: Path

    def path(self, name: str) -> Path:
        """Where a blob lies."""
        return self.root / "data" / "blobs" / name

    def store(self, name: str, chunks: Iterable[bytes]) -> None:
        """Keeps a blob under its name."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def lay_out(self, spec: Mapping[str, Any]) -> None:
        """Makes jobs and packages what a spec says; an empty one removes them."""
        for folder in ("jobs", "packages"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
            (self.root / folder).mkdir(mode=0o700)
        archive = spec.get("rendered_templates_archive") or {}
        if archive.get("blobstore_id"):
            self._unpack(archive["blobstore_id"], self.root / "jobs", archive.get("sha1"))
            self._relocate(self.root / "jobs")
        for name, package in (spec.get("packages") or {}).items():
            self._unpack(package["blobstore_id"], self.root / "packages" / name, package.get("sha1"))

    def compile(self, blob: str, digest: str, name: str, version: str, dependencies: Any) -> dict[str, Any]:
        """Runs a package's `packaging` script and keeps what it installs as a blob."""
        work = self.root / "data" / "compile" / name
        target = self.root / "data" / "packages" / name / version
        for folder in (work, target):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
        self._unpack(blob, work, digest)
        for dependency in dependencies or {}:
            if not (self.root / "data" / "packages" / dependency).is_dir():
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
        archive = self.path(identity)
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            tar.add(target, arcname=".")
        sha1 = hashlib.sha1(archive.read_bytes(), usedforsecurity=False).hexdigest()
        return {"result": {"blobstore_id": identity, "sha1": sha1}}

    def _unpack(self, blob: str, target: Path, digest: str | None) -> None:
        path = self.path(blob)
        if not path.is_file():
            raise AgentError(f"Getting blob '{blob}': not found")
        if digest:
            kind, _, value = digest.rpartition(":")
            actual = hashlib.new(kind or "sha1", path.read_bytes(), usedforsecurity=False).hexdigest()
            if actual != value:
                raise AgentError(f"Expected stream to have digest '{digest}' but was '{actual}'")
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tarfile.open(path, "r:gz") as tar:
            tarballs.unpack(tar, target)

    def _relocate(self, folder: Path) -> None:
        # The lab's machines share one file system, so /var/vcap in rendered text becomes this VM's own folder.
        for file in folder.rglob("*"):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                if _VCAP in text:
                    file.write_text(text.replace(_VCAP, str(self.root)), encoding="utf-8")
                # Secrets are rendered into both; the CLI's archive carries no modes.
                file.chmod(0o700 if file.parent.name == "bin" else 0o600)
