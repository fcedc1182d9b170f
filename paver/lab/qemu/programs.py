"""The programs that a PC in software takes, and where they are: this system's, or unpacked from Debian's packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from paver.errors import PaverError
from paver.lab import cache, debian, system

QEMU, IMG, DEBUGFS, XORRISO = "qemu-system-x86_64", "qemu-img", "debugfs", "xorriso"
NEEDS = (
    system.Need(QEMU, "qemu-system-x86", "boots the image"),
    system.Need(IMG, "qemu-utils", "makes the disk that the image boots from"),
    system.Need(DEBUGFS, "e2fsprogs", "puts a stand-in on the disk"),
    system.Need(XORRISO, "xorriso", "makes the first-boot CD-ROM"),
)

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
    folder = cache.root()
    packages = debian.resolve(sorted(names), folder)
    size = sum(package.bytes for package in packages) / 1e6
    say(f"{', '.join(sorted(names))}: unpacked into the lab's cache, nothing is installed ({size:.1f} MB)")
    debian.unpack(packages, sorted(need.program for need in missing), folder)


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
