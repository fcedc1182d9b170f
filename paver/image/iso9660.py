"""The bytes of an ISO 9660 file system with one folder and Rock Ridge names, written and read front to end. No I/O.

Sources: ECMA-119 (volume descriptors, path tables, records of folders, files of several extents), and SUSP and RRIP 1.12
(SP, ER, PX, NM). It is read-only by its nature, every system mounts it, and where all lies is known from names and sizes
alone: contents need not be known before they are written.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterable, Iterator, Sequence

from paver.errors import BadInput

BLOCK = 2048
LABEL = "PAVER_ARTEFACTS"
LARGEST = 128 * 2**30
"""Bytes that a disk of artefacts may have: what claims more is no such disk."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")
_MOST = 1000
_PRIMARY, _END, _TABLE_L, _TABLE_M, _FOLDER = 16, 17, 18, 19, 20
_SECTION = 2**32 - BLOCK
"""Bytes of one extent; a larger file has several."""

_RECORD = 33
_DATE = bytes((70, 1, 1, 0, 0, 0, 0))
_MANY, _DIRECTORY = 0x80, 0x02
_NO_DATE = b"0" * 16 + b"\0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A file: where it begins in blocks, and its `size` in bytes."""

    name: str
    at: int
    size: int

    @property
    def padded(self) -> int:
        """Returns its size in whole blocks, in bytes."""
        return -(-self.size // BLOCK) * BLOCK


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Where all lies: `head` are the bytes before the first file, `files` follow in this order, `size` is that of all."""

    head: bytes
    files: tuple[File, ...]
    size: int


def plan(sizes: Sequence[tuple[str, int]]) -> Plan:
    """Returns where files of these names and sizes lie, in the order that is given.

    Raises:
        BadInput: a name is none for such a file, comes twice, or all together are too large.
    """
    names = [name for name, _ in sizes]
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name!r} cannot be the name of an artefact",
                do="use letters, digits, '.', '_', '+' and '-', starting with a letter or digit, at most 120",
            )
    if len({name.lower() for name in names}) < len(names) or len(names) > _MOST:
        raise BadInput("two artefacts have the same name, or there are more than 1000")
    content = sum(-(-size // BLOCK) * BLOCK for _, size in sizes)
    if content > LARGEST:
        raise BadInput(
            f"the artefacts have {content} bytes, more than the {LARGEST} of one disk", do="make two of them"
        )
    # Where the files lie does not change how long the folder is: once to know its length, once for good.
    blocks = len(_folder(_placed(sizes, 0), 1)) // BLOCK
    files = _placed(sizes, _FOLDER + blocks)
    size = (_FOLDER + blocks) * BLOCK + content
    head = b"".join(
        (
            bytes(_PRIMARY * BLOCK),
            _primary(size // BLOCK, blocks),
            (b"\xffCD001\x01").ljust(BLOCK, b"\0"),
            struct.pack("<BBIHBB", 1, 0, _FOLDER, 1, 0, 0).ljust(BLOCK, b"\0"),
            struct.pack(">BBIHBB", 1, 0, _FOLDER, 1, 0, 0).ljust(BLOCK, b"\0"),
            _folder(files, blocks),
        )
    )
    return Plan(head=head, files=files, size=size)


def folder_of(start: bytes, where: str) -> tuple[int, int]:
    """Returns first byte and length of the folder, as the first `(_FOLDER + 1) * BLOCK` bytes tell.

    Raises:
        BadInput: it is no disk of artefacts.
    """
    block = start[_PRIMARY * BLOCK : (_PRIMARY + 1) * BLOCK]
    if len(block) < BLOCK or block[:7] != b"\x01CD001\x01" or block[40:72].rstrip() != LABEL.encode():
        raise BadInput(f"{where} is no disk of artefacts", do="make one: `paver image artefacts FILE…`")
    at, size = struct.unpack_from("<I", block, 158)[0], struct.unpack_from("<I", block, 166)[0]
    if at != _FOLDER or not 0 < size <= _MOST * 2 * BLOCK or size % BLOCK:
        raise BadInput(f"{where} has a folder that cannot be right")
    return at * BLOCK, size


def planned(head: bytes, where: str) -> Plan:
    """Returns what `plan` planned for the files that the bytes before the first file list.

    Every byte is held to that: what others' readers go by and this one does not, such as a second descriptor or the length
    of a record's extended attributes, could have them read other content than what was digested.

    Raises:
        BadInput: it is damaged, or is what `plan` would not make.
    """
    sizes: list[tuple[str, int]] = []
    more = False
    for record in _records(head[_FOLDER * BLOCK :], where):
        name, size = _long_name(record), struct.unpack_from("<I", record, 10)[0]
        if more and sizes[-1][0] == name:
            sizes[-1] = (name, sizes[-1][1] + size)
        else:
            sizes.append((name, size))
        more = bool(record[25] & _MANY)
    try:
        found = plan(sizes)
    except BadInput as error:
        raise BadInput(f"{where} has a damaged folder: {error.what}", do="make or fetch it again") from error
    if found.head != head:
        raise BadInput(
            f"{where} is not laid out as paver does it",
            why="others could read other files from it than those that are digested here",
            do="make or fetch it again",
        )
    return found


FIRST = (_FOLDER + 1) * BLOCK
"""Bytes from which `folder_of` tells where the folder lies."""


def _placed(sizes: Iterable[tuple[str, int]], first: int) -> tuple[File, ...]:
    files = []
    for name, size in sizes:
        files.append(File(name=name, at=first, size=size))
        first += -(-size // BLOCK)
    return tuple(files)


def _primary(blocks: int, folder: int) -> bytes:
    block = bytearray(BLOCK)
    block[:8] = b"\x01CD001\x01\0"
    block[8:40] = b" " * 32
    block[40:72] = LABEL.encode().ljust(32)
    block[80:88] = _both4(blocks)
    block[120:132] = _both2(1) + _both2(1) + _both2(BLOCK)
    block[132:140] = _both4(10)
    struct.pack_into("<II", block, 140, _TABLE_L, 0)
    struct.pack_into(">II", block, 148, _TABLE_M, 0)
    block[156:190] = _record(_FOLDER, folder * BLOCK, _DIRECTORY, b"\0", b"")
    block[190:813] = b" " * 623
    block[813:881] = _NO_DATE * 4
    block[881] = 1
    return bytes(block)


def _folder(files: Sequence[File], blocks: int) -> bytes:
    shared = b"SP\x07\x01\xbe\xef\x00"
    attributes = _attributes(0o040555, 2)
    # ER: without it, Linux does not look at the rest.
    extension = b"ER" + bytes((18, 1, 10, 0, 0, 1)) + b"RRIP_1991A"
    records = [
        _record(_FOLDER, blocks * BLOCK, _DIRECTORY, b"\0", shared + attributes + extension),
        _record(_FOLDER, blocks * BLOCK, _DIRECTORY, b"\1", attributes),
    ]
    # Records stand in the order of their short names, which is that of the files.
    for number, file in enumerate(files):
        long = b"NM" + bytes((5 + len(file.name), 1, 0)) + file.name.encode()
        at, left = file.at, file.size
        while True:
            size = min(left, _SECTION)
            flags = _MANY if left > size else 0
            records.append(
                _record(at, size, flags, f"F{number:07}.;1".encode(), _attributes(0o100444, 1) + long)
            )
            at, left = at + size // BLOCK, left - size
            if not flags:
                break
    parts, room = [], BLOCK
    for record in records:
        if len(record) > room:
            parts.append(bytes(room))
            room = BLOCK
        parts.append(record)
        room -= len(record)
    return b"".join([*parts, bytes(room)])


def _record(at: int, size: int, flags: int, name: bytes, system: bytes) -> bytes:
    body = _both4(at) + _both4(size) + _DATE + bytes((flags, 0, 0)) + _both2(1) + bytes((len(name),)) + name
    body += b"\0" * (len(name) % 2 == 0) + system
    body += b"\0" * (len(body) % 2)
    return bytes((len(body) + 2, 0)) + body


def _attributes(mode: int, links: int) -> bytes:
    return b"PX" + bytes((36, 1)) + _both4(mode) + _both4(links) + _both4(0) + _both4(0)


def _records(folder: bytes, where: str) -> Iterator[bytes]:
    at, number = 0, 0
    while at < len(folder):
        length = folder[at]
        if not length:
            at = (at // BLOCK + 1) * BLOCK
            continue
        record = folder[at : at + length]
        if length <= _RECORD or len(record) < length or _RECORD + record[32] > length:
            raise BadInput(f"{where} has a damaged folder", do="make or fetch the disk again")
        if number >= 2:  # the folder itself, and the one above it
            yield record
        at, number = at + length, number + 1


def _long_name(record: bytes) -> str:
    at = _RECORD + record[32] + (record[32] % 2 == 0)
    while at + 4 <= len(record):
        length = record[at + 2]
        if length < 4:
            break
        if record[at : at + 2] == b"NM" and length > 5:
            return record[at + 5 : at + length].decode(errors="replace")
        at += length
    return ""


def _both4(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both2(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)
