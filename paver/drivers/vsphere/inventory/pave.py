"""Phase `inventory` as a wish, and what BOSH is told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Connector, Ground, Material, Paved, Resource, ResourceId, output, resource_id
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.inventory import bosh
from paver.drivers.vsphere.inventory.cluster import Cluster
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.drivers.vsphere.inventory.datacenter import FOLDERS, Datacenter
from paver.drivers.vsphere.inventory.folder import Folder
from paver.drivers.vsphere.inventory.resource_pool import ResourcePool
from paver.sitefile.site import Site
from paver.transport.vsphere import VsphereConnector

PHASE = "inventory"
KINDS: tuple[type[Resource[Any]], ...] = (Datacenter, Cluster, ClusterHost, Folder, ResourcePool)

_ENTITY = ("name", "parent", "customValue")
WANTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Datacenter", (*_ENTITY, *FOLDERS)),
    ("ClusterComputeResource", (*_ENTITY, "configurationEx", "host", "resourcePool")),
    ("HostSystem", (*_ENTITY, "runtime.connectionState")),
    ("Folder", _ENTITY),
    ("ResourcePool", _ENTITY),
)
"""What reading vCenter fetches in one call."""


def pave(site: Site) -> Paved:
    """Returns the inventory of `site`, and what BUCC must know and wait for."""
    made = tuple(resources(site))
    return Paved(
        resources=made,
        connectors=connectors(site),
        grounds=tuple(grounds(site)),
        material=(bosh.account_password(site),),
        cpi="vsphere",
        cpi_values=bosh.cpi_values(site),
        cpi_flags=bosh.cpi_flags(site),
        cpi_operators=bosh.cpi_operators(),
        azs=bosh.azs(site),
        network_properties=bosh.network_properties(site),
        vm_types=bosh.vm_types(),
        needs=frozenset(resource.id for resource in made),
    )


def administrator_password(site: Site) -> Material:
    """Returns the password of the SSO domain's administrator."""
    name = settings.of(site).vcenter.passwords.administrator.name
    return Material(kind="password", name=name, policy="vcenter")


def connectors(site: Site) -> dict[str, Connector]:
    """Returns how vCenter is reached: by the name that its certificate bears, trusted by its own authority."""
    vcenter = settings.of(site).vcenter
    return {
        endpoints.VCENTER.name: VsphereConnector(
            name=vcenter.vm_name,
            address=vcenter.fqdn,
            user=vcenter.administrator,
            password=administrator_password(site).secret,
            roots=(output(endpoints.VMCA, "pem", str),),
            via=endpoints.MACHINE.name,
            wants=WANTS,
        )
    }


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for, kinds in creation order."""
    hosts = tuple(endpoints.host(name) for name in settings.of(site).hosts)
    for kind in KINDS:
        yield Ground(kind, endpoints.VCENTER, PHASE, also=hosts if kind is ClusterHost else ())


def datacenter_id(name: str) -> ResourceId:
    """Returns the id of the datacenter."""
    return resource_id(Datacenter.kind, name)


def cluster_id(name: str) -> ResourceId:
    """Returns the id of a cluster."""
    return resource_id(Cluster.kind, name)


def host_id(name: str) -> ResourceId:
    """Returns the id of a host's membership."""
    return resource_id(ClusterHost.kind, name)


def resources(site: Site) -> Iterator[Resource[Any]]:
    """Yields what vCenter is to hold."""
    inventory = settings.of(site).inventory
    place, at = inventory.datacenter, endpoints.VCENTER
    yield Datacenter(id=datacenter_id(place), phase=PHASE, at=at, name=place)
    for name, cluster in inventory.clusters.items():
        yield Cluster(
            id=cluster_id(name),
            phase=PHASE,
            at=at,
            within=datacenter_id(place),
            name=name,
            datacenter=place,
            drs=cluster.drs,
            ha=cluster.ha,
        )
        yield from _hosts(site, name)
        if cluster.resource_pool:
            yield ResourcePool(
                id=resource_id(ResourcePool.kind, f"{name}/{cluster.resource_pool}"),
                phase=PHASE,
                at=at,
                within=cluster_id(name),
                name=cluster.resource_pool,
                datacenter=place,
                cluster=name,
            )
    for folder in (inventory.folders.vms, inventory.folders.templates):
        yield Folder(
            id=resource_id(Folder.kind, folder),
            phase=PHASE,
            at=at,
            within=datacenter_id(place),
            name=folder,
            datacenter=place,
        )


def _hosts(site: Site, cluster: str) -> Iterator[ClusterHost]:
    wished = settings.of(site)
    place = wished.inventory.datacenter
    # vCenter renames a datastore whose name it has already: vCenter's own host goes first, so that it is the same
    # host at every site and in every order.
    names = sorted(wished.inventory.clusters[cluster].hosts, key=lambda one: (one != wished.vcenter.on, one))
    for name in names:
        host = wished.hosts[name]
        yield ClusterHost(
            id=host_id(name),
            phase=PHASE,
            at=endpoints.VCENTER,
            also=(endpoints.host(name),),
            within=cluster_id(cluster),
            after=frozenset({host_id(names[0])} - {host_id(name)}),
            name=site.fqdn(name),
            host=name,
            datacenter=place,
            cluster=cluster,
            user=host.login.user,
            password=endpoints.secret(host.login.password),
        )
