"""The data disk: state and artefacts, on a disk of their own that outlives the machine.

A disk that holds anything at all is never formatted: not a partition, not a file system, not a byte at its beginning or end.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LABEL = "paver-data"
MOUNT = "var/lib/paver"
UNIT = "var-lib-paver.mount"
SMALLEST = 8 * 2**30
_LOOKED_AT = 4 * 2**20
_COLUMNS = "NAME,PATH,TYPE,SIZE,FSTYPE,LABEL,PTTYPE,RO,MOUNTPOINTS"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is to be done.

    Attributes:
        labelled: the disk is there already.
        empty: otherwise, a disk that may become it.
        said: why none does, where one could be meant.
    """

    labelled: bool
    empty: str | None = None
    said: str = ""


def choose(tree: Sequence[dict[str, Any]]) -> Choice:
    """Chooses among the disks that lsblk shows (`--json --bytes --output-all`'s `blockdevices`)."""
    if any(device.get("label") == LABEL for device in _all(tree)):
        return Choice(labelled=True)
    empty = [disk for disk in tree if _may_be(disk)]
    if len(empty) > 1:
        names = " ".join(sorted(disk["path"] for disk in empty))
        return Choice(
            False, said=f"{names} are empty, and only one could be the data disk: detach the others"
        )
    return Choice(False, empty=empty[0]["path"] if empty else None)


def blank(path: str, size: int) -> bool:
    """Tells whether a disk holds nothing at its beginning and its end, where everything that uses one leaves a sign."""
    with open(path, "rb", buffering=0) as disk:  # noqa: PTH123 - a device
        for at in (0, max(0, size - _LOOKED_AT)):
            disk.seek(at)
            left = min(_LOOKED_AT, size)
            while left > 0:
                piece = disk.read(min(left, 2**20))
                if not piece or any(piece):
                    return not piece
                left -= len(piece)
    return True


def prepare(root: Path, run: Callable[..., str]) -> list[str]:
    """Mounts the data disk, made of an empty disk where there is none; returns what somebody should know.

    Raises:
        PaverError: a program failed.
    """
    found = json.loads(run("lsblk", "--json", "--bytes", "--output", _COLUMNS))["blockdevices"]
    choice = choose(found)
    said = [choice.said] if choice.said else []
    if choice.empty is not None:
        size = next(int(disk["size"]) for disk in found if disk["path"] == choice.empty)
        if blank(choice.empty, size):
            # No -F: mkfs itself looks once more, and refuses what it knows.
            run("mkfs.ext4", "-q", "-L", LABEL, "-m", "0", choice.empty, timeout=600)
            run("udevadm", "settle")
            choice = Choice(labelled=True)
        else:
            said.append(f"{choice.empty} has no partitions and yet is not empty: it was left alone")
    if choice.labelled and not os.path.ismount(root / MOUNT):
        run("systemctl", "start", UNIT, timeout=300)
    return said


def _may_be(disk: dict[str, Any]) -> bool:
    return bool(
        disk.get("type") == "disk"
        and not disk.get("children")
        and not disk.get("fstype")
        and not disk.get("pttype")
        and not disk.get("ro")
        and not any(disk.get("mountpoints") or ())
        and int(disk.get("size") or 0) >= SMALLEST
    )


def _all(tree: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for device in tree for one in (device, *_all(device.get("children", ())))]
