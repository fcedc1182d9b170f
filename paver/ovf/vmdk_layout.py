"""The bytes of a streamOptimized VMDK: header, markers, tables, embedded descriptor. No I/O.

Source: VMware, "Virtual Disk Format 5.0"; the fields are little-endian, the unit is a sector of 512 bytes.
"""

from __future__ import annotations

import dataclasses
import struct
import sys
import zlib
from array import array

SECTOR = 512
GRAIN_SECTORS = 128
GRAIN = GRAIN_SECTORS * SECTOR
ENTRIES = 512  # grain table entries per grain table
OVERHEAD = 128  # sectors before the first grain
DESCRIPTOR_SECTORS = 20
AT_END = 0xFFFF_FFFF_FFFF_FFFF  # "the grain directory's place stands in the footer"
MAX_SECTOR = 0xFFFF_FFFF

MAGIC = 0x564D444B
VERSION = 3
NEWLINES, COMPRESSED, MARKERS = 0x1, 0x10000, 0x20000
DEFLATE = 1
NEWLINE_TEST = b"\n \r\n"

END, TABLE, DIRECTORY, FOOTER = 0, 1, 2, 3

GRAIN_MARKER = struct.Struct("<QI")
MARKER = struct.Struct("<QII")
_HEADER = struct.Struct("<IIIQQQQIQQQB4sH433x")
_MIB_SECTORS = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """A sparse extent's header; all but `entries`, `version` and `flags` count sectors."""

    capacity: int
    grain: int
    descriptor_at: int
    descriptor_sectors: int
    entries: int
    directory_at: int
    overhead: int
    version: int = VERSION
    flags: int = NEWLINES | COMPRESSED | MARKERS
    algorithm: int = DEFLATE

    def pack(self) -> bytes:
        """Returns the 512 bytes of the header."""
        return _HEADER.pack(
            MAGIC,
            self.version,
            self.flags,
            self.capacity,
            self.grain,
            self.descriptor_at,
            self.descriptor_sectors,
            self.entries,
            0,
            self.directory_at,
            self.overhead,
            0,
            NEWLINE_TEST,
            self.algorithm,
        )


def parse_header(data: bytes) -> Header:
    """Reads a header of 512 bytes.

    Raises:
        ValueError: it isn't one; the message says in which respect.
    """
    (
        magic,
        version,
        flags,
        capacity,
        grain,
        at,
        size,
        entries,
        _,
        directory,
        overhead,
        _,
        newlines,
        algorithm,
    ) = _HEADER.unpack(data)
    if magic != MAGIC:
        raise ValueError("it does not start with a VMDK's signature (KDMV)")
    if flags & NEWLINES and newlines != NEWLINE_TEST:
        raise ValueError("its line ends were converted on the way (a transfer in text mode)")
    return Header(
        capacity=capacity,
        grain=grain,
        descriptor_at=at,
        descriptor_sectors=size,
        entries=entries,
        directory_at=directory,
        overhead=overhead,
        version=version,
        flags=flags,
        algorithm=algorithm,
    )


def marker(kind: int, length: int) -> bytes:
    """Returns the sector that announces `length` bytes of metadata of `kind`."""
    return MARKER.pack(length // SECTOR, 0, kind).ljust(SECTOR, b"\0")


def padded(data: bytes) -> bytes:
    """Returns `data` with zeros up to the end of its last sector."""
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def little_endian(table: array[int]) -> bytes:
    """Returns the bytes of a table of 32-bit sector numbers."""
    if sys.byteorder == "big":
        table = array(table.typecode, table)
        table.byteswap()
    return table.tobytes()


def from_little_endian(data: bytes) -> array[int]:
    """Returns the 32-bit sector numbers of a table."""
    table = array("I", data)
    if sys.byteorder == "big":
        table.byteswap()
    return table


def sectors_for(size: int) -> int:
    """Returns the capacity, in sectors, of a disk for `size` bytes: whole MiB."""
    return -(-size // (_MIB_SECTORS * SECTOR)) * _MIB_SECTORS


def tables_for(sectors: int, grain: int = GRAIN_SECTORS) -> int:
    """Returns how many grain tables a disk of `sectors` has."""
    return -(-sectors // (grain * ENTRIES))


def descriptor(sectors: int) -> bytes:
    """Returns the embedded descriptor's text for a disk of `sectors`.

    The content id is derived from the capacity: a random one would make every packing differ, and whoever
    imports the disk writes its own.
    """
    cylinders = min(sectors // (255 * 63), 65535)
    extent = f'RW {sectors} SPARSE "disk.vmdk"'
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        f"CID={zlib.crc32(extent.encode()):08x}",
        "parentCID=ffffffff",
        'createType="streamOptimized"',
        "",
        "# Extent description",
        extent,
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
        'ddb.adapterType = "lsilogic"',
        f'ddb.geometry.cylinders = "{cylinders}"',
        'ddb.geometry.heads = "255"',
        'ddb.geometry.sectors = "63"',
        'ddb.virtualHWVersion = "17"',
        "",
    ]
    return "\n".join(lines).encode()
