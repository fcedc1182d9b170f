"""Writes what BOSH eats: releases, compiled or from source, and stemcells, as gzipped tars.

The tarballs are reproducible: the same content gives the same bytes, so that the artefact's digests stay
put. Formats: bosh.io/docs, "Release blobs" and "Stemcell", and the official CLI's readers.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Lays an archive out in `folder`; a member that leads out of it is refused where this Python can."""
    # `extractall(filter=…)` came with 3.11.4, and Debian 12 has 3.11.2: this is what the library's own
    # documentation says for both ("Supporting older Python versions").
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(folder)  # noqa: S202 - the line above


@dataclass(frozen=True)
class Job:
    """A job of a release: its `templates` are path in the VM's job folder → ERB text.

    `properties` is the spec's: name → {default, description}. `packages` are those that it runs.
    """

    name: str
    templates: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    monit: str = ""


@dataclass(frozen=True)
class Package:
    """A package: its files, name → (content, executable). A source package must hold `packaging`."""

    name: str
    files: Mapping[str, tuple[bytes, bool]]
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """A release. `stemcell` ("ubuntu-noble/1.484") says what its packages were compiled against, "" for source."""

    name: str
    version: str
    jobs: tuple[Job, ...]
    packages: tuple[Package, ...] = ()
    stemcell: str = ""


@dataclass(frozen=True)
class Stemcell:
    """A stemcell: `image` is what the CPI's create_stemcell imports."""

    name: str
    version: str
    operating_system: str
    image: bytes
    cloud_properties: Mapping[str, Any]


def pack(files: Mapping[str, tuple[bytes, bool]], *, level: int = 6) -> bytes:
    """Returns a gzipped tar of `files` (name → content, executable), the same bytes for the same files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in files:
            content, executable = files[name]
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), compresslevel=level, mtime=0)


def document(content: Any) -> tuple[bytes, bool]:
    """Returns `content` as a YAML file's entry for `pack`."""
    return (yaml.safe_dump(content, sort_keys=False).encode(), False)


def release_tarball(release: Release) -> bytes:
    """Returns the release as `bosh create-release --tarball` or `export-release` would lay it out."""
    files: dict[str, tuple[bytes, bool]] = {}
    jobs = []
    for job in release.jobs:
        blob = _job_tarball(job)
        files[f"jobs/{job.name}.tgz"] = (blob, False)
        jobs.append(_entry(job.name, blob))
    folder = "compiled_packages" if release.stemcell else "packages"
    packages = []
    for package in release.packages:
        blob = pack(package.files)
        files[f"{folder}/{package.name}.tgz"] = (blob, False)
        entry = {**_entry(package.name, blob), "dependencies": list(package.dependencies)}
        packages.append(entry | ({"stemcell": release.stemcell} if release.stemcell else {}))
    manifest = {
        "name": release.name,
        "version": release.version,
        "commit_hash": _fingerprint(release.name.encode() + release.version.encode())[:7],
        "uncommitted_changes": False,
        "jobs": jobs,
        folder: packages,
    }
    return pack({"release.MF": document(manifest), **files})


def stemcell_tarball(stemcell: Stemcell) -> bytes:
    """Returns the stemcell; its image is stored as it is, for it is compressed already."""
    manifest = {
        "name": stemcell.name,
        "version": stemcell.version,
        "api_version": 3,
        "bosh_protocol": "1",
        "sha1": hashlib.sha1(stemcell.image, usedforsecurity=False).hexdigest(),
        "operating_system": stemcell.operating_system,
        "stemcell_formats": ["vsphere-ova", "vsphere-ovf"],
        "cloud_properties": dict(stemcell.cloud_properties),
    }
    return pack({"stemcell.MF": document(manifest), "image": (stemcell.image, False)}, level=1)


def _job_tarball(job: Job) -> bytes:
    sources = {target: f"{target.replace('/', '_')}.erb" for target in job.templates}
    manifest = {
        "name": job.name,
        "templates": {sources[target]: target for target in job.templates},
        "packages": list(job.packages),
        "properties": {name: dict(spec) for name, spec in job.properties.items()},
    }
    files = {"job.MF": document(manifest), "monit": (job.monit.encode(), False)}
    for target, text in job.templates.items():
        files[f"templates/{sources[target]}"] = (text.encode(), False)
    return pack(files)


def _entry(name: str, blob: bytes) -> dict[str, Any]:
    fingerprint = _fingerprint(blob)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    return {"name": name, "version": fingerprint, "fingerprint": fingerprint, "sha1": digest}


def _fingerprint(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
