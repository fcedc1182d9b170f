"""Whether the disks of what BOSH will make find room, before a host is vCenter's.

BOSH's CPI takes a datastore for a disk only where more is free than the disk's full size and a gibibyte, and for an ephemeral one
the machine's memory beside it, however thin it makes the disk (bosh-vsphere-cpi-release,
`disk_placement_selection_pipeline.rb`). What it does not find then, it says an hour later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import Finding, Grade
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.datastore import called
from paver.drivers.vsphere.inventory import bosh
from paver.drivers.vsphere.preflight_room import GB, placed
from paver.sitefile.site import Site

GIB, MIB = 2**30, 2**20
BESIDE = GIB
"""What the CPI leaves free beside a disk."""


@dataclasses.dataclass(frozen=True)
class Room:
    """What one host has.

    Attributes:
        managed: a vCenter has it, so that BOSH's machines may stand on it already.
        free: bytes by datastore.
    """

    managed: bool
    free: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Disk:
    """One disk that BOSH will make: bytes in all that have to be free for it."""

    whose: str
    size: int


def room(session: Any) -> Room:
    """Returns what a host has."""
    free = {
        str(values["name"]): int(values["summary.freeSpace"] or 0)
        for _, values in session.objects("Datastore", ("name", "summary.freeSpace"))
    }
    return Room(bool(reading.of(session, reading.MANAGER)), free)


def placeable(site: Site, of_hosts: Mapping[str, Room]) -> Iterator[Finding]:
    """Yields how each zone stands whose hosts are nobody's yet, and could all be asked."""
    wished = settings.of(site)
    for az, disks in _wanted(site).items():
        members = [host for name in wished.clusters_of(az) for host in wished.inventory.clusters[name].hosts]
        there = [of_hosts[host] for host in members if host in of_hosts]
        if len(there) < len(members) or any(one.managed for one in there):
            continue
        free = [_left(site, host, of_hosts[host]) for host in members]
        yield _judged(az, disks, free)


def _wanted(site: Site) -> dict[str, list[Disk]]:
    """Returns the disks by availability zone."""
    vm, services = site.bucc.vm, site.services
    found = {
        site.bucc.az: [
            Disk("the director's ephemeral disk", vm.disk_gb * GIB + vm.memory_mb * MIB),
            Disk("the director's persistent disk", vm.persistent_disk_gb * GIB),
        ]
    }
    kind = bosh.VM_TYPES["default"]
    for name, one in (("object store", services.object_store), ("registry", services.registry)):
        network = site.network_of(one.address) if one.address is not None else None
        if network is None or (az := site.networks[network].az) is None:
            continue
        found.setdefault(az, []).extend(
            (
                Disk(f"the {name}'s ephemeral disk", (kind["disk"] + kind["ram"]) * MIB),
                Disk(f"the {name}'s persistent disk", one.disk_gb * GIB),
            )
        )
    return found


def _left(site: Site, host: str, there: Room) -> int:
    """Returns what is free on the datastore that BOSH was given of a host, once all else of the site stands there."""
    wished = settings.of(site).hosts[host]
    name = called(wished.datastore, there.free) or wished.datastore
    least, _ = placed(site, host, wished).get(wished.datastore, (0, 0))
    return there.free.get(name, 0) - least


def _judged(az: str, disks: list[Disk], free: list[int]) -> Finding:
    check, most = f"room for BOSH in {az}", max(free)
    largest = max(disks, key=lambda disk: disk.size)
    total = sum(disk.size for disk in disks)
    shown = f"{most / GB:.0f} GB free for it on one datastore, {sum(free) / GB:.0f} GB on all"
    subject = "BOSH"
    if most <= largest.size + BESIDE:
        return Finding(
            subject=subject,
            check=check,
            grade=Grade.REFUSED,
            seen=shown,
            wanted=f"{(largest.size + BESIDE) / GB:.0f} GB on one",
            why=f"BOSH's CPI places {largest.whose} only where its full size is free",
            do="make room, give the zone's hosts a larger datastore, or make that disk smaller in the site file",
        )
    left = sorted(free, reverse=True)
    for disk in sorted(disks, key=lambda one: -one.size):
        left.sort(reverse=True)
        if left[0] <= disk.size + BESIDE:
            return Finding(
                subject=subject,
                check=check,
                grade=Grade.WARNING,
                seen=shown,
                wanted=f"{total / GB:.0f} GB",
                why=f"the disks are thin; once they are full, there is none for {disk.whose}",
                do="make room, or watch the datastore",
            )
        left[0] -= disk.size
    return Finding(subject=subject, check=check, seen=shown, wanted=f"{total / GB:.0f} GB")
