"""The programs and the firmware that a PC in software takes, and where they are: this system's, or unpacked from Debian's packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from paver.errors import PaverError
from paver.lab import cache, debian, system

QEMU, IMG, DEBUGFS, XORRISO = "qemu-system-x86_64", "qemu-img", "debugfs", "xorriso"
NEEDS = (
    system.Need(QEMU, "qemu-system-x86", "boots the image"),
    system.Need(IMG, "qemu-utils", "makes the disk that the image boots from"),
    system.Need(DEBUGFS, "e2fsprogs", "puts a stand-in on the disk"),
    system.Need(XORRISO, "xorriso", "makes the first-boot CD-ROM"),
)

SYSTEM = Path("/")
OVMF = "ovmf"
"""Debian's package of the firmware that boots by UEFI; that of a BIOS is one of QEMU's own parts."""

_PARTS = {"qemu-system-common", "qemu-system-data", "seabios", "ipxe-qemu"}


def provide(say: Callable[[str], None], needs: Sequence[system.Need] = NEEDS) -> None:
    """Unpacks what this machine lacks of `needs` into the cache, after saying so.

    Raises:
        PaverError: it can't be had.
    """
    missing = system.survey(needs=needs, resolved=False).missing
    if not missing:
        return
    names = {need.package for need in missing}
    if QEMU in {need.program for need in missing}:
        # QEMU looks for its parts beside itself, so those that this system has are of no use to it.
        names |= _PARTS
    _unpack(names, (need.program for need in missing), say)


def provide_firmware(say: Callable[[str], None]) -> None:
    """Unpacks OVMF, where this machine lacks it, into the cache, after saying so.

    Raises:
        PaverError: it can't be had.
    """
    if next(_firmware(), None) is None:
        _unpack({OVMF}, (), say)


def firmware() -> tuple[Path, Path]:
    """Returns OVMF's code and the template of its variables.

    Raises:
        PaverError: it is not there.
    """
    found = next(_firmware(), None)
    if found is None:
        raise PaverError("OVMF is not there", why="it boots the image by UEFI", do=f"apt-get install {OVMF}")
    return found


def _firmware() -> Iterator[tuple[Path, Path]]:
    within = Path("usr/share/OVMF")
    places = [SYSTEM / within, *(each.parent / "root" / within for each in debian.unpacked(cache.root()))]
    for kind in ("_4M", ""):
        for place in places:
            both = place / f"OVMF_CODE{kind}.fd", place / f"OVMF_VARS{kind}.fd"
            if all(file.exists() for file in both):
                yield both


def _unpack(names: Iterable[str], programs: Iterable[str], say: Callable[[str], None]) -> None:
    folder = cache.root()
    wanted = sorted(names)
    packages = debian.resolve(wanted, folder)
    size = sum(package.bytes for package in packages) / 1e6
    say(f"{', '.join(wanted)}: unpacked into the lab's cache, nothing is installed ({size:.1f} MB)")
    debian.unpack(packages, sorted(programs), folder)


def find(program: str) -> str:
    """Returns the path of one of `NEEDS`.

    Raises:
        PaverError: it is not there.
    """
    path = shutil.which(program, path=system.search_path())
    if path is None:
        need = next(each for each in NEEDS if each.program == program)
        raise PaverError(
            f"{program} is not there", why=f"it {need.purpose}", do=f"apt-get install {need.package}"
        )
    return path
