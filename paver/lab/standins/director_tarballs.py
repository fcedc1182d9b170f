"""What a director reads out of uploaded tarballs, and what it refuses in them.

Unlike `create-env`, a director checks every digest of a release's manifest and of a stemcell's image.
Words and codes of refusals: bosh's src/bosh-director/lib/bosh/director/errors.rb.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from paver.lab.standins import libyaml, tarballs

_PIECE = 2**20


class BadTarballError(Exception):
    """The upload is refused; `code` is the director's."""

    def __init__(self, code: int, message: str) -> None:
        """Takes the director's code and words."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Blob:
    """A job or package of a release: its entry in release.MF, and its tarball (None: left out by the CLI)."""

    entry: Mapping[str, Any]
    content: bytes
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadRelease:
    """A release as it was uploaded."""

    name: str
    version: str
    commit_hash: str
    uncommitted: bool
    compiled: bool
    jobs: tuple[Blob, ...]
    packages: tuple[Blob, ...]


def read_release(path: Path) -> ReadRelease:
    """Reads and checks a release's tarball."""
    files = _members(path, 30001, "release")
    manifest = _manifest(files, "release.MF", 30002, "Release manifest not found")
    name, version = str(manifest.get("name") or ""), str(manifest.get("version") or "")
    if not name or not version:
        raise BadTarballError(
            40001, "Required property 'name' or 'version' was not specified in object (release.MF)"
        )
    compiled = "compiled_packages" in manifest
    folder = "compiled_packages" if compiled else "packages"
    packages = tuple(_blob(files, folder, entry, "package") for entry in manifest.get(folder) or [])
    known = {blob.entry["name"] for blob in packages}
    for blob in packages:
        for dependency in blob.entry.get("dependencies") or []:
            if dependency not in known:
                raise BadTarballError(
                    30006, f"Package '{blob.entry['name']}' depends on missing package '{dependency}'"
                )
        if not compiled and "packaging" not in _names(blob.content):
            raise BadTarballError(80003, f"Package '{blob.entry['name']}' has no packaging script")
    jobs = tuple(_job(_blob(files, "jobs", entry, "job"), known) for entry in manifest.get("jobs") or [])
    return ReadRelease(
        name,
        version,
        str(manifest.get("commit_hash") or ""),
        bool(manifest.get("uncommitted_changes")),
        compiled,
        jobs,
        packages,
    )


def read_stemcell(path: Path) -> tuple[dict[str, Any], bytes]:
    """Returns a stemcell's manifest and its image, checked against the manifest."""
    files = _members(path, 50003, "stemcell")
    manifest = _manifest(files, "stemcell.MF", 50003, "Stemcell manifest not found")
    for key in ("name", "version", "operating_system", "cloud_properties", "sha1"):
        if not manifest.get(key):
            raise BadTarballError(
                40001, f"Required property '{key}' was not specified in object (stemcell.MF)"
            )
    if "image" not in files:
        raise BadTarballError(50004, "Stemcell image not found")
    if not _fits(files["image"], str(manifest["sha1"])):
        raise BadTarballError(50003, "Stemcell image's digest is not the one of its manifest")
    return manifest, files["image"]


def unpack_job(content: bytes, folder: Path) -> None:
    """Lays out a job's tarball in `folder`."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        tarballs.unpack(tar, folder)


def _job(blob: Blob, packages: set[str]) -> Blob:
    name = blob.entry["name"]
    files = _unpacked(blob.content, 70005, f"job '{name}'")
    spec = _manifest(files, "job.MF", 70003, f"Missing job manifest for '{name}'")
    if "monit" not in files:
        raise BadTarballError(70004, f"Job '{name}' is missing monit file")
    for source in spec.get("templates") or {}:
        if f"templates/{source}" not in files:
            raise BadTarballError(70006, f"Missing template file '{source}' for job '{name}'")
    for package in spec.get("packages") or []:
        if package not in packages:
            raise BadTarballError(70007, f"Job '{name}' references missing package '{package}'")
    return Blob(blob.entry, blob.content, spec)


def _blob(files: Mapping[str, bytes], folder: str, entry: Mapping[str, Any], kind: str) -> Blob:
    for key in ("name", "version", "fingerprint", "sha1"):
        if not entry.get(key):
            raise BadTarballError(40001, f"Required property '{key}' was not specified in object ({kind})")
    content = files.get(f"{folder}/{entry['name']}.tgz")
    if content is None:
        raise BadTarballError(30001, f"Release archive has no {kind} '{entry['name']}'")
    if not _fits(content, str(entry["sha1"])):
        raise BadTarballError(
            30001, f"{kind.capitalize()} '{entry['name']}' doesn't have the digest '{entry['sha1']}'"
        )
    return Blob(entry, content)


def _fits(content: bytes, digests: str) -> bool:
    # Several digests of one blob are separated by ";"; one without a name is SHA-1.
    for digest in digests.split(";"):
        kind, _, value = digest.rpartition(":")
        try:
            if hashlib.new(kind or "sha1", content, usedforsecurity=False).hexdigest() != value:
                return False
        except ValueError:
            return False
    return True


def _members(path: Path, code: int, what: str) -> dict[str, bytes]:
    return _unpacked(path.read_bytes(), code, f"{what} archive")


def _unpacked(content: bytes, code: int, what: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(content)) as plain,
            tarfile.open(fileobj=plain, mode="r:") as tar,
        ):
            for member in tar:
                data = tar.extractfile(member) if member.isfile() else None
                if data is not None:
                    files[member.name.removeprefix("./")] = data.read()
            # To the very end, as `tar -xzf` reads: the checksum stands there.
            while plain.read(_PIECE):
                continue
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BadTarballError(code, f"Extracting {what} failed. Check task debug log for details.") from error
    return files


def _names(content: bytes) -> set[str]:
    return set(_unpacked(content, 80003, "package"))


def _manifest(files: Mapping[str, bytes], name: str, code: int, missing: str) -> dict[str, Any]:
    if name not in files:
        raise BadTarballError(code, missing)
    try:
        content = libyaml.loads(files[name])
    except yaml.YAMLError as error:
        raise BadTarballError(code, f"{name} is no YAML") from error
    if not isinstance(content, dict):
        raise BadTarballError(code, f"{name} is no mapping")
    return content
