"""What a command changed in a lab, by the lab's own eyes: traces, inventories, files behind SSH, S3 and registry."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.place import HOSTS, Place, Trace

# What servers write of themselves while nobody asks them for anything: logs, clocks, caches, statistics.
BY_ITSELF = re.compile(
    r"""(?x)
    ^jumpbox/var/lib/(paver-lab/log|chrony)/
    | /\.minio\.sys/tmp/ | /\.minio\.sys/buckets/\.(usage|bloomcycle) | /\.usage-cache\.bin
    """
)


class Watch:
    """Remembers how everything stands, and tells what has changed since.

    Args:
        place: the site.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._trace: Trace = place.trace()
        self._before = _state(place)

    def changes(self) -> set[str]:
        """Returns what has changed, each named by where it is; writing calls among them."""
        after = _state(self._place)
        changed = {name for name in self._before | after if self._before.get(name) != after.get(name)}
        called = {f"{call.server}: {call.method} {call.target}".strip() for call in self._trace.writes()}
        return changed | called


def _state(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"sealed store": hashlib.sha256(place.sealed.read_bytes()).hexdigest()}
    for host in HOSTS:
        inventory = place.control("GET", f"/inventory?server={host}")
        inventory.pop("datastores")  # the files below say it all
        found |= {f"{host}/{name}": value for name, value in inventory.items()}
    for machine in place.machines().values():
        if machine["kind"] == "jumpbox":
            found |= _files("jumpbox", place.jumpbox())
    for folder in sorted((place.lab.folder / "hosts").glob("*/datastores/*")):
        found |= _files(folder.name, folder)
    return found


def _files(name: str, folder: Path) -> dict[str, str]:
    return dict(_listed(name, folder))


def _listed(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yields every file with its content and the time of its last change: writing the same again is writing."""
    for path in _below(folder):
        title = f"{name}/{path.relative_to(folder)}"
        if BY_ITSELF.search(title):
            continue
        try:
            status = path.lstat()
            is_file = path.is_file() and not path.is_symlink()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else ""
        except FileNotFoundError:
            continue
        when = status.st_mtime_ns if is_file else 0
        yield title, f"{status.st_mode:o} {when} {content}"


def _below(folder: Path) -> Iterator[Path]:
    """Yields all that lies in a folder, at any depth; `rglob` ends where a folder goes meanwhile, as the real MinIO's do."""
    for above, folders, files in os.walk(folder, onerror=_unless_gone):
        yield from (Path(above, name) for name in (*folders, *files))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
