"""Writes the BUCC artefact of the lab: one tar with a BUCC tree, what it deploys from, and a manifest.

`python -m paver.lab.standins.bucc_artefact --out FILE.tar --bosh PATH [--minio PATH --registry PATH]`

    manifest.json                     paver.bucc-artefact/1: versions, and sha256 and size of every other file
    bucc/                             the tree: bin/bucc, bin/bosh, ops/ (links into src/bosh-deployment/, some), .versions
    bucc/src/offline_resources/       the releases and the stemcell that `bucc up` uses, by file:// (ops/9-offline.yml)
    services/                         the releases that are uploaded to the director
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paver.lab.standins import stemcell_image, stub_releases, stub_services, tarballs
from paver.lab.standins.tarballs import Release, Stemcell

FORMAT = "paver.bucc-artefact/1"
BUCC_VERSION = "0.10.3"
STEMCELL_NAME = f"bosh-vsphere-esxi-{stub_releases.OPERATING_SYSTEM}-go_agent"
_TREE = Path(__file__).parent / "bucc"
_OFFLINE = "bucc/src/offline_resources"
_NO_BOSH = b"#!/bin/sh\necho 'there is no bosh: it was not built for this lab'\nexit 1\n"
_LINKS = {
    "0-jumpbox-user.yml": "jumpbox-user.yml",
    "2-uaa.yml": "uaa.yml",
    "3-credhub.yml": "credhub.yml",
    "cpis/vsphere/0-cpi.yml": "vsphere/cpi.yml",
    "cpis/vsphere/flags/resource-pool.yml": "vsphere/resource-pool.yml",
}
"""What of `ops/` is a link into bosh-deployment in the real tree; a wheel, out of which this one comes, knows no links."""


def build(
    out: Path, bosh: Path | None, minio: Path, registry: Path, interpreter: str, pythonpath: str
) -> dict[str, Any]:
    """Writes the artefact to `out` and returns its manifest. The same inputs give the same bytes.

    Without a `bosh`, it is one as any other before it is unpacked, and then paver is told that nobody built one.
    """
    files: dict[str, tuple[bytes, bool]] = {}
    for path in sorted(_TREE.rglob("*")):
        if path.is_file():
            name = f"bucc/{path.relative_to(_TREE).as_posix()}"
            files[name] = (path.read_bytes(), os.access(path, os.X_OK))
    links: dict[str, str] = {}
    for link, file in _LINKS.items():
        files[f"bucc/src/bosh-deployment/{file}"] = files.pop(f"bucc/ops/{link}")
        links[f"bucc/ops/{link}"] = f"{'../' * (link.count('/') + 1)}src/bosh-deployment/{file}"
    files["bucc/bin/bosh"] = (_NO_BOSH if bosh is None else bosh.read_bytes(), True)
    version = "none" if bosh is None else _version(bosh)
    files["bucc/.versions"] = (f"bucc={BUCC_VERSION}\nbosh={version}\n".encode(), False)
    releases = stub_releases.bucc_releases(interpreter, pythonpath)
    stemcell_file = f"{STEMCELL_NAME}-{stub_releases.STEMCELL_VERSION}.tgz"
    for release in releases:
        files[f"{_OFFLINE}/{_file(release)}"] = (tarballs.release_tarball(release), False)
    files[f"{_OFFLINE}/{stemcell_file}"] = (_stemcell(), False)
    files["bucc/ops/9-offline.yml"] = _offline_operations(releases, stemcell_file, files)
    services = [stub_services.minio(str(minio)), stub_services.docker_registry(str(registry))]
    for release in services:
        files[f"services/{_file(release)}"] = (tarballs.release_tarball(release), False)
    manifest = {
        "format": FORMAT,
        "bucc": {"version": BUCC_VERSION, "end_of_life": False, "tree": "bucc", "bosh_cli": version},
        "stemcell": {
            "name": STEMCELL_NAME,
            "os": stub_releases.OPERATING_SYSTEM,
            "version": stub_releases.STEMCELL_VERSION,
            "file": f"{_OFFLINE}/{stemcell_file}",
        },
        "releases": {
            release.name: {"version": release.version, "file": f"{folder}/{_file(release)}"}
            for folder, group in ((_OFFLINE, releases), ("services", services))
            for release in group
        },
        "files": {
            name: {
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
                "executable": executable,
            }
            for name, (content, executable) in sorted(files.items())
        },
    }
    document = json.dumps(manifest, indent=1, sort_keys=True).encode()
    _write(out, {"manifest.json": (document, False), **files}, links)
    return manifest


def _offline_operations(
    releases: list[Release], stemcell_file: str, files: Mapping[str, tuple[bytes, bool]]
) -> tuple[bytes, bool]:
    operations: list[dict[str, Any]] = [
        {
            "type": "replace",
            "path": f"/releases/name={release.name}?",
            "value": {"name": release.name, "version": release.version, **_location(_file(release), files)},
        }
        for release in releases
    ]
    operations.append(
        {
            "type": "replace",
            "path": "/resource_pools/name=vms/stemcell?",
            "value": _location(stemcell_file, files),
        }
    )
    return tarballs.document(operations)


def _location(file: str, files: Mapping[str, tuple[bytes, bool]]) -> dict[str, str]:
    # Relative to the manifest, src/bosh-deployment/bosh.yml, so that the tree can be moved.
    digest = hashlib.sha1(files[f"{_OFFLINE}/{file}"][0], usedforsecurity=False).hexdigest()
    return {"url": f"file://../offline_resources/{file}", "sha1": digest}


def _stemcell() -> bytes:
    system, version = stub_releases.OPERATING_SYSTEM, stub_releases.STEMCELL_VERSION
    properties = {
        "name": STEMCELL_NAME,
        "version": version,
        "infrastructure": "vsphere",
        "hypervisor": "esxi",
        "disk": 5120,
        "disk_format": "ovf",
        "container_format": "bare",
        "os_type": "linux",
        "os_distro": "ubuntu",
        "architecture": "x86_64",
        "root_device_name": "/dev/sda1",
    }
    image = stemcell_image.image(system, version)
    return tarballs.stemcell_tarball(Stemcell(STEMCELL_NAME, version, system, image, properties))


def _file(release: Release) -> str:
    return f"{release.name}-{release.version}.tgz"


def _version(bosh: Path) -> str:
    text = subprocess.run([str(bosh), "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[1]


def _write(out: Path, files: Mapping[str, tuple[bytes, bool]], links: Mapping[str, str]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(out.name + ".part")
    with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, (content, executable) in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    scratch.replace(out)


def main() -> int:
    """Writes the artefact."""
    parser = argparse.ArgumentParser(prog="bucc_artefact", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bosh", type=Path, required=True, help="the official CLI")
    parser.add_argument(
        "--minio", type=Path, default=Path("/usr/bin/minio"), help="what the MinIO job starts"
    )
    parser.add_argument(
        "--registry", type=Path, default=Path("/usr/bin/registry"), help="what the registry job starts"
    )
    parser.add_argument("--python", default=sys.executable, help="what the stand-ins run under")
    options = parser.parse_args()
    sources = Path(__file__).resolve().parents[3]
    build(
        options.out,
        options.bosh,
        options.minio.absolute(),
        options.registry.absolute(),
        shlex.quote(options.python),
        shlex.quote(str(sources)),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
