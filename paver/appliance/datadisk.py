"""The data disk: state and artefacts, on a disk of their own, which can be detached before the machine is deleted.

A disk that holds anything at all is never formatted: not a partition, not a file system, not a byte at its beginning or end.
Nor does one hide what `/var/lib/paver` holds already: where state is in two places, or not where it was, somebody decides.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from paver.appliance import ended
from paver.errors import Refused

LABEL = "paver-data"
MOUNT = "var/lib/paver"
UNIT = "var-lib-paver.mount"
RECORD = "etc/paver/data-disk"
"""On the machine's own disk: its state lies on a data disk. Without that one nothing begins anew."""
SMALLEST = 8 * 2**30
_LOOKED_AT = 4 * 2**20
_COLUMNS = "NAME,PATH,TYPE,SIZE,FSTYPE,LABEL,PTTYPE,RO,MOUNTPOINTS"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What there is.

    Attributes:
        labelled: the disks that say they are it.
        mounted: one of them is mounted in its place.
        empty: where there is none, a disk that may become it.
        said: why none may, where one could be meant.
    """

    labelled: tuple[str, ...] = ()
    mounted: bool = False
    empty: str | None = None
    said: str = ""


def choose(tree: Sequence[dict[str, Any]]) -> Choice:
    """Chooses among the disks that lsblk shows (`--json --bytes --output-all`'s `blockdevices`)."""
    labelled = {device["path"]: device for device in _all(tree) if device.get("label") == LABEL}
    if labelled:
        places = [place for device in labelled.values() for place in device.get("mountpoints") or ()]
        return Choice(tuple(sorted(labelled)), mounted=f"/{MOUNT}" in places)
    empty = [disk for disk in tree if _may_be(disk)]
    if len(empty) > 1:
        names = " ".join(sorted(disk["path"] for disk in empty))
        return Choice(said=f"{names} are empty, and only one could be the data disk: detach the others")
    return Choice(empty=empty[0]["path"] if empty else None)


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
        Refused: it is not clear where the state is.
        PaverError: a program failed.
    """
    tree = _disks(run)
    choice = choose(tree)
    _known(root, choice)
    old = choice.labelled
    said = [choice.said] if choice.said else []
    if choice.empty is not None:
        size = next(int(disk["size"]) for disk in tree if disk["path"] == choice.empty)
        if _used(root):
            said.append(f"{choice.empty} is empty and was left alone: /{MOUNT} on the first disk is in use")
        elif blank(choice.empty, size):
            # No -F: mkfs itself looks once more, and refuses what it knows.
            run("mkfs.ext4", "-q", "-L", LABEL, "-m", "0", choice.empty, timeout=600)
            run("udevadm", "settle")
            choice = Choice((choice.empty,))
        else:
            said.append(f"{choice.empty} has no partitions and yet is not empty: it was left alone")
    if choice.labelled and not choice.mounted:
        if _used(root):
            raise Refused(
                f"the data disk {choice.labelled[0]} was not mounted: /{MOUNT} on the first disk is in use too",
                do="detach the disk, or move away what lies there, then switch off and on",
            )
        run("systemctl", "start", UNIT, timeout=300)
    if choice.labelled:
        ended.put(root / RECORD, f"{choice.labelled[0]}\n", 0o644)
    if old:
        # The disk may have grown since: mounted as it is, the file system grows to its end, or is there already.
        run("resize2fs", old[0], timeout=600)
    return said


def ready(root: Path, run: Callable[..., str]) -> None:
    """Looks whether the state is where it was, before something is made of it.

    Raises:
        Refused: it is not.
    """
    choice = choose(_disks(run))
    _known(root, choice)
    if choice.labelled and not choice.mounted:
        raise Refused(
            f"the data disk {choice.labelled[0]} is not mounted",
            do=f"the console says why above its login, `systemctl status {UNIT}` too; mend it, then switch off and on",
        )


def _known(root: Path, choice: Choice) -> None:
    if len(choice.labelled) > 1:
        raise Refused(
            f"{' '.join(choice.labelled)} are all labelled {LABEL}",
            do="detach those that are not this machine's, then switch off and on",
        )
    if not choice.labelled and (root / RECORD).exists():
        raise Refused(
            "the data disk that has this machine's state is not there",
            do=f"attach it again; or begin without it: sudo rm /{RECORD}",
        )


def _used(root: Path) -> bool:
    """Tells whether the place holds anything while no disk is mounted there."""
    place = root / MOUNT
    return place.is_dir() and any(place.iterdir())


def _disks(run: Callable[..., str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("lsblk", "--json", "--bytes", "--output", _COLUMNS))[
        "blockdevices"
    ]
    return found


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
