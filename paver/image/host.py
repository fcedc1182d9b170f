"""What a build wants of the machine that it runs on, said before it begins."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from paver.errors import PaverError
from paver.image import provision
from paver.lab import system
from paver.lab.qemu import programs

ROOM = 14 * 2**30
SCRATCH = 3 * 2**30
"""Bytes that the base takes while it is unpacked."""
PUBLISHED = 2**31
"""Bytes of the OVA, the same unpacked, and a draft."""
MEMORY = (provision.MEMORY_MB + 512) * 2**20
PROGRAMS = {
    "apt-get": ("apt", "fetches Debian's packages"),
    "dpkg-deb": ("dpkg", "reads them"),
    "setpriv": ("util-linux", "ends what the build runs with the build"),
    "ssh": ("openssh-client", "is how Ansible gets into the machine that Packer boots"),
}
"""What a Debian has: by name, its package, and what it is for."""

NEEDS = (
    system.Need("mmdebstrap", "mmdebstrap", "unpacks Debian's packages"),
    system.Need("mmtarfilter", "mmdebstrap", "leaves out what the image goes without"),
    system.Need("packer", "packer", "boots the base and has Ansible configure it"),
    system.Need(programs.IMG, "qemu-utils", "copies the disk for it"),
    system.Need(programs.QEMU, "qemu-system-x86", "runs it"),
    system.Need(programs.XORRISO, "xorriso", "makes the CD-ROM that lets it in"),
)
"""What is unpacked from Debian's packages where it is not there."""


def require(cache: Path, out: Path) -> None:
    """Says beforehand what is missing, of programs, of memory, and of room in the cache, for the image and for scratch.

    Raises:
        PaverError: a program is not there, or the disk or the memory has no room for the stages.
    """
    missing = {name: PROGRAMS[name] for name in PROGRAMS if shutil.which(name) is None}
    if missing:
        name, (_, purpose) = next(iter(missing.items()))
        raise PaverError(
            f"{name} is not there",
            why=f"it {purpose}",
            do="apt-get install " + " ".join(sorted(package for package, _ in missing.values())),
        )
    cache.mkdir(parents=True, exist_ok=True)
    require_room(cache, ROOM, what="a build", variable="XDG_CACHE_HOME")
    require_room(Path(tempfile.gettempdir()), SCRATCH, what="unpacking Debian", variable="TMPDIR")
    require_room(_there(out), PUBLISHED, what="the image", variable="--out")
    memory = available()
    if memory is not None and memory < MEMORY:
        raise PaverError(
            f"{memory / 2**30:.1f} GiB of memory are available, and a build takes {MEMORY / 2**30:.1f}",
            why="it boots the image in a machine of its own",
            do="end what takes it, and run the same command again",
        )


def _there(folder: Path) -> Path:
    """Returns the nearest folder above that is there already."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


def require_room(folder: Path, needed: int, *, what: str, variable: str) -> None:
    """Says beforehand that a disk is too full.

    Args:
        folder: that is going to be filled.
        needed: bytes.
        what: takes them.
        variable: of the environment, or an option, which would choose another place.

    Raises:
        PaverError: it has no room for them.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PaverError(
            f"{free / 1e9:.1f} GB are free at {folder}, and {what} takes {needed / 1e9:.0f} GB",
            do=f"make room, or set {variable} to where there is some",
        )


def available() -> int | None:
    """Returns the bytes of memory that are to be had, None where nobody says."""
    file = Path("/proc/meminfo")
    lines = file.read_text().splitlines() if file.exists() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None
