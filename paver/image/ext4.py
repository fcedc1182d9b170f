"""Reading files out of an ext4 file system without mounting it: what verifying an image needs, and no more.

Extents, 64-bit block numbers, plain and indexed folders, symbolic links. A file system that was not unmounted cleanly,
or has features that this does not know, is refused. The layout is that of the kernel's `Documentation/filesystems/ext4`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import stat
import struct
from collections.abc import Iterator
from typing import Protocol

from paver.errors import BadInput

_MAGIC, _EXTENT_MAGIC = 0xEF53, 0xF30A
_EXTENTS_FLAG = 0x80000
_FILETYPE, _RECOVER, _EXTENTS, _64BIT, _FLEX, _SEED = 0x2, 0x4, 0x40, 0x80, 0x200, 0x2000
_KNOWN = _FILETYPE | _EXTENTS | _64BIT | _FLEX | _SEED
_ROOT = 2
_DEPTH, _LINKS = 5, 16
_PIECE = 2**20
_LARGEST_FOLDER = 2**20
_READ, _LISTED = 2**18, 16
"""What a read counts as at least, since a packed disk unpacks that much for it; how often a folder's byte counts."""

MOST = 2**31
"""Bytes that are read at most: six times what verifying a real image reads, seconds of what anybody may hand in."""


class Bytes(Protocol):
    """Whatever hands out bytes by their place."""

    def read(self, offset: int, size: int) -> bytes: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """An inode: its `mode`, `owner` (user, group), when it was `changed` (seconds since 1970), `size` in bytes, its content."""

    number: int
    mode: int
    owner: tuple[int, int]
    changed: int
    size: int
    flags: int
    block: bytes


class Ext4:
    """A file system.

    Args:
        disk: what it lies on.
        start: its first byte there.
        name: how errors call it.
        most: bytes that may be read in all, holes counted: tables that are shared and files of holes cost nothing to make, and
            could be read for days.

    Raises:
        BadInput: it is none, or one that this cannot read; also from every method.
    """

    def __init__(self, disk: Bytes, start: int, *, name: str, most: int = MOST) -> None:
        self._disk, self._start, self._name = disk, start, name
        self._left = most
        block = disk.read(start + 1024, 1024)
        magic, self._state = struct.unpack_from("<HH", block, 0x38)
        incompatible = struct.unpack_from("<I", block, 0x60)[0]
        shift = struct.unpack_from("<I", block, 0x18)[0]
        if magic != _MAGIC or shift > 6:
            raise self._bad("is no ext4 file system")
        if incompatible & ~_KNOWN or not incompatible & _EXTENTS:
            what = (
                "was not unmounted cleanly" if incompatible & _RECOVER else f"has features {incompatible:#x}"
            )
            raise self._bad(f"{what}, which paver does not read")
        self._block = 1024 << shift
        self._first = struct.unpack_from("<I", block, 0x14)[0]
        self._count, self._per_group = (
            struct.unpack_from("<I", block, 0)[0],
            struct.unpack_from("<I", block, 0x28)[0],
        )
        self._inode = struct.unpack_from("<H", block, 0x58)[0]
        wide = struct.unpack_from("<H", block, 0xFE)[0]
        self._group = wide if incompatible & _64BIT and wide >= 64 else 32
        self._size = struct.unpack_from("<I", block, 4)[0] * self._block
        if not self._per_group or not 128 <= self._inode <= 4096:
            raise self._bad("has a superblock that cannot be right")

    def node(self, path: str) -> Node:
        """Returns the inode of `path`, links followed.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._walked(path, _LINKS)[1]

    def names(self, path: str) -> dict[str, int]:
        """Returns the inodes' numbers by the names in the folder `path`."""
        return dict(self._entries(self.node(path)))

    def read(self, path: str, longest: int) -> bytes:
        """Returns the content of the file `path`, which has at most `longest` bytes."""
        node = self.node(path)
        if node.size > longest:
            raise self._bad(f"has a {path} of {node.size} bytes, more than {longest}")
        return b"".join(self._content(node))

    def sha256(self, node: Node) -> str:
        """Returns the digest of an inode's content."""
        total = hashlib.sha256()
        for piece in self.content(node):
            total.update(piece)
        return total.hexdigest()

    def files(self, path: str = "/") -> Iterator[tuple[str, Node]]:
        """Yields every file below the folder `path`, by its path; a file of several names each time."""
        todo = [(path.rstrip("/"), self.node(path))]
        seen = {todo[0][1].number}
        while todo:
            place, folder = todo.pop()
            for name, number in self._entries(folder):
                if name in {".", ".."}:
                    continue
                node = self._node(number)
                if not stat.S_ISDIR(node.mode):
                    yield f"{place}/{name}", node
                elif number not in seen:
                    seen.add(number)
                    todo.append((f"{place}/{name}", node))

    def _walked(self, path: str, links: int) -> tuple[str, Node]:
        place, node = "/", self._node(_ROOT)
        parts = [part for part in path.split("/") if part]
        for index, part in enumerate(parts):
            number = dict(self._entries(node)).get(part)
            if number is None:
                raise FileNotFoundError(path)
            node = self._node(number)
            if stat.S_ISLNK(node.mode):
                if not links or node.size > 4096:
                    raise self._bad(f"has a link at {place}{part} that leads nowhere")
                target = self._target(node)
                base = target if target.startswith("/") else f"{place}{target}"
                return self._walked("/".join([_plain(base), *parts[index + 1 :]]), links - 1)
            place += f"{part}/"
        return place, node

    def _target(self, node: Node) -> str:
        return b"".join(self.content(node)).decode(errors="replace")

    def _entries(self, node: Node) -> Iterator[tuple[str, int]]:
        if not stat.S_ISDIR(node.mode) or node.size > _LARGEST_FOLDER:
            raise self._bad("has a file where a folder should be, or too large a folder")
        self._count_read((_LISTED - 1) * node.size)
        data = b"".join(self._content(node))
        at = 0
        while at + 8 <= len(data):
            number, length, size, _ = struct.unpack_from("<IHBB", data, at)
            if length < 8 or at + 8 + size > len(data):
                raise self._bad("has a damaged folder")
            if number and size:
                yield data[at + 8 : at + 8 + size].decode(errors="replace"), number
            at += length

    def _node(self, number: int) -> Node:
        if not 0 < number <= self._count:
            raise self._bad(f"refers to inode {number}, which it does not have")
        group, index = divmod(number - 1, self._per_group)
        row = self._at((self._first + 1) * self._block + group * self._group, self._group)
        table = struct.unpack_from("<I", row, 8)[0]
        if self._group >= 64:
            table |= struct.unpack_from("<I", row, 0x28)[0] << 32
        data = self._at(table * self._block + index * self._inode, 128)
        low, high = struct.unpack_from("<I", data, 4)[0], struct.unpack_from("<I", data, 0x6C)[0]
        mode, flags = struct.unpack_from("<H", data, 0)[0], struct.unpack_from("<I", data, 0x20)[0]
        # Two bytes of each lie elsewhere, as systems had it that knew no larger numbers.
        user = int.from_bytes(data[2:4] + data[0x78:0x7A], "little")
        group_of = int.from_bytes(data[0x18:0x1A] + data[0x7A:0x7C], "little")
        return Node(
            number=number,
            mode=mode,
            owner=(user, group_of),
            changed=struct.unpack_from("<I", data, 0x10)[0],
            size=low | high << 32,
            flags=flags,
            block=data[0x28:0x64],
        )

    def content(self, node: Node) -> Iterator[bytes]:
        """Yields the content of an inode: of a link, where it leads."""
        if stat.S_ISLNK(node.mode) and node.size < 60 and not node.flags & _EXTENTS_FLAG:
            yield node.block[: node.size]
        else:
            yield from self._content(node)

    def _content(self, node: Node) -> Iterator[bytes]:
        if not node.flags & _EXTENTS_FLAG:
            if node.size:
                raise self._bad(f"has a file without extents, inode {node.number}")
            return
        if node.size > self._size:
            # Holes could make it so; of nothing in an image they do, and zeros without end are read for ever.
            raise self._bad(f"has a file larger than itself, inode {node.number}")
        at = 0
        for first, count, place in self._extents(node.block, _DEPTH):
            start = first * self._block
            if start < at or not count:
                raise self._bad(f"has extents out of order in inode {node.number}")
            if start >= node.size:
                break  # reserved, and never written; so each extent that is read on from leads on in the file
            yield from self._zeros(start - at)
            at = start
            end = min(start + count * self._block, node.size)
            while at < end:
                size = min(_PIECE, end - at)
                yield from [self._at(place * self._block + at - start, size)] if place else self._zeros(size)
                at += size
        yield from self._zeros(node.size - at)

    def _zeros(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = min(_PIECE, size)
            self._count_read(piece)
            yield bytes(piece)
            size -= piece

    def _extents(self, data: bytes, depth: int) -> Iterator[tuple[int, int, int]]:
        """Yields (first block of the file, how many, first block on the disk; 0: nothing was written)."""
        magic, entries, _, level = struct.unpack_from("<HHHH", data)
        # Only a file without content has an empty list, and that one lies in its inode: a tree of empty ones has no end.
        if (
            magic != _EXTENT_MAGIC
            or level > depth
            or (depth < _DEPTH and not entries)
            or 12 * (entries + 1) > len(data)
        ):
            raise self._bad("has a damaged list of extents")
        for index in range(entries):
            first, one, two, three = struct.unpack_from("<IHHI", data, 12 * (index + 1))
            if level:
                low, high = struct.unpack_from("<IH", data, 12 * (index + 1) + 4)
                below = self._at((low | high << 32) * self._block, self._block)
                yield from self._extents(below, level - 1)
            elif one > 32768:
                yield first, one - 32768, 0
            else:
                yield first, one, three | two << 32

    def _at(self, offset: int, size: int) -> bytes:
        self._count_read(max(size, _READ))
        return self._disk.read(self._start + offset, size)

    def _count_read(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._bad("takes more reading than any image does")

    def _bad(self, what: str) -> BadInput:
        return BadInput(f"{self._name} {what}", do="build or fetch the image again")


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)
