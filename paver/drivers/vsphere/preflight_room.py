"""Whether a host's datastores have room for what the site places there, and hold what it takes from there."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from paver.driver import BadInput, Finding, Grade
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.host.datastore import called
from paver.drivers.vsphere.settings import Host
from paver.ovf import data_disk
from paver.ovf.ova import Ova
from paver.sitefile.site import Site

DISKS_GB = {"tiny": 579, "small": 694, "medium": 908, "large": 1358, "xlarge": 2283}
"""Disks of vCenter 8.0 by size; `-lstorage` and `-xlstorage` have more."""
THIN_GB = 45
"""What a thin appliance takes on its first day."""
RAM_GIB = {"tiny": 14, "small": 21, "medium": 30, "large": 39, "xlarge": 58}
"""Memory of vCenter 8.0 by size. A host makes a swap file as large as a machine's memory beside it as it starts it: "If this file
cannot be created, the virtual machine cannot power on" (vSphere Resource Management, Swap File Location)."""
GB = 10**9


def room(site: Site, name: str, host: Host, session: Any) -> Iterator[Finding]:
    """Yields how each datastore that something is placed on stands, and whether the installer is there."""
    found = {
        values["name"]: values
        for _, values in session.objects("Datastore", ("name", "summary.accessible", "summary.freeSpace"))
    }
    for datastore, (least, most) in placed(site, name, host).items():
        check = f"datastore {datastore}"
        values = found.get(called(datastore, found) or datastore)
        if values is None:
            yield Finding(
                subject=name,
                check=check,
                grade=Grade.INPUT,
                seen=f"has {', '.join(sorted(found)) or 'none'}",
                do="name one of these, or make it on the host",
            )
            continue
        if not values["summary.accessible"]:
            yield Finding(subject=name, check=check, grade=Grade.REFUSED, seen="not accessible")
            continue
        free = int(values["summary.freeSpace"] or 0)
        yield _room(name, check, free, least, most)
    installer = settings.of(site).vcenter.installer.iso
    if installer and installer.startswith("[") and settings.of(site).vcenter.on == name:
        yield _on_datastore(name, installer, session)


def placed(site: Site, name: str, host: Host) -> dict[str, tuple[int, int]]:
    """Returns by datastore how many bytes are needed at once, and once all disks are full."""
    iaas = settings.of(site)
    needs = {host.datastore: (0, 0)}

    def add(datastore: str, least: int, most: int) -> None:
        before = needs.get(datastore, (0, 0))
        needs[datastore] = (before[0] + least, before[1] + most)

    if site.jumpbox.on == name:
        image = site.path(site.jumpbox.image)
        size = image.stat().st_size if image.is_file() else 0
        swap = site.jumpbox.memory_mb * 2**20
        most = site.jumpbox.disk_gb * GB + _beside(image)
        add(site.jumpbox.datastore or host.datastore, size + swap, most + swap)
    if iaas.vcenter.on == name:
        size_of = iaas.vcenter.size.partition("-")[0]
        whole, swap = DISKS_GB[size_of] * GB, RAM_GIB[size_of] * 2**30
        least = THIN_GB * GB if iaas.vcenter.thin else whole
        add(iaas.vcenter.datastore or host.datastore, least + swap, whole + swap)
    return needs


def _beside(image: pathlib.Path) -> int:
    """Returns how many bytes the jumpbox's first disk has, if its data disk is another one."""
    try:
        with Ova(image) as ova:
            if data_disk.of(ova.descriptor, image.name) is None:
                return 0
            return sum(disk.capacity for disk in ova.descriptor.disks if disk.file)
    except BadInput:
        return 0  # what is wrong with the image, its own finding says


def _room(name: str, check: str, free: int, least: int, most: int) -> Finding:
    shown = f"{free / GB:.0f} GB free"
    if free < least:
        return Finding(
            subject=name,
            check=check,
            grade=Grade.REFUSED,
            seen=shown,
            wanted=f"{least / GB:.0f} GB",
            do="make room, or place something elsewhere",
        )
    if free < most:
        return Finding(
            subject=name,
            check=check,
            grade=Grade.WARNING,
            seen=shown,
            wanted=f"{most / GB:.0f} GB",
            why="the disks are thin: once they are full, so is the datastore",
        )
    return Finding(subject=name, check=check, seen=shown)


def _on_datastore(name: str, text: str, session: Any) -> Finding:
    datastore, _, path = text.removeprefix("[").partition("]")
    size = session.datastore_size(datastore, path.strip())
    if size is None:
        return Finding(
            subject=name,
            check="installer",
            grade=Grade.INPUT,
            seen=f"no {text}",
            do="upload the ISO there, or correct iaas.vcenter.installer.iso",
        )
    return Finding(subject=name, check="installer", seen=f"{text}, {size / GB:.1f} GB")
