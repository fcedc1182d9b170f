"""What a disk boots: the lab's bootable disks start with a line that says so, real ones with a boot sector."""

from __future__ import annotations

import json
from pathlib import Path

from paver.errors import PaverError
from paver.ovf import vmdk

KEY = "paver-lab-boot"
PC = "pc"
_BOOT_SECTOR = slice(510, 512)
_FIRST = 4096
_SPARSE = b"KDMV"


def first_line(kind: str, **more: str) -> bytes:
    """Returns the line that makes a raw disk boot as `kind`."""
    return json.dumps({KEY: kind, **more}).encode() + b"\n"


def kind(path: Path) -> str | None:
    """Returns what the disk in the file `path` boots, or None: "no bootable device"."""
    try:
        with path.open("rb") as source:
            head = source.read(_FIRST)
            if head.startswith(_SPARSE):
                source.seek(0)
                head = vmdk.head(source, _FIRST, name=path.name)
    except (OSError, PaverError):
        return None
    if head[_BOOT_SECTOR] == b"\x55\xaa":
        return PC
    line, newline, _ = head.partition(b"\n")
    if not newline:
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    found = said.get(KEY) if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
