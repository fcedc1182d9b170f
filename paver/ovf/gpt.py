"""Where the root file system begins on a disk with a GPT."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable

ROOT = uuid.UUID("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709")
"""The type of a partition that holds the root file system of an x86-64 (UAPI's discoverable partitions)."""

_SECTOR = 512
_HEADER = struct.Struct("<8s64xQII")
_ENTRY = struct.Struct("<16s16xQ")
_MOST = 1024


def root_at(read: Callable[[int, int], bytes]) -> int | None:
    """Returns the byte at which the root file system begins; None where no table names one.

    Args:
        read: returns bytes of the disk: from where, and how many.

    Raises:
        ValueError: the disk has no table.
    """
    header = read(_SECTOR, _HEADER.size)
    magic, at, count, size = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
    if magic != b"EFI PART" or not 128 <= size <= 4096 or count > _MOST:
        raise ValueError("no table of partitions (GPT)")
    for index in range(count):
        row = read(at * _SECTOR + index * size, _ENTRY.size)
        if len(row) < _ENTRY.size:
            break
        kind, first = _ENTRY.unpack(row)
        if kind == ROOT.bytes_le:
            return int(first) * _SECTOR
    return None
