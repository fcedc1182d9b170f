"""Whether a host may be had: no other vCenter's, out of maintenance, and of a version that BOSH's machines run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Finding, Grade
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.inventory import bosh
from paver.sitefile.site import Site

MAINTENANCE = "runtime.inMaintenanceMode"
OLDEST = (6, 7)
"""vCenter 8 manages hosts from ESXi 6.7 on (VMware KB 86165; the installer's target host likewise)."""
OLDEST_FOR_BOSH = (7, 0)
"""BOSH's CPI gives its machines virtual hardware 17 unless told otherwise, which came with 7.0
(bosh-vsphere-cpi-release, jobs/vsphere_cpi/spec, `vcenter.default_hw_version`)."""


def state(site: Site, name: str, session: Any) -> Iterator[Finding]:
    """Yields what was found of one host."""
    yield _version(site, name, session)
    if any(name in cluster.hosts for cluster in settings.of(site).inventory.clusters.values()):
        yield _manager(site, name, session)
    yield _maintenance(site, name, session)


def numbers(version: str) -> tuple[int, ...]:
    """Returns a version's parts."""
    return tuple(int(part) for part in str(version).split(".") if part.isdigit())


def _version(site: Site, name: str, session: Any) -> Finding:
    about = session.content.about
    shown = f"{about.name.removeprefix('VMware ')} {about.version} build {about.build}"
    if about.apiType == "VirtualCenter":
        return Finding(
            subject=name,
            check="version",
            grade=Grade.INPUT,
            seen=shown,
            wanted="a host",
            do="this is the address of a vCenter",
        )
    carries = name in bosh.hosts(site)
    oldest = OLDEST_FOR_BOSH if carries else OLDEST
    if numbers(about.version) < oldest:
        return Finding(
            subject=name,
            check="version",
            grade=Grade.REFUSED,
            seen=shown,
            wanted=f"{'.'.join(map(str, oldest))} or later",
            why="BOSH's machines have virtual hardware 17" if carries else "",
            do="upgrade the host",
        )
    return Finding(subject=name, check="version", seen=shown)


def _manager(site: Site, name: str, session: Any) -> Finding:
    """Looks whose the host is: `AddHost_Task` would refuse another vCenter's, an hour later (AlreadyBeingManaged)."""
    manager, own = reading.of(session, reading.MANAGER), str(settings.of(site).vcenter.address)
    if manager in (None, "", own):
        return Finding(subject=name, check="manager", seen=manager or "none")
    return Finding(
        subject=name,
        check="manager",
        grade=Grade.REFUSED,
        seen=f"the vCenter at {manager}",
        wanted=f"none, or {own}",
        why="another vCenter manages the host",
        do="take it out there; if that vCenter is gone, disconnect the host from it in the host's own client",
    )


def _maintenance(site: Site, name: str, session: Any) -> Finding:
    """Looks whether the host takes machines: in maintenance it starts none (vim25 PowerOnVM_Task, InvalidState)."""
    if not reading.of(session, MAINTENANCE):
        return Finding(subject=name, check="maintenance", seen="not in maintenance mode")
    placed = name in (site.jumpbox.on, settings.of(site).vcenter.on)
    return Finding(
        subject=name,
        check="maintenance",
        grade=Grade.REFUSED if placed else Grade.WARNING,
        seen="in maintenance mode",
        why="it takes and starts no machine, and stays so in vCenter",
        do="take it out of maintenance mode in its own client (`esxcli system maintenanceMode set -e false`)",
    )
