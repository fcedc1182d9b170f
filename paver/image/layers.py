"""Tars of root file systems, one laid over another. What comes out is sorted, and every date in it is the same one.

Paths are relative to the root, without `./` before them and without a slash behind. What the lower tar has and nothing
replaces is copied byte by byte.
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from paver.errors import BadInput

_BLOCK = 512
_PIECE = 2**20
_XATTR = "SCHILY.xattr."


@dataclasses.dataclass(frozen=True)
class Entry:
    """One path of a root file system.

    Attributes:
        path: as the module says.
        info: kind, mode, owner, target of a link.
        opened: opens a file's content.
        file: of a hard link, what the tar says of the file that it is another name of.
    """

    path: str
    info: tarfile.TarInfo
    opened: Callable[[], IO[bytes]]
    file: tarfile.TarInfo | None = None


def merge(
    lower: Path, upper: Mapping[str, Entry], gone: Callable[[str], bool], epoch: int, target: Path
) -> None:
    """Writes the tar `target`: `lower` without what is gone, with `upper` laid over it.

    Args:
        lower: a tar.
        upper: entries by their paths; each replaces what the lower one has under its path.
        gone: says whether a path of the lower one is left out.
        epoch: seconds since 1970, the date of every entry of `upper`.
        target: the tar; there only once it is whole.
    """
    draft = target.with_name(f".{target.name}")
    with lower.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as archive:
        kept = {
            path: (member.offset, member.offset_data + _rounded(member.size if member.isreg() else 0))
            for member in archive
            if (path := name(member)) not in upper and not gone(path)
        }
        with draft.open("wb") as into:
            for path in sorted({*kept, *upper}, key=_order):
                if path in kept:
                    _copy(raw, *kept[path], into)
                else:
                    _add(upper[path], epoch, into)
            into.write(bytes(2 * _BLOCK))
    draft.replace(target)


def entries(archive: tarfile.TarFile, below: str = "") -> Iterator[Entry]:
    """Yields what a tar holds; `below` names the folder in which that lies in the root file system."""
    files: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if member.isreg():
            files[name(member)] = member
        file = files.get(_plain(member.linkname)) if member.islnk() else None
        yield Entry(name(member, below), member, _reader(archive, member), file)


def of_file(path: str, file: Path) -> Entry:
    """Returns the entry for an executable file of this machine, root's."""
    info = tarfile.TarInfo(path)
    info.mode, info.size = 0o755, file.stat().st_size
    return Entry(path, info, lambda: file.open("rb"))


def replaced(entry: Entry, data: bytes) -> Entry:
    """Returns `entry` with other content."""
    info = _copied(entry.info)
    info.size = len(data)
    return Entry(entry.path, info, lambda: io.BytesIO(data))


def linked(found: Iterable[Entry]) -> dict[str, Entry]:
    """Returns entries by their paths, hard links turned round so that the file comes before what is linked to it.

    Where the name that the tar has as the file's is not among them, another name of it becomes the file.

    Raises:
        BadInput: a hard link leads to what is not there.
    """
    by_path = {entry.path: entry for entry in found}
    groups: dict[str, list[str]] = {}
    for entry in by_path.values():
        if entry.info.islnk():
            groups.setdefault(_plain(entry.info.linkname), []).append(entry.path)
    for file, links in groups.items():
        content = by_path.get(file, by_path[links[0]])
        told = content.file if content.info.islnk() else content.info
        if told is None:
            raise BadInput(f"{links[0]} is another name of {file}, which is not there")
        first, *others = sorted([*links, file] if file in by_path else links, key=_order)
        by_path[first] = Entry(first, _copied(told), content.opened)
        for other in others:
            link = _copied(told)
            link.type, link.linkname, link.size = tarfile.LNKTYPE, f"./{first}", 0
            by_path[other] = Entry(other, link, content.opened)
    return by_path


def same(one: Entry, other: Entry) -> bool:
    """Says whether two entries make the same thing, dates aside."""
    if _state(one.info) != _state(other.info):
        return False
    if not one.info.isreg():
        return True
    with one.opened() as first, other.opened() as second:
        while piece := first.read(_PIECE):
            if second.read(_PIECE) != piece:
                return False
    return True


def name(member: tarfile.TarInfo, below: str = "") -> str:
    """Returns the path of a tar's member."""
    return _plain(f"{below}/{_plain(member.name)}")


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _order(path: str) -> list[bytes]:
    """A folder before what is in it, and that by the bytes of its name: as `tar --sort=name` does."""
    return [part.encode("utf-8", "surrogateescape") for part in path.split("/") if part]


def _state(info: tarfile.TarInfo) -> tuple[object, ...]:
    size = info.size if info.isreg() else 0
    link = info.linkname if info.issym() else _plain(info.linkname)
    return info.type, info.mode, info.uid, info.gid, size, link, _attributes(info)


def _attributes(info: tarfile.TarInfo) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in info.pax_headers.items() if key.startswith(_XATTR)))


def _copied(info: tarfile.TarInfo) -> tarfile.TarInfo:
    made = tarfile.TarInfo(info.name)
    made.type, made.mode, made.size = info.type, info.mode, info.size
    made.uid, made.gid, made.linkname = info.uid, info.gid, info.linkname
    made.devmajor, made.devminor = info.devmajor, info.devminor
    made.pax_headers = dict(_attributes(info))
    return made


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        found = archive.extractfile(member)
        return io.BytesIO() if found is None else found

    return opened


def _add(entry: Entry, epoch: int, into: IO[bytes]) -> None:
    info = _copied(entry.info)
    info.name, info.mtime = f"./{entry.path}", epoch
    into.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    if not info.isreg():
        return
    with entry.opened() as content:
        left = info.size
        while left and (piece := content.read(min(left, _PIECE))):
            into.write(piece)
            left -= len(piece)
    if left:
        raise EOFError(f"{entry.path} ends {left} bytes too early")
    into.write(bytes(_rounded(info.size) - info.size))


def _copy(raw: IO[bytes], start: int, end: int, into: IO[bytes]) -> None:
    raw.seek(start)
    left = end - start
    while left and (piece := raw.read(min(left, _PIECE))):
        into.write(piece)
        left -= len(piece)


def _rounded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
