"""BUCC's artefact before it is unpacked: what its tar tells of itself, without reading what is in it.

Nothing is written. What an archive may claim is bounded: how many files, how many bytes, how long a header.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from paver.errors import BadInput
from paver.foundation.bucc import artefact

_MANIFEST = "manifest.json"
_MOST_MEMBERS = 50_000
_MOST_BYTES = 256 * 2**30
_SHOWN = 5
_BEGINS = 60
_PAGE = "docs/reference/bucc-artefact.md says what is in one"
_MAKE = f"make the artefact anew; {_PAGE}"
_PRESSED: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""What tar unpacks by itself, by how it begins."""
_BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError, OverflowError)


def check(path: Path, name: str) -> None:
    """Does nothing if a file is a tar with a manifest, and all that this names is in it, and nothing else.

    What costs more stays for where it is unpacked: the digests, and what stemcell and releases say of themselves.

    Args:
        path: of the file.
        name: how errors call it.

    Raises:
        BadInput: if it is not, or can't be read.
    """
    try:
        with path.open("rb") as raw:
            begins = raw.read(_BEGINS)
            raw.seek(0)
            manifest, there = _listed(raw, begins, name)
    except OSError as error:
        raise BadInput(
            f"{name} can't be read",
            why=error.strerror or type(error).__name__,
            do="allow it to be read, or name another file in bucc.artefact",
        ) from error
    files = artefact.checked(manifest, name)
    entries: Any = json.loads(manifest)["files"]
    wrong = list(_wrong({file: entries[file] for file, _ in files}, there))
    if wrong:
        raise BadInput(
            f"{name} does not hold what its manifest names",
            seen="\n".join(wrong[:_SHOWN]),
            why="it is cut short, or was changed after its manifest was written",
            do=f"fetch it again, or {_MAKE}",
        )
    told = [(kind, file, target) for file, (kind, target, _) in there.items()]
    artefact.whole(told, [file for file, _ in files], name)


def _wrong(
    entries: Mapping[str, Mapping[str, Any]], there: Mapping[str, tuple[str, str, int]]
) -> Iterator[str]:
    for file, entry in entries.items():
        kind, _, size = there.get(str(PurePosixPath(file)), ("", "", 0))
        wanted = entry.get("bytes", size)
        if not kind:
            yield f"{file}: not in it"
        elif kind == "f" and size != wanted:
            yield f"{file}: {size} bytes, not {wanted}"


def _listed(raw: IO[bytes], begins: bytes, name: str) -> tuple[bytes, dict[str, tuple[str, str, int]]]:
    """Returns the manifest, and of whatever is no folder: how `find` calls its type, where a link leads, and its size."""
    opener = next((one for magic, one in _PRESSED.items() if begins.startswith(magic)), None)
    there: dict[str, tuple[str, str, int]] = {}
    manifest, total = b"", 0
    try:
        stream = raw if opener is None else opener(raw)
        with tarfile.open(fileobj=_Bounded(stream), mode="r:") as tar:
            for number, member in enumerate(tar, 1):
                total += member.size
                if number > _MOST_MEMBERS or total > _MOST_BYTES:
                    raise BadInput(
                        f"{name} holds more than any artefact",
                        seen=f"{number} files, {total >> 30} GiB so far",
                        do="name the right file in bucc.artefact",
                    )
                file = _name(member.name, name)
                if member.isdir():
                    continue
                there[file] = _told(member, there)
                if file == _MANIFEST and member.isreg() and member.size <= artefact.MOST_MANIFEST_BYTES:
                    content = tar.extractfile(member)
                    manifest = content.read() if content is not None else b""
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk: what gzip and bzip2 say of what they read has no number
        if there:
            raise BadInput(
                f"{name} is a broken tar archive",
                seen=f"{len(there)} files until there",
                why=f"it is cut short or damaged: {error}",
                do=f"fetch it again, or {_MAKE}",
            ) from error
        raise BadInput(
            f"{name} is no tar archive",
            seen=f"it begins with {begins!r}" if begins else "it is empty",
            do=f"name the right file in bucc.artefact, or fetch it again; {_PAGE}",
        ) from error
    return manifest, there


def _told(member: tarfile.TarInfo, there: Mapping[str, tuple[str, str, int]]) -> tuple[str, str, int]:
    if member.issym():
        return "l", member.linkname, 0
    if member.islnk():
        # A second name of what came before.
        return there.get(str(PurePosixPath(member.linkname)), ("?", "", 0))
    return "f" if member.isreg() else "?", "", member.size


def _name(told: str, name: str) -> str:
    """Returns a member's name as it lies in the tree.

    Raises:
        BadInput: it leads out of it, which tar refuses.
    """
    path = PurePosixPath(told.lstrip("/"))
    if ".." in path.parts:
        raise BadInput(f"{name} names a file {told!r}", why="it leads out of the tree", do=_MAKE)
    return str(path)


class _Bounded(io.BufferedIOBase):
    """A stream of which nothing large is read at once: the library loads extended headers of any size into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= artefact.MOST_MANIFEST_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
