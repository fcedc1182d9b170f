"""BUCC's artefact as a file, small: what it is made of can be changed before it is written."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

FILES = MappingProxyType(
    {"bucc/bin/bucc": b"#!/bin/sh\n", "bucc/src/deployment/uaa.yml": b"[]\n", "stemcell.tgz": b"stemcell"}
)
LINKS = MappingProxyType({"bucc/ops/2-uaa.yml": "../src/deployment/uaa.yml"})


def manifest(files: Mapping[str, bytes] = FILES) -> dict[str, Any]:
    """Returns the manifest of an artefact that holds `files`."""
    return {
        "format": "paver.bucc-artefact/1",
        "bucc": {"tree": "bucc"},
        "stemcell": {"name": "noble", "os": "ubuntu-noble", "version": "1.10", "file": "stemcell.tgz"},
        "releases": {},
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
    }


def write(
    path: Path,
    files: Mapping[str, bytes] = FILES,
    links: Mapping[str, str] = LINKS,
    *,
    told: Any = None,
    mode: str = "w",
    prefix: str = "",
) -> Path:
    """Writes a tar with a manifest that tells `told` (None: of `files`), with `files` and `links`, and returns its path."""
    document = json.dumps(manifest(files) if told is None else told).encode()
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in {"manifest.json": document, **files}.items():
            info = tarfile.TarInfo(f"{prefix}{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(f"{prefix}{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return path
