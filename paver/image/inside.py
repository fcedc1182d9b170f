"""What is in an image's disk, and whether its bill says so: packages, wheels and programs, read from the disk itself."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from paver.errors import BadInput
from paver.image.bill import Bill
from paver.image.ext4 import MOST, Bytes, Ext4
from paver.image.payload import PLACE
from paver.ovf import gpt

PROGRAMS = "/usr/local/bin"
_STATUS = "/var/lib/dpkg/status"
_LARGEST = 2**22
"""Bytes of dpkg's list, twelve times what a real image has."""

_MOST = 10_000
"""Packages or wheels, twenty times what a real image has."""

_FIELD = re.compile(rb"^(?:(Package|Status|Version): (.*))?$", re.MULTILINE)
_INFO = re.compile(r"(.+)-([^-]+)\.dist-info")


def root(disk: Bytes, name: str, most: int = MOST) -> Ext4:
    """Returns the root file system on a disk with a GPT, of which at most `most` bytes are read.

    Raises:
        BadInput: there is none.
    """
    try:
        at = gpt.root_at(disk.read)
    except ValueError as error:
        raise BadInput(f"{name} has {error}") from error
    if at is None:
        raise BadInput(f"{name} has no partition with a root file system")
    return Ext4(disk, at, name=f"{name}: the root file system", most=most)


def differences(system: Ext4, bill: Bill) -> Iterator[str]:
    """Yields what is in the image and not as the bill has it, or the other way round."""
    for kind, there in (("deb", _debs(system)), ("wheel", _wheels(system))):
        listed = {(_normal(item.name), item.version) for item in bill.items if item.kind == kind}
        found = {(_normal(name), version) for name, version in itertools.islice(there, _MOST + 1)}
        if len(found) > _MOST:
            raise BadInput(f"the image has more than {_MOST} packages or wheels, which none has")
        yield from (
            f"the {kind} {name} {version} is in it, and not in the bill"
            for name, version in sorted(found - listed)
        )
        yield from (
            f"the {kind} {name} {version} is in the bill, and not in it"
            for name, version in sorted(listed - found)
        )
    for item in bill.items:
        if item.kind == "program":
            found_digest = _digest(system, f"{PROGRAMS}/{item.name}")
            if found_digest != item.sha256:
                yield f"the program {item.name} is {f'sha256 {found_digest}' if found_digest else 'not there'}"


def _debs(system: Ext4) -> Iterator[tuple[str, str]]:
    fields: dict[bytes, str] = {}
    try:
        status = system.read(_STATUS, _LARGEST)
    except FileNotFoundError:
        return
    # Line by line, as it was read: a text and its parts would take many times its room.
    for line in _FIELD.finditer(status + b"\n"):
        if line[1]:
            fields[line[1]] = line[2].decode(errors="replace")
            continue
        if fields.get(b"Status") == "install ok installed":
            yield fields.get(b"Package", ""), fields.get(b"Version", "")
        fields = {}


def _wheels(system: Ext4) -> Iterator[tuple[str, str]]:
    try:
        pythons = [name for name in system.names(f"{PLACE}/lib") if name.startswith("python3")]
    except FileNotFoundError:
        return
    for python in pythons:
        try:
            names = system.names(f"{PLACE}/lib/{python}/site-packages")
        except FileNotFoundError:
            continue
        for name in names:
            if match := _INFO.fullmatch(name):
                yield match[1], match[2]


def _digest(system: Ext4, path: str) -> str:
    try:
        return system.sha256(system.node(path))
    except FileNotFoundError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
