"""Seeded mutations of a good image: bytes, tar headers, members with a manifest that fits again, what lies beside. Pure.

A change that only breaks a digest is found by the digest, and says nothing of what reads behind it. So most of them are
sealed again: sums of tar headers and digests of the manifest are made to fit what was changed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from paver.ovf import vmdk
from tests.support import small_image

BLOCK = 512
_SYSTEM = small_image.GRAIN
"""Where the root file system begins on the disk."""

Members = dict[str, bytes]
Files = dict[str, bytes]

_NUMBERS = (
    0,
    1,
    2,
    7,
    511,
    512,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**53,
    2**62,
    2**63,
    2**64 - 1,
)
_WORDS = (
    b"../../etc/passwd",
    b"/etc/passwd",
    b"file:///etc/passwd",
    b"a\\..\\b",
    b"",
    b"\0",
    b"\xff\xfe",
    "\u202e".encode(),
    b"1e999",
    b"-1",
    b"99999999999999999999999",
    b"NaN",
    b"byte * 2^99",
    b"byte * 1024^99",
    b"${x}",
    b"ovf:/disk/none",
    b"&#0;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<a>" * 3000,
    b"x" * 70_000,
)
_KINDS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**53 - 1,
    2**64,
    0.5,
    "",
    "x",
    "a" * 64,
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
)
_TOKEN = re.compile(rb'"[^"]*"|>[^<]+<|</?[A-Za-z:]+|[0-9]+')


def mutated(random_: random.Random, name: str, files: Mapping[str, bytes], members: Members) -> Files:
    """Returns the files of an image, changed in one to three ways.

    Args:
        random_: decides.
        name: of the OVA among `files`.
        files: the good ones, by name.
        members: of the good OVA, in its order.
    """
    changed = dict(files)
    if random_.random() < 0.2:
        beside = random_.choice([each for each in files if each != name])
        how = (_typed, _typed, _tokens, _bytes) if beside.endswith(".json") else (_bytes, _tokens, _pieces)
        changed[beside] = _many(random_, changed[beside], random_.choice(how))
        return (
            _summed_up(changed)
            if random_.random() < 0.8 and not beside.endswith((".sha256", ".sig"))
            else changed
        )
    if random_.random() < 0.25:
        return _rebuilt(random_, changed, name, members)
    kind = random_.choice((_raw, _headers, _deep, _deep, _deep, _deep))
    changed[name] = kind(random_, files[name], members)
    return changed


def _rebuilt(random_: random.Random, files: Files, name: str, members: Members) -> Files:
    """Changes what is on the disk itself, and has all that is said of the disk fit again."""
    [disk] = [each for each in members if each.endswith(".vmdk")]
    raw = bytearray(_raw_disk(members[disk]))
    for _ in range(random_.randint(1, 6)):
        # Partitions; superblock and groups; inodes and folders; anything.
        start, size = random_.choice(
            ((512, 1024), (_SYSTEM + 1024, 1200), (_SYSTEM + 2048, 90_000), (0, len(raw)))
        )
        at = start + random_.randrange(size)
        new = random_.choice(
            (b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", random_.randbytes(random_.randint(1, 8)))
        )
        raw[at : at + len(new)] = new[: len(raw) - at]
    packed = io.BytesIO()
    vmdk.write_vmdk(bytes(raw), packed)
    was, now = (hashlib.sha256(data).hexdigest().encode() for data in (members[disk], packed.getvalue()))
    files[name] = archive(sealed(members | {disk: packed.getvalue()}))
    return _summed_up(
        {each: data if each == name else data.replace(was, now) for each, data in files.items()}
    )


@functools.lru_cache(1)
def _raw_disk(packed: bytes) -> bytes:
    reader = vmdk.Reader(io.BytesIO(packed))
    raw = bytearray(reader.capacity)
    for offset, grain in reader.grains():
        raw[offset : offset + len(grain)] = grain
    return bytes(raw)


def _summed_up(files: Files) -> Files:
    """Has the sums fit what lies beside the OVA, and the OVA."""
    [sums] = [each for each in files if each.endswith(".sha256")]
    lines = files[sums].decode(errors="replace").splitlines()
    found = [line.partition("  ")[2] for line in lines]
    new = [
        f"{hashlib.sha256(files[each]).hexdigest()}  {each}" if each in files else line
        for line, each in zip(lines, found, strict=True)
    ]
    return files | {sums: ("\n".join(new) + "\n").encode()}


def archive(members: Mapping[str, bytes]) -> bytes:
    """Returns a USTAR archive of `members`."""
    parts = []
    for name, data in members.items():
        header = bytearray(BLOCK)
        raw = name.encode(errors="replace")[:100]
        header[: len(raw)] = raw
        header[100:108], header[124:136] = b"0000644\0", f"{len(data):011o}\0".encode()
        header[156:157], header[257:265] = b"0", b"ustar\x0000"
        parts += [_summed(header), data, bytes(-len(data) % BLOCK)]
    return b"".join(parts) + bytes(2 * BLOCK)


def _raw(random_: random.Random, data: bytes, _: Members) -> bytes:
    return _many(random_, data, random_.choice((_bytes, _pieces)))


def _headers(random_: random.Random, data: bytes, members: Members) -> bytes:
    """Changes fields of one header, whose sum fits again."""
    at = 0
    for content in list(members.values())[: random_.randrange(len(members))]:
        at += BLOCK + -(-len(content) // BLOCK) * BLOCK
    header = bytearray(data[at : at + BLOCK])
    start, end = random_.choice(
        ((0, 100), (100, 108), (124, 136), (156, 157), (157, 257), (257, 265), (345, 500))
    )
    value = random_.choice(
        (
            random_.choice(_WORDS),
            f"{random_.choice(_NUMBERS):o}".encode(),
            b"\x80" + random_.choice(_NUMBERS).to_bytes(11, "big"),
            random_.randbytes(end - start),
            bytes([random_.choice(b"0123457xgLK")]),
        )
    )
    header[start:end] = value[: end - start].ljust(end - start, b"\0")
    return data[:at] + _summed(header) + data[at + BLOCK :]


def _deep(random_: random.Random, _: bytes, members: Members) -> bytes:
    """Changes one member, and has the manifest fit again; or changes names and order of members."""
    changed = dict(members)
    name = random_.choice(list(changed))
    if random_.random() < 0.1:
        _members(random_, changed, name)
    elif name.endswith(".vmdk"):
        changed[name] = _many(random_, changed[name], random_.choice((_vmdk, _vmdk, _bytes, _pieces)))
    elif name.endswith((".ovf", ".mf", ".cert")):
        changed[name] = _many(random_, changed[name], random_.choice((_tokens, _tokens, _bytes, _pieces)))
    if not name.endswith(".mf") and random_.random() < 0.9:
        changed = sealed(changed)
    return archive(changed)


def _members(random_: random.Random, members: Members, name: str) -> None:
    data = members.pop(name)
    new = random_.choice(("../x.vmdk", "/x.vmdk", "y.ovf", "z.mf", "z.cert", "b.vmdk", "a/b/c", "x" * 99))
    for target in {1: [], 2: [new], 3: [name, new]}[random_.randint(1, 3)]:
        members[target] = data


def sealed(members: Members) -> Members:
    """Returns the members with a manifest that fits."""
    lines = [
        f"SHA256({name})= {hashlib.sha256(data).hexdigest()}\n"
        for name, data in members.items()
        if not name.endswith((".mf", ".cert"))
    ]
    return {name: "".join(lines).encode() if name.endswith(".mf") else data for name, data in members.items()}


def _many(random_: random.Random, data: bytes, how: Callable[[random.Random, bytes], bytes]) -> bytes:
    for _ in range(random_.randint(1, 3)):
        data = how(random_, data)
    return data


def _bytes(random_: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random_.randint(1, 8) if data else 0):
        changed[random_.randrange(len(changed))] = random_.randrange(256)
    return bytes(changed)


def _pieces(random_: random.Random, data: bytes) -> bytes:
    """Cuts, drops, doubles or fills a piece."""
    one, two = sorted(random_.randrange(len(data) + 1) for _ in range(2))
    if random_.random() < 0.5:
        one, two = one // BLOCK * BLOCK, two // BLOCK * BLOCK
    piece = data[one:two]
    filled = random_.choice((b"\0", b"\xff", b" ", b"<"))[0:1] * len(piece)
    return random_.choice(
        (
            data[:one],
            data[:one] + data[two:],
            data[:two] + piece + data[two:],
            data[:one] + filled + data[two:],
        )
    )


def _tokens(random_: random.Random, data: bytes) -> bytes:
    """Puts a word that nobody expects in place of a number, a value or a tag; or doubles or drops what is between two."""
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return random_.choice(_WORDS)
    one = random_.choice(tokens)
    if random_.random() < 0.3:
        two = random_.choice(tokens)
        start, end = sorted((one.start(), two.start()))
        return data[:start] + data[start:end] * random_.choice((0, 2, 9)) + data[end:]
    value = random_.choice(
        (random_.choice(_WORDS), str(random_.choice(_NUMBERS)).encode(), random_.choice(tokens)[0])
    )
    text = one[0]
    if text[:1] in b'">':
        value = text[:1] + value + text[-1:]
    return data[: one.start()] + value + data[one.end() :]


def _typed(random_: random.Random, data: bytes) -> bytes:
    """Puts a value of any kind in place of one in a JSON document, or takes one away."""
    try:
        places = list(_places(document := json.loads(data)))
    except ValueError:
        return data
    if not places:
        return data
    container, key = random_.choice(places)
    if random_.random() < 0.2:
        del container[key]
    else:
        container[key] = random_.choice(_KINDS)
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields all that a document holds, by what it is in and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _vmdk(random_: random.Random, data: bytes) -> bytes:
    """Writes a number that nobody expects where one stands: in the header, or at the start of some sector."""
    if len(data) < BLOCK:
        return data
    fields = (
        (4, "<I"),
        (8, "<I"),
        (12, "<Q"),
        (20, "<Q"),
        (28, "<Q"),
        (36, "<Q"),
        (44, "<I"),
        (56, "<Q"),
        (64, "<Q"),
        (77, "<H"),
    )
    offset, form = random_.choice(fields)
    at = 0
    if random_.random() < 0.7:
        # Behind the overhead every sector may begin with a marker, and a footer is a header.
        at = random_.randrange(len(data) // BLOCK) * BLOCK
        if random_.random() < 0.7:
            offset, form = random_.choice(
                ((0, "<Q"), (8, "<I"), (12, "<I"), (4 * random_.randrange(100), "<I"))
            )
    size = struct.calcsize(form)
    value = random_.choice((*_NUMBERS, random_.getrandbits(8 * size))) % 2 ** (8 * size)
    return data[: at + offset] + struct.pack(form, value) + data[at + offset + size :]


def _summed(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)
