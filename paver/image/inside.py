"""What is in an image's disk, and whether its bill says so: packages, wheels and programs, read from the disk itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from paver.errors import BadInput
from paver.image.bill import Bill
from paver.image.ext4 import MOST, Bytes, Ext4
from paver.image.payload import PLACE
from paver.ovf import gpt

PROGRAMS = "/usr/local/bin"
_STATUS = "/var/lib/dpkg/status"
_LARGEST = 2**26
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
        found = {(_normal(name), version) for name, version in there}
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
    text = system.read(_STATUS, _LARGEST).decode(errors="replace")
    for stanza in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line)
        )
        if fields.get("Status") == "install ok installed":
            yield fields.get("Package", ""), fields.get("Version", "")


def _wheels(system: Ext4) -> Iterator[tuple[str, str]]:
    try:
        pythons = [name for name in system.names(f"{PLACE}/lib") if name.startswith("python3")]
    except FileNotFoundError:
        return
    for python in pythons:
        for name in system.names(f"{PLACE}/lib/{python}/site-packages"):
            if match := _INFO.fullmatch(name):
                yield match[1], match[2]


def _digest(system: Ext4, path: str) -> str:
    total = hashlib.sha256()
    try:
        for piece in system.pieces(path):
            total.update(piece)
    except FileNotFoundError:
        return ""
    return total.hexdigest()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
