"""Further disks of a booted machine: the data disk that the OVF declares, one of artefacts that is mounted when it is looked for.

All are attached before the first boot; what was written on the data disk has to be there after another one, for which it grows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from paver.image import artefacts
from paver.image.prove.checks import Probe
from paver.lab.qemu import machine

GROUP, AGAIN = "disks", "second boot"
DATA = "disk1"
"""What QEMU calls the data disk: the first one after the system's."""
MORE = 20 * 2**30
"""Bytes that the data disk grows by before another boot; it is thin."""

FILE = "proof.bin"
CONTENT = b"an artefact of the proof\n" * 50_000
_STATE = "/var/lib/paver/proof"
_DEVICE = "/dev/disk/by-label/PAVER_ARTEFACTS"
_KEY = "/run/paver-proof.pub"
_COPY = "/run/paver-proof.disk"
_ROOM = "echo $(($(findmnt -bno SIZE /var/lib/paver) >> 30)) GiB"
_OFFER = Probe(
    GROUP,
    "artefacts are not mounted before somebody looks",
    "systemctl is-active srv-artefacts.automount srv-artefacts.mount",
    "active\ninactive",
    "the automount waits",
)


def data(folder: Path, size: int) -> Path:
    """Makes the data disk of `size` bytes in the folder of a boot, blank, as an import gives it.

    Raises:
        PaverError: qemu-img is not there, or refuses.
    """
    return machine.blank(size, folder / "data.qcow2")


def attach(folder: Path, key: str) -> Path:
    """Makes the disk of artefacts in the folder of a boot, signed by the private SSH key `key`.

    Raises:
        PaverError: qemu-img is not there, or refuses.
    """
    file, packed = folder / FILE, folder / "artefacts.vmdk"
    file.write_bytes(CONTENT)
    artefacts.make(packed, [file], lambda *_: None, sign=key)
    return machine.overlay(packed, "vmdk", folder / "artefacts.qcow2")


def placed(size: int | None) -> Iterable[Probe]:
    """Yields where the state lies on a machine with a data disk of `size` bytes, or with none."""
    if size is None:
        yield Probe(
            GROUP,
            "without a data disk the state is on the first one",
            "findmnt -no TARGET --target /var/lib/paver; ls /etc/paver/data-disk",
            "/",
            "/var/lib/paver is of the root file system",
        )
        return
    yield Probe(
        GROUP,
        "a blank disk became the data disk",
        f"findmnt -no FSTYPE,LABEL,OPTIONS /var/lib/paver; {_ROOM}",
        rf"ext4 +paver-data +rw,nosuid,nodev,noatime\n({_gib(size)}) GiB",
    )
    yield Probe(
        GROUP,
        "the machine notes that its state lies there",
        '[ "$(cat /etc/paver/data-disk)" = "$(findmnt -no SOURCE /var/lib/paver)" ] && cat /etc/paver/data-disk',
        "/dev/[sv]d[a-z]",
    )


def _gib(size: int) -> str:
    """Returns what of a disk of `size` bytes is its file system's, in GiB: all but a twentieth, for its tables."""
    return "|".join(str(each) for each in range(size * 19 // 20 >> 30, (size >> 30) + 1))


def probes(public: str) -> Iterable[Probe]:
    """Yields what the first boot made of the disks, of which the one of artefacts was signed by `public`'s key."""
    yield Probe(
        GROUP,
        "whoever paves may write there",
        f"su paver -s /bin/sh -c 'cat /proc/sys/kernel/random/boot_id > {_STATE}'; stat -c %U {_STATE}",
        "paver",
    )
    yield _OFFER
    yield Probe(
        GROUP,
        "the file on the disk of artefacts is found",
        f"su paver -s /bin/sh -c 'sha256sum < /srv/artefacts/{FILE}'",
        f"{hashlib.sha256(CONTENT).hexdigest()}  -",
        f"/srv/artefacts/{FILE}, its SHA-256 as it was packed",
    )
    yield Probe(
        GROUP,
        "nothing of it can be changed or run",
        "findmnt -no FSTYPE,OPTIONS -t iso9660 /srv/artefacts",
        r"iso9660 +ro,nosuid,nodev,noexec,\S*",
    )
    yield Probe(
        GROUP,
        "the disk's manifest and signature hold",
        f"echo '{public}' > {_KEY}; paver image artefacts --verify {_DEVICE} --key {_KEY}; echo ended with $?",
        rf".*{re.escape(FILE)}.*ended with 0",
        "by `paver image artefacts --verify`, with the key",
    )
    # The content lies in it as it is: the file's own bytes begin with what no other place has.
    yield Probe(
        GROUP,
        "a disk with one byte changed is refused",
        f"cat {_DEVICE} > {_COPY}; at=$(grep -abo -m 1 'an artefact of the proof' {_COPY} | head -1 | cut -d: -f1)\n"
        f"printf A | dd of={_COPY} bs=1 seek=$at conv=notrunc 2>/dev/null\n"
        f"paver image artefacts --verify {_COPY} --key {_KEY} 2>&1; echo ended with $?; rm -f {_COPY} {_KEY}",
        rf".*{re.escape(FILE)} is not what the manifest says.*ended with [1-9]\d*",
        "the file is named",
    )


def again(size: int | None) -> Iterable[Probe]:
    """Yields what has to be so after another boot, for which the data disk, if there is one, grew to `size` bytes."""
    if size is not None:
        yield Probe(
            AGAIN,
            "the data disk is mounted again, its file system as large as the disk is now",
            f"findmnt -no FSTYPE,LABEL /var/lib/paver; {_ROOM}",
            rf"ext4 +paver-data\n({_gib(size)}) GiB",
        )
    yield Probe(
        AGAIN,
        "what was written there is there",
        f"cmp -s {_STATE} /proc/sys/kernel/random/boot_id && echo of this boot || wc -c < {_STATE}",
        "37",
        "the first boot's note",
    )
    yield Probe(
        AGAIN,
        "artefacts are found again",
        "ls /srv/artefacts",
        rf"MANIFEST\.json\nMANIFEST\.json\.sig\n{re.escape(FILE)}",
    )
    yield Probe(AGAIN, "no unit failed", "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1")
