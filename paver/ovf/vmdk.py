"""Reading a streamOptimized VMDK from front to end: grain by grain, checked, in little memory.

Nothing that the file claims is believed before it was compared with what is there: a disk of petabytes, a
grain that inflates without end, tables that point elsewhere, a file that ends early each give `BadInput`.
Writing is `write_vmdk`, re-exported from here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from isal import isal_zlib

from paver.errors import BadInput
from paver.ovf import vmdk_layout as layout
from paver.ovf.vmdk_tables import MAX_GRAINS, Tables
from paver.ovf.vmdk_write import Written, write_vmdk

__all__ = ["Checked", "Reader", "Source", "Written", "check", "decode", "head", "write_vmdk"]

MAX_CAPACITY = 62 * 2**40  # vSphere's own limit for a virtual disk (Configuration Maximums)
_GRAIN_SIZES = tuple(2**power for power in range(6, 12))  # 32 KiB to 1 MiB
_CHUNK = 2**20
_PARENT = b"parentfilenamehint"
_DESCRIPTOR_END = 1 + layout.DESCRIPTOR_SECTORS
"""The sector before which QEMU looks for the descriptor, wherever the header says that it is."""


class Source(Protocol):
    """Whatever hands out bytes in order."""

    def read(self, size: int, /) -> bytes: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checked:
    """What a whole VMDK holds, in bytes; `tables` tells whether its grain tables were checked as well."""

    capacity: int
    populated: int
    grains: int
    tables: bool


class Reader:
    """One pass over a streamOptimized VMDK.

    Args:
        source: the file from its first byte.
        name: how errors call it.
        max_capacity: bytes; a disk that claims more is refused.

    Raises:
        BadInput: it isn't a streamOptimized VMDK, or is broken; also from `grains`.
    """

    def __init__(self, source: Source, *, name: str = "the VMDK", max_capacity: int = MAX_CAPACITY) -> None:
        self._source = source
        self._name = name
        self._sector = 0
        self._overhead, self._tail = _DESCRIPTOR_END, b""
        self._header = self._read_header()
        self.capacity = self._header.capacity * layout.SECTOR
        self.grain = self._header.grain * layout.SECTOR
        self._overhead = max(self._overhead, self._header.overhead)
        if self.capacity > max_capacity:
            raise self._bad(f"claims a capacity of {self.capacity} bytes, more than {max_capacity}")
        self._tables = Tables()
        self.checked: Checked | None = None

    def grains(self) -> Iterator[tuple[int, bytes]]:
        """Yields (offset in the disk, content) of each grain in ascending order; `checked` is set at the end."""
        self._skip(self._header.overhead - 1)
        at_end = self._header.directory_at == layout.AT_END
        last, directory, footed = -1, None, False
        while True:
            at = self._sector
            sector = self._sectors(1, may_end=not at_end)
            if not sector:
                break
            value, size = layout.GRAIN_MARKER.unpack_from(sector)
            if size:
                number = self._number(value, last)
                last = number
                if not self._tables.add_grain(number, at):
                    raise self._bad(f"has more than {MAX_GRAINS} grains")
                yield value * layout.SECTOR, self._inflate(sector, size, number)
                continue
            kind = layout.MARKER.unpack_from(sector)[2]
            if kind == layout.END and not value:
                break
            if kind == layout.TABLE:
                self._read_table(value)
            elif kind == layout.DIRECTORY and directory is None:
                directory = self._sector
                self._read_directory(value)
            elif kind == layout.FOOTER and value == 1 and directory is not None and not footed:
                footed = True
                self._read_footer(directory)
            else:
                raise self._bad(
                    f"has a marker of kind {kind} for {value} sectors at sector {at}, where none may be"
                )
        if at_end and not footed:
            raise self._bad("ends without grain directory and footer")
        # qemu-img puts the tables first and fills the last cluster with zeros.
        while rest := self._source.read(_CHUNK):
            if at_end or rest.count(0) != len(rest):
                raise self._bad("goes on after its end marker")
        self.checked = Checked(
            capacity=self.capacity,
            populated=self._tables.grains * self.grain,
            grains=self._tables.grains,
            tables=at_end,
        )

    def _read_header(self) -> layout.Header:
        try:
            header = layout.parse_header(self._sectors(1))
        except ValueError as error:
            raise self._bad(str(error)) from error
        wanted = layout.COMPRESSED | layout.MARKERS
        if header.flags & wanted != wanted or header.algorithm != layout.DEFLATE:
            raise self._bad(
                "is not of the subformat streamOptimized",
                do="convert it: qemu-img convert -O vmdk -o subformat=streamOptimized",
            )
        if header.version not in {1, 2, 3}:
            raise self._bad(f"is of version {header.version}; paver reads 1 to 3")
        if header.grain not in _GRAIN_SIZES:
            raise self._bad(f"has grains of {header.grain} sectors; a power of two from 64 to 2048 is right")
        if header.entries != layout.ENTRIES:
            raise self._bad(f"has {header.entries} entries in a grain table; 512 is right")
        if not header.capacity:
            raise self._bad("claims a capacity of 0 bytes")
        if not header.overhead or header.descriptor_at + header.descriptor_sectors > header.overhead:
            raise self._bad("has a descriptor that does not lie before its first grain")
        return header

    def _number(self, sector: int, last: int) -> int:
        number, rest = divmod(sector, self._header.grain)
        if rest or sector >= self._header.capacity:
            raise self._bad(
                f"has a grain for sector {sector}, which lies outside of the disk or between grains"
            )
        if number <= last:
            raise self._bad(f"has the grain for sector {sector} twice or out of order")
        return number

    def _inflate(self, sector: bytes, size: int, number: int) -> bytes:
        if size > self.grain + self.grain // 8 + layout.SECTOR:
            raise self._bad(f"has a packed grain of {size} bytes, more than it can unpack to")
        start = layout.GRAIN_MARKER.size
        more = -(-(start + size) // layout.SECTOR) - 1
        packed = (sector + self._sectors(more) if more else sector)[start : start + size]
        stream = isal_zlib.decompressobj()
        try:
            data = stream.decompress(packed, self.grain + 1)
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub declares an instance
            raise self._bad(f"cannot be unpacked in grain {number}: {error}") from error
        room = min(self.grain, self.capacity - number * self.grain)
        if not stream.eof or stream.unused_data or not room <= len(data) <= self.grain:
            raise self._bad(f"unpacks to a wrong length in grain {number}")
        return bytes(data[:room])

    def _read_table(self, sectors: int) -> None:
        at = self._sector
        if sectors * layout.SECTOR != 4 * layout.ENTRIES:
            raise self._bad(f"has a grain table of {sectors} sectors; 4 are right")
        if not self._tables.add_table(at, layout.from_little_endian(self._sectors(sectors))):
            raise self._bad(f"has a grain table at sector {at} that does not name the grains that are there")

    def _read_directory(self, sectors: int) -> None:
        tables = layout.tables_for(self._header.capacity, self._header.grain)
        if sectors != -(-4 * tables // layout.SECTOR):
            raise self._bad(f"has a grain directory of {sectors} sectors, which does not fit its capacity")
        if not self._tables.directory_fits(layout.from_little_endian(self._sectors(sectors)), tables):
            raise self._bad("has a grain directory that does not name its grain tables")

    def _read_footer(self, directory: int) -> None:
        try:
            footer = layout.parse_header(self._sectors(1))
        except ValueError as error:
            raise self._bad(f"has a broken footer: {error}") from error
        if self._header.directory_at == layout.AT_END and footer != dataclasses.replace(
            self._header, directory_at=directory
        ):
            raise self._bad("has a footer that contradicts its header")

    def _skip(self, sectors: int) -> None:
        while sectors > 0:
            step = min(sectors, _CHUNK // layout.SECTOR)
            self._sectors(step)
            sectors -= step

    def _sectors(self, count: int, *, may_end: bool = False) -> bytes:
        wanted = count * layout.SECTOR
        data = self._source.read(wanted)
        while len(data) < wanted:
            more = self._source.read(wanted - len(data))
            if not more:
                if may_end and not data:
                    return b""
                raise self._bad(f"is cut short after {self._sector * layout.SECTOR + len(data)} bytes")
            data += more
        if self._sector < self._overhead:
            self._require_no_parent(data)
        self._sector += count
        return data

    def _require_no_parent(self, data: bytes) -> None:
        """Refuses a descriptor that names another disk under this one: whoever opens it, QEMU for one, opens any file by that name."""
        found = self._tail + data.lower()
        if _PARENT in found:
            raise self._bad(
                "names another disk that it is only the changes of (parentFileNameHint)",
                do="export the machine whole, without snapshots; from somebody else: trust nothing in it",
            )
        self._tail = found[1 - len(_PARENT) :]

    def _bad(self, what: str, *, do: str = "fetch or export it again") -> BadInput:
        return BadInput(f"{self._name} {what}", do=do)


def check(source: Source, *, name: str = "the VMDK") -> Checked:
    """Reads a VMDK to its end and returns what it holds.

    Raises:
        BadInput: see `Reader`.
    """
    reader = Reader(source, name=name)
    for _ in reader.grains():
        pass
    if reader.checked is None:  # `grains` sets it before it ends; this is for the type checker
        raise AssertionError
    return reader.checked


def head(source: Source, size: int, *, name: str = "the VMDK") -> bytes:
    """Returns the first `size` bytes of the disk, with zeros where nothing was written; reads no further.

    Raises:
        BadInput: see `Reader`.
    """
    reader = Reader(source, name=name)
    data = bytearray(min(size, reader.capacity))
    for offset, grain in reader.grains():
        if offset >= len(data):
            break
        room = min(len(grain), len(data) - offset)
        data[offset : offset + room] = grain[:room]
    return bytes(data)


def decode(source: Source, path: Path, *, name: str = "the VMDK") -> Checked:
    """Writes the raw disk to `path`, a new sparse file (mode 0600), which is removed again if the VMDK is bad.

    Raises:
        BadInput: see `Reader`.
        FileExistsError: there is something at `path`.
    """
    reader = Reader(source, name=name)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, reader.capacity)
        for offset, grain in reader.grains():
            os.pwrite(descriptor, grain, offset)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    if reader.checked is None:  # as in `check`
        raise AssertionError
    return reader.checked
