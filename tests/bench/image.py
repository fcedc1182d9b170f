"""The jumpbox's image: its disk packed against `qemu-img convert` and open-vmdk, booted, the OVA verified against hashing and inflating it, built."""

from __future__ import annotations

import collections
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from paver.errors import PaverError
from paver.image import inside, stages
from paver.ovf.ova import Ova
from paver.ovf.vmdk_random import Disk
from paver.ovf.write import make_ova
from tests.bench import image_build
from tests.bench.measure import Ground, Row
from tests.bench.process import Command, alternate, python
from tests.support import tools

LARGEST = 900_000_000
_PACK = "import sys; from pathlib import Path; from paver.ovf.vmdk import write_vmdk; write_vmdk(Path(sys.argv[1]), open(sys.argv[2], 'wb'))"
# What verifying cannot do without: the digest of all that is there, and each grain inflated.
_PEER = (
    "import hashlib, sys; from paver.ovf.ova import Ova; from paver.ovf import vmdk; from pathlib import Path\n"
    "hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')\n"
    "import isal.isal_zlib as z\n"
    "with Ova(Path(sys.argv[1])) as ova:\n"
    "    [name] = [each.name for each in ova.members if each.name.endswith('.vmdk')]\n"
    "    data = ova.member(name); data.seek(128 * 512)\n"
    "    while True:\n"
    "        head = data.read(512)\n"
    "        size = int.from_bytes(head[8:12], 'little')\n"
    "        if not size:\n"
    "            if not int.from_bytes(head[12:16], 'little'): break\n"  # the stream's end; others are tables
    "            data.seek(int.from_bytes(head[:8], 'little') * 512, 1)\n"
    "            continue\n"
    "        rest = data.read(-(-(size + 12) // 512) * 512 - 512)\n"
    "        z.decompress((head + rest)[12:12 + size])\n"
)


def measure(ground: Ground) -> Iterator[Row]:
    """Yields what packing, booting, verifying and building take, how large the OVA is; says what takes the room in it."""
    raw = _newest()
    ours, theirs = ground.folder / "paver.vmdk", ground.folder / "qemu.vmdk"
    qemu_img = str(tools.program("qemu-img", "qemu-utils"))
    rounds = min(3, ground.rounds)
    ground.say(f"packing {raw}")
    found = alternate(
        Command(python("-c", _PACK, str(raw), str(ours))),
        Command(
            (qemu_img, "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", str(raw), str(theirs))
        ),
        rounds,
    )
    peer = "qemu-img convert streamOptimized"
    yield Row("the image's disk packed", found.median, found.peer, peer, found.ratio, 0.1, runs=rounds)
    sizes = [path.stat().st_size / 1e6 for path in (ours, theirs)]
    yield Row("the packed disk's size", sizes[0], sizes[1], peer, sizes[0] / sizes[1], 1.1, unit="MB")
    theirs.unlink()
    yield from _open_vmdk(ground, raw, ours, theirs)
    yield from image_build.boot(ground, ours)
    ours.unlink()
    ova = ground.folder / "image.ova"
    made = make_ova(ova, name="image", disk=raw, capacity=16 * 2**30)
    yield Row("the OVA's size", made.size / 1e6, None, "900 MB", made.size / LARGEST, 1, unit="MB")
    found = alternate(
        Command(python("-m", "paver", "image", "verify", str(ova))),
        Command(python("-c", _PEER, str(ova))),
        rounds,
    )
    peer = "its SHA-256, and each grain inflated"
    yield Row("the OVA verified", found.median, found.peer, peer, found.ratio, 1.25, runs=rounds)
    for line in room(ova):
        ground.say(line)
    ova.unlink()
    yield from image_build.measure(ground)


def _open_vmdk(ground: Ground, raw: Path, ours: Path, theirs: Path) -> Iterator[Row]:
    """Yields the disk packed against open-vmdk, where that is to be had; both on all processors."""
    program = shutil.which("vmdk-convert")
    if program is None:
        ground.say("open-vmdk's vmdk-convert is not on PATH: not compared with it")
        return
    threads = len(os.sched_getaffinity(0))
    peer = f"open-vmdk, {threads} threads"
    rounds = min(3, ground.rounds)
    found = alternate(
        Command(python("-c", _PACK, str(raw), str(ours))),
        Command((program, "-n", str(threads), str(raw), str(theirs))),
        rounds,
    )
    yield Row("the image's disk packed", found.median, found.peer, peer, found.ratio, None, runs=rounds)
    sizes = [path.stat().st_size / 1e6 for path in (ours, theirs)]
    yield Row("the packed disk's size", sizes[0], sizes[1], peer, sizes[0] / sizes[1], None, unit="MB")
    theirs.unlink()


def room(ova: Path) -> Iterator[str]:
    """Yields a table of the twenty folders that take most of an image, in megabytes as they lie on its disk."""
    total: collections.Counter[str] = collections.Counter()
    with Ova(ova) as opened:
        [name] = [member.name for member in opened.members if member.name.endswith(".vmdk")]
        system = inside.root(Disk(opened.member(name)), name, most=2**40)
        seen: set[int] = set()
        for path, node in system.files():
            if node.number not in seen:
                seen.add(node.number)
                total[_place(path)] += node.size
    yield f"{sum(total.values()) / 1e6:6.0f} MB  all files"
    for place, size in total.most_common(20):
        yield f"{size / 1e6:6.1f} MB  {place}"


def _place(path: str) -> str:
    parts = path.split("/")[1:-1]
    if parts[:2] == ["usr", "local"]:
        return path
    depth = 4 if parts[:2] == ["usr", "lib"] else 3
    return "/" + "/".join(parts[:depth])


def _newest() -> Path:
    disks = sorted((stages.root() / "disk").glob("*/disk.raw"), key=os.path.getmtime)
    if not disks:
        raise PaverError("there is no image whose disk could be packed", do="build one first: `make image`")
    return disks[-1]
