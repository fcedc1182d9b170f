"""Listing the members of a tar archive without extracting it.

Only regular files are taken. A reader of our own, as the standard library's loads extended headers of any
size into memory and follows what GNU, pax and old tars each mean by a name.
"""

from __future__ import annotations

import dataclasses
import os

from paver.errors import BadInput
from paver.ovf.names import member_name

BLOCK = 512
_MOST = 1000
_PAX_LONGEST = 2**16
_REGULAR = {b"0", b"\0", b"7"}
_PAX, _PAX_GLOBAL = b"x", b"g"
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"5": "a folder"}
_END = bytes(BLOCK)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A file in the archive: `offset` of its first byte, and its `size`."""

    name: str
    offset: int
    size: int


def members(descriptor: int, *, name: str) -> tuple[Member, ...]:
    """Lists the archive that is open as `descriptor`, in its order.

    Args:
        descriptor: a file descriptor of a regular file; its position is left alone.
        name: how errors call the archive.

    Raises:
        BadInput: not a tar archive, broken, cut short, or with members that aren't plain files.
    """
    end = os.fstat(descriptor).st_size
    found: dict[str, Member] = {}
    at = 0
    pax: dict[str, str] = {}
    while True:
        header = os.pread(descriptor, BLOCK, at)
        if len(header) < BLOCK:
            what = "is not an OVA: it is no tar archive" if not found else f"is cut short after {end} bytes"
            raise BadInput(f"{name} {what}", do="fetch it again")
        if header == _END:
            break
        _check(header, name, first=not found and not pax)
        size = _number(header[124:136], name)
        kind = header[156:157]
        if kind in {_PAX, _PAX_GLOBAL}:
            records = _pax(descriptor, at + BLOCK, size, name)
            pax = records if kind == _PAX else pax
            at += BLOCK + _blocks(size)
            continue
        if kind not in _REGULAR:
            raise BadInput(
                f"{name} holds {_KINDS.get(kind, 'something')} where only files may be",
                seen=repr(header[:100].rstrip(b"\0").decode(errors="replace")),
                do="use an OVA from a source that you trust",
            )
        size = _pax_size(pax, size, name)
        member = Member(name=_name(header, pax, name), offset=at + BLOCK, size=size)
        if member.name in found:
            raise BadInput(f"{name} holds {member.name} twice", do="use an OVA from a source that you trust")
        if member.offset + size > end:
            raise BadInput(
                f"{name} is cut short: {member.name} should have {size} bytes, {max(0, end - member.offset)} are there",
                do="fetch it again",
            )
        found[member.name] = member
        if len(found) > _MOST:
            raise BadInput(
                f"{name} holds more than {_MOST} files", do="use an OVA from a source that you trust"
            )
        at = member.offset + _blocks(size)
        pax = {}
    return tuple(found.values())


def _check(header: bytes, name: str, *, first: bool) -> None:
    """Compares the header's sum, which old tars took over signed bytes."""
    body = header[:148] + b" " * 8 + header[156:]
    total = sum(body)
    signed = total - 256 * sum(byte > 127 for byte in body) if not body.isascii() else total
    try:
        right = int(header[148:156].rstrip(b" \0") or b"0", 8) in {total, signed}
    except ValueError:
        right = False
    if not right or header[257:262] != b"ustar":
        what = (
            "is not an OVA: it is no tar archive" if first else "is broken: a header inside of it is damaged"
        )
        raise BadInput(f"{name} {what}", do="fetch it again")


def _number(field: bytes, name: str) -> int:
    """Reads an octal number, or GNU's binary one, which starts with the byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not all(byte in b"01234567" for byte in text):
        raise BadInput(f"{name} is broken: a size inside of it is no number", do="fetch it again")
    return int(text or b"0", 8)


def _name(header: bytes, pax: dict[str, str], name: str) -> str:
    if "path" in pax:
        return member_name(pax["path"], where=name)
    stem, prefix = (header[start:end].split(b"\0", 1)[0] for start, end in ((0, 100), (345, 500)))
    if header[257:263] == b"ustar " or not prefix:  # GNU's old format keeps other things in the prefix
        prefix = b""
    try:
        return member_name((prefix + b"/" + stem if prefix else stem).decode(), where=name)
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} names a file in something that is not UTF-8", seen=repr(stem)) from error


def _pax(descriptor: int, at: int, size: int, name: str) -> dict[str, str]:
    """Reads the records `length key=value` of a pax header."""
    if size > _PAX_LONGEST:
        raise BadInput(
            f"{name} has an extended header of {size} bytes", do="use an OVA from a source that you trust"
        )
    data = os.pread(descriptor, size, at)
    records = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 5 or not len(length) < int(length) <= len(data):
            raise BadInput(
                f"{name} is broken: an extended header inside of it is damaged", do="fetch it again"
            )
        record = data[len(length) + 1 : int(length)]
        key, _, value = record.removesuffix(b"\n").partition(b"=")
        records[key.decode(errors="replace")] = value.decode(errors="replace")
        data = data[int(length) :]
    return records


def _pax_size(pax: dict[str, str], size: int, name: str) -> int:
    text = pax.get("size", str(size))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadInput(f"{name} is broken: a size inside of it is no number", do="fetch it again")
    return int(text)


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
