"""Whether high availability could start vCenter and the jumpbox on another host: their disks have to be seen from there.

"Virtual machines must be located on shared, not local, storage otherwise they cannot be failed over" (vSphere Availability,
vSphere HA Checklist). paver leaves their start to it as soon as their cluster has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import Finding, Grade
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.host.datastore import called
from paver.sitefile.site import Site

Stores = Mapping[str, str]
"""Of one host: what identifies each datastore (`summary.url`, the same at every host that has it), by its name there."""


def stores(session: Any) -> Stores:
    """Returns the datastores of a host."""
    return {
        str(values["name"]): str(values["summary.url"])
        for _, values in session.objects("Datastore", ("name", "summary.url"))
    }


def shared(site: Site, of_hosts: Mapping[str, Stores]) -> Iterator[Finding]:
    """Yields a warning for vCenter and the jumpbox where HA is to start them, and their disks are on one host alone.

    Args:
        site: as wished.
        of_hosts: the datastores of the hosts that could be asked.
    """
    iaas = settings.of(site)
    placed = (
        ("vCenter", iaas.vcenter.on, iaas.vcenter.datastore),
        ("the jumpbox", site.jumpbox.on, site.jumpbox.datastore),
    )
    for what, on, datastore in placed:
        members = next(
            (one.hosts for one in iaas.inventory.clusters.values() if one.ha and on in one.hosts), None
        )
        there = of_hosts.get(on)
        if members is None or there is None:
            continue
        name = datastore or iaas.hosts[on].datastore
        url = there.get(called(name, there) or name)
        others = [host for host in members if host != on and host in of_hosts]
        if url is None or any(url in of_hosts[host].values() for host in others):
            continue
        yield Finding(
            subject=on,
            check=f"high availability of {what}",
            grade=Grade.WARNING,
            seen=f"{name} is a datastore of {on} alone",
            wanted="one that another host of its cluster has as well",
            why=f"HA starts {what} on no other host, and {on} starts no VM by itself while its cluster has HA",
            do="place it on a shared datastore, or set `ha: false` for the cluster, so that its host starts it",
        )
