"""Reading a streamOptimized VMDK anywhere: by its grain directory and tables, a grain at a time.

For a look into a disk that `vmdk.check` has read through; what the tables say is bounded here all the same.
"""

from __future__ import annotations

import collections
import os
from array import array
from typing import Protocol

from isal import isal_zlib

from paver.errors import BadInput
from paver.ovf import vmdk_layout as layout

_KEPT_GRAINS, _KEPT_TABLES = 64, 256
_LARGEST_DIRECTORY = 2**23


class Seekable(Protocol):
    """A file to read from, at any place."""

    def seek(self, offset: int, whence: int = ..., /) -> int: ...
    def read(self, size: int, /) -> bytes: ...


class Disk:
    """The disk in a VMDK.

    Args:
        source: the VMDK.
        name: how errors call it.

    Raises:
        BadInput: its header, footer or directory can't be right; also from `read`.
    """

    def __init__(self, source: Seekable, *, name: str = "the VMDK") -> None:
        self._source = source
        self._name = name
        self._end = source.seek(0, os.SEEK_END)
        header = self._header(0)
        if header.directory_at == layout.AT_END:
            header = self._header(self._end - 2 * layout.SECTOR)
        self.capacity = header.capacity * layout.SECTOR
        self._grain = header.grain * layout.SECTOR
        tables = layout.tables_for(header.capacity, header.grain or 1)
        if (
            not 2**15 <= self._grain <= 2**20
            or header.entries != layout.ENTRIES
            or 4 * tables > _LARGEST_DIRECTORY
        ):
            raise self._bad("has a header that cannot be right")
        self._directory = layout.from_little_endian(self._at(header.directory_at * layout.SECTOR, 4 * tables))
        self._tables: collections.OrderedDict[int, array[int]] = collections.OrderedDict()
        self._grains: collections.OrderedDict[int, bytes] = collections.OrderedDict()

    def read(self, offset: int, size: int) -> bytes:
        """Returns `size` bytes of the disk from `offset` on."""
        if offset < 0 or size < 0 or offset + size > self.capacity:
            raise self._bad(f"has nothing at byte {offset}, which lies outside of the disk")
        parts = []
        while size:
            number, start = divmod(offset, self._grain)
            part = self._grain_of(number)[start : start + size]
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _grain_of(self, number: int) -> bytes:
        if number in self._grains:
            self._grains.move_to_end(number)
            return self._grains[number]
        table, entry = divmod(number, layout.ENTRIES)
        place = self._table_of(table)[entry]
        grain = self._inflated(place, number) if place else bytes(self._grain)
        self._grains[number] = grain
        if len(self._grains) > _KEPT_GRAINS:
            self._grains.popitem(last=False)
        return grain

    def _table_of(self, number: int) -> array[int]:
        if number not in self._tables:
            place = self._directory[number]
            data = self._at(place * layout.SECTOR, 4 * layout.ENTRIES) if place else bytes(4 * layout.ENTRIES)
            self._tables[number] = layout.from_little_endian(data)
            if len(self._tables) > _KEPT_TABLES:
                self._tables.popitem(last=False)
        return self._tables[number]

    def _inflated(self, sector: int, number: int) -> bytes:
        at = sector * layout.SECTOR
        _, size = layout.GRAIN_MARKER.unpack(self._at(at, layout.GRAIN_MARKER.size))
        if size > 2 * self._grain:
            raise self._bad(f"has a packed grain of {size} bytes")
        stream = isal_zlib.decompressobj()
        try:
            data = stream.decompress(self._at(at + layout.GRAIN_MARKER.size, size), self._grain)
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub declares an instance
            raise self._bad(f"cannot be unpacked in grain {number}: {error}") from error
        return bytes(data).ljust(self._grain, b"\0")

    def _header(self, at: int) -> layout.Header:
        try:
            return layout.parse_header(self._at(at, layout.SECTOR))
        except ValueError as error:
            raise self._bad(str(error)) from error

    def _at(self, offset: int, size: int) -> bytes:
        if offset < 0 or offset + size > self._end:
            raise self._bad(f"refers to byte {offset}, where nothing is")
        self._source.seek(offset)
        return self._source.read(size)

    def _bad(self, what: str) -> BadInput:
        return BadInput(f"{self._name} {what}", do="fetch or export it again")
