"""The exact packages of the image, `ova/debs.lock`: names, versions, SHA-256 and sizes, and no mirror's name. Pure.

One line a package, so that a renewed lock reads as what it changes:

    {"architecture":"amd64","name":"bash","sha256":"…","size":1490156,"version":"5.2.37-2+b5"}
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paver.errors import BadInput
from paver.signing import canonical

FORMAT = "paver.debs/1"
FILE = Path("ova") / "debs.lock"

_PARTS = {
    "architecture": re.compile(r"amd64|arm64|all"),
    "name": re.compile(r"[a-z0-9][a-z0-9+.-]+"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "version": re.compile(r"[A-Za-z0-9.+:~-]+"),
}
_LARGEST = 2**31


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Deb:
    """One package; `size` in bytes."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """Returns the name under which Debian's archive keeps it: without the version's epoch."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lock:
    """The packages of an image.

    Attributes:
        suite: Debian's name for the release.
        content: digest of the content that was resolved.
        epoch: seconds since 1970; the date of every file that the build makes.
        debs: the packages, by name.
    """

    suite: str
    content: str
    epoch: int
    debs: tuple[Deb, ...]

    def by_name(self) -> Mapping[str, Deb]:
        """Returns the packages by their names."""
        return {deb.name: deb for deb in self.debs}


def dumps(lock: Lock) -> bytes:
    """Returns the lock's file."""
    head = {"content": lock.content, "epoch": lock.epoch, "format": FORMAT, "suite": lock.suite}
    rows: list[Mapping[str, Any]] = [head, *(dataclasses.asdict(deb) for deb in sorted(lock.debs))]
    return b"".join(canonical.dumps(dict(row)) + b"\n" for row in rows)


def load(file: Path) -> Lock:
    """Returns the lock in `file`.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(
            f"there is no lock {file}",
            why="an image is built from exact packages only",
            do="make one: `paver image lock --refresh`",
        ) from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    return loads(data, str(file))


def loads(data: bytes, name: str) -> Lock:
    """Returns the lock in `data`; `name` stands for it in errors.

    Raises:
        BadInput: it is damaged, or of another format.
    """
    lines = data.splitlines()
    head = _row(lines[0] if lines else b"null", name, 1)
    if head.get("format") != FORMAT:
        raise BadInput(
            f"{name}: the format is {head.get('format')!r}, not {FORMAT}",
            do="make it anew: `paver image lock --refresh`",
        )
    suite, content, epoch = head.get("suite"), head.get("content"), head.get("epoch")
    if not (isinstance(suite, str) and isinstance(content, str) and type(epoch) is int and epoch > 0):
        raise BadInput(f"{name}:1: suite, content and epoch belong there")
    debs = tuple(_deb(_row(line, name, number), name, number) for number, line in enumerate(lines[1:], 2))
    if list(debs) != sorted({deb.name: deb for deb in debs}.values()):
        raise BadInput(f"{name}: the packages are not in order, or one is there twice")
    return Lock(suite=suite, content=content, epoch=epoch, debs=debs)


def changes(old: Lock, new: Lock) -> list[str]:
    """Returns what differs, a line a package."""
    before, after = old.by_name(), new.by_name()
    lines = []
    for name in sorted(before.keys() | after.keys()):
        was, is_ = before.get(name), after.get(name)
        if was is None and is_ is not None:
            lines.append(f"+ {name} {is_.version}")
        elif is_ is None and was is not None:
            lines.append(f"- {name} {was.version}")
        elif was is not None and is_ is not None and was.version != is_.version:
            lines.append(f"~ {name} {was.version} → {is_.version}")
        elif was != is_:
            lines.append(f"~ {name}: the same version, another file")
    return lines


def _row(line: bytes, name: str, number: int) -> dict[str, Any]:
    try:
        row = canonical.loads_exact(line)
    except BadInput as error:
        raise BadInput(f"{name}:{number}: {error.what}", do="restore it from the repository") from error
    if not isinstance(row, dict):
        raise BadInput(f"{name}:{number}: a map belongs there")
    return row


def _deb(row: Mapping[str, Any], name: str, number: int) -> Deb:
    if row.keys() != {*_PARTS, "size"}:
        raise BadInput(f"{name}:{number}: {', '.join(sorted(_PARTS))} and size belong there")
    for key, pattern in _PARTS.items():
        if not isinstance(row[key], str) or pattern.fullmatch(row[key]) is None:
            raise BadInput(f"{name}:{number}: {key} is not what it should be")
    if type(row["size"]) is not int or not 0 < row["size"] < _LARGEST:
        raise BadInput(f"{name}:{number}: size is not what it should be")
    return Deb(**row)


def needed(lock: Lock, packages: Iterable[str]) -> tuple[str, ...]:
    """Returns those of `packages` that the lock does not have."""
    return tuple(sorted(set(packages) - lock.by_name().keys()))
