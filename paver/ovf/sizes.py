"""Numbers of a descriptor: quantities, units of memory, and how large a disk is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paver.errors import BadInput
from paver.ovf.model import Property

LARGEST = 62 * 2**40
"""Bytes that a virtual disk of vSphere has at most (its configuration maximums: 62 TB)."""

_UNITS: dict[str, int] = {"byte": 1, "bytes": 1} | {
    name: 2**power
    for power, names in (
        (10, ("kb", "kilobytes", "kilobyte")),
        (20, ("mb", "megabytes", "megabyte")),
        (30, ("gb", "gigabytes", "gigabyte")),
        (40, ("tb", "terabytes", "terabyte")),
    )
    for name in names
}
_POWER = re.compile(r"byte ?\* ?(2|10|1024) ?\^ ?([0-9]{1,2})")
_NUMBER = re.compile(r"[0-9]{1,19}")
_REFERENCE = re.compile(r"\$\{([^}]{1,200})\}")
_BOUND = re.compile(r"(Min|Max)Value\( ?(-?[0-9]{1,19}) ?\)")


def number(text: str, what: str) -> int:
    """Returns the number that `text` is.

    Raises:
        BadInput: it is none, or negative.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise BadInput(f"{what}: {text[:80]!r} is not a number", do="fetch or export it again")
    return int(text)


def unit(text: str, where: str) -> int:
    """Returns the bytes that a unit stands for: `byte * 2^30`, or the older `GigaBytes`.

    Raises:
        BadInput: it is none.
    """
    if match := _POWER.fullmatch(text.strip()):
        found: int = int(match[1]) ** int(match[2])
        return found
    try:
        return _UNITS[text.strip().lower()]
    except KeyError:
        raise BadInput(f"{where}: {text[:80]!r} is not a unit of memory") from None


def capacity(text: str, factor: int, properties: Mapping[str, Property], what: str) -> tuple[int, str]:
    """Returns a disk's capacity in bytes, and the key of the property that it is given by, if it is.

    Args:
        text: a number, or `${KEY}`: the value of a property, of which the default is taken (DSP0243, 9.1).
        factor: bytes that one of it stands for.
        properties: by their keys.
        what: how errors call it.

    Raises:
        BadInput: it is none; the property is not there, or its default out of its bounds; no disk is so large.
    """
    key = ""
    if match := _REFERENCE.fullmatch(text):
        key = match[1]
        if key not in properties:
            raise BadInput(f"{what} refers to the property {key!r}, which is not described")
        text = properties[key].value
        _require_within(number(text, f"{what}, the property {key!r}"), properties[key], what)
    size = number(text, what) * factor
    if size > LARGEST:
        raise BadInput(f"{what}: {size} bytes are more than the {LARGEST} that a virtual disk may have")
    return size, key


def _require_within(value: int, wish: Property, what: str) -> None:
    for name, bound in _BOUND.findall(wish.qualifiers):
        if (value < int(bound)) if name == "Min" else (value > int(bound)):
            raise BadInput(f"{what}, the property {wish.key!r}: {value} is outside of {name}Value({bound})")
