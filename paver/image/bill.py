"""The bill of an image: every package, wheel and program in it with its digest, beside the OVA. Pure.

`sbom` says the same in the forms that others' tools read.

What two images differ in is read off their bills first; the disks say the rest.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from paver.errors import BadInput
from paver.image.lock import Lock
from paver.signing import canonical

FORMAT = "paver.image-bill/1"
LONGEST = 2**20
"""Bytes of a bill, twenty times what a real one has."""

_KINDS = ("deb", "wheel", "program")
_KEYS = {"disk_sha256", "format", "items", "version"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, order=True)
class Item:
    """One thing in the image: `deb`, `wheel` or `program`, its name, version and SHA-256."""

    kind: str
    name: str
    version: str
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bill:
    """What an image of `version` is made of."""

    version: str
    disk_sha256: str
    items: tuple[Item, ...]


def of(
    version: str,
    lock: Lock,
    wheels: Mapping[str, str],
    programs: Mapping[str, tuple[str, str]],
    disk_sha256: str,
) -> Bill:
    """Returns the bill.

    Args:
        version: of paver.
        lock: Debian's packages.
        wheels: SHA-256 by file name.
        programs: version and SHA-256 by name.
        disk_sha256: of the VMDK.
    """
    items = [Item("deb", deb.name, deb.version, deb.sha256) for deb in lock.debs]
    for file, digest in wheels.items():
        name, number, *_ = file.split("-")
        items.append(Item("wheel", name, number, digest))
    items += [Item("program", name, number, digest) for name, (number, digest) in programs.items()]
    return Bill(version=version, disk_sha256=disk_sha256, items=tuple(sorted(items)))


def dumps(bill: Bill) -> bytes:
    """Returns the bill's file."""
    document = {
        "disk_sha256": bill.disk_sha256,
        "format": FORMAT,
        "items": [dataclasses.asdict(item) for item in bill.items],
        "version": bill.version,
    }
    return canonical.dumps(document) + b"\n"


def loads(data: bytes, name: str) -> Bill:
    """Returns the bill in `data`; `name` stands for it in errors.

    Raises:
        BadInput: it is none.
    """
    document: Any = canonical.loads(data)
    try:
        if document["format"] != FORMAT or document.keys() != _KEYS:
            raise BadInput(f"{name} is no bill of this version", seen=str(document["format"])[:80])
        listed = Bill(
            version=_text(document["version"]),
            disk_sha256=_sha256(document["disk_sha256"]),
            items=tuple(_item(**item) for item in document["items"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{name} is no bill of an image", seen=f"{type(error).__name__}: {error}"[:200]
        ) from error
    if any(item.kind not in _KINDS for item in listed.items):
        raise BadInput(f"{name} lists a kind that is not known")
    return listed


def _item(*, kind: object, name: object, version: object, sha256: object) -> Item:
    return Item(_text(kind), _text(name), _text(version), _sha256(sha256))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} where a text should be")
    return value


def _sha256(value: object) -> str:
    if not _SHA256.fullmatch(_text(value)):
        raise ValueError(f"{value!r} where a SHA-256 should be")
    return _text(value)


def changes(old: Bill, new: Bill) -> list[str]:
    """Returns what differs, a line a thing."""
    before, after = ({(item.kind, item.name): item for item in bill.items} for bill in (old, new))
    return list(_lines(before, after, sorted(before.keys() | after.keys())))


def _lines(
    before: Mapping[tuple[str, str], Item],
    after: Mapping[tuple[str, str], Item],
    keys: Iterable[tuple[str, str]],
) -> Iterable[str]:
    for key in keys:
        was, now = before.get(key), after.get(key)
        kind, name = key
        if was is None and now is not None:
            yield f"+ {kind} {name} {now.version}"
        elif now is None and was is not None:
            yield f"- {kind} {name} {was.version}"
        elif was is not None and now is not None and was.version != now.version:
            yield f"~ {kind} {name} {was.version} → {now.version}"
        elif was != now:
            yield f"~ {kind} {name}: the same version, other bytes"
