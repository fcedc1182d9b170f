"""The files that a site names (images, artefacts), known by their SHA-256.

A digest is remembered beside the site with the file's size and time, so that 8 GB are not read at every
plan. At the hand-off the memory travels and the files do not: where a file is absent, what is remembered
holds, and whoever uses the file over there checks its digest at use.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from paver.errors import BadInput
from paver.sitefile.site import Site

MEMORY = Path(".paver") / "inputs.json"
BLOCK = 4 * 1024 * 1024


def digest(site: Site, text: str) -> str:
    """Returns the SHA-256 (hex) of the file that the site file names `text`.

    Raises:
        BadInput: if there is no such file, and none is remembered.
    """
    path = site.path(text)
    memory = site.folder / MEMORY
    known = recall(memory)
    found = known.get(text)
    try:
        state = path.stat()
    except OSError as error:
        if isinstance(found, dict):
            return str(found["sha256"])
        raise BadInput(f"{text}: no such file", seen=str(path), why=str(error.strerror)) from error
    stamp = {"size": state.st_size, "mtime": str(state.st_mtime_ns)}
    if isinstance(found, dict) and {key: found.get(key) for key in stamp} == stamp:
        return str(found["sha256"])
    fresh = sha256(path)
    remember(memory, {**known, text: {**stamp, "sha256": fresh}})
    return fresh


def size(site: Site, text: str) -> int:
    """Returns the size in bytes of the file that the site file names `text`; 0 where it is not at hand."""
    path = site.path(text)
    found = recall(site.folder / MEMORY).get(text)
    if path.exists():
        return path.stat().st_size
    return int(found["size"]) if isinstance(found, dict) else 0


def sha256(path: Path) -> str:
    """Returns the SHA-256 (hex) of a file, read in blocks."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def recall(memory: Path) -> dict[str, Any]:
    """Returns what is remembered, by the text in the site file; empty where nothing usable is."""
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(memory: Path, known: dict[str, Any]) -> None:
    """Writes the memory; a folder that cannot be written to costs time only."""
    try:
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = memory.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1, sort_keys=True))
        draft.replace(memory)
    except OSError:
        return
