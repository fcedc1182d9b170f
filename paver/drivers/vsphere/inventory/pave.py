"""Phase `inventory` as a wish, and what BOSH is told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import (
    Connector,
    Endpoint,
    Ground,
    Material,
    Paved,
    Resource,
    ResourceId,
    output,
    resource_id,
)
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host.pave import licence_id
from paver.drivers.vsphere.inventory import bosh, privileges, role, stores, surroundings
from paver.drivers.vsphere.inventory.account import Account
from paver.drivers.vsphere.inventory.cluster import Cluster
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.drivers.vsphere.inventory.datacenter import FOLDERS, Datacenter
from paver.drivers.vsphere.inventory.disk_folder import DiskFolder
from paver.drivers.vsphere.inventory.folder import Folder
from paver.drivers.vsphere.inventory.host_certificate import HostCertificate
from paver.drivers.vsphere.inventory.permission import Permission
from paver.drivers.vsphere.inventory.resource_pool import ResourcePool
from paver.drivers.vsphere.inventory.role import Role
from paver.drivers.vsphere.inventory.vm_override import VmOverride
from paver.drivers.vsphere.inventory.vm_override import id_of as override_id
from paver.drivers.vsphere.vcsa.pave import APPLIANCE
from paver.sitefile.site import Site
from paver.transport.http import ApiSession, HttpConnector
from paver.transport.vsphere import VsphereConnector
from paver.transport.vsphere.ssoadmin import SsoConnector

PHASE = "inventory"
SSO: Endpoint[Any, Any] = Endpoint("vcenter-sso", provider=endpoints.VMCA)
"""vCenter's single sign-on."""

KINDS: tuple[type[Resource[Any]], ...] = (
    Datacenter,
    Cluster,
    ClusterHost,
    HostCertificate,
    VmOverride,
    Folder,
    ResourcePool,
    DiskFolder,
    Role,
    Account,
    Permission,
)

_ENTITY = ("name", "parent", "customValue")
WANTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Datacenter", (*_ENTITY, *FOLDERS)),
    ("ClusterComputeResource", (*_ENTITY, "configurationEx", "host", "resourcePool")),
    ("HostSystem", (*_ENTITY, "runtime.connectionState", "datastore")),
    ("Folder", _ENTITY),
    ("ResourcePool", _ENTITY),
    ("Datastore", stores.PATHS),
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
        cpi_operators=bosh.cpi_operators(site),
        azs=bosh.azs(site),
        network_properties=bosh.network_properties(site),
        vm_types=bosh.vm_types(),
        around=surroundings.of(site),
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
        ),
        SSO.name: SsoConnector(
            name=f"{vcenter.vm_name}'s single sign-on",
            address=vcenter.fqdn,
            domain=vcenter.sso_domain,
            user=vcenter.administrator,
            password=administrator_password(site).secret,
            roots=(output(endpoints.VMCA, "pem", str),),
            via=endpoints.MACHINE.name,
        ),
        endpoints.APPLIANCE.name: HttpConnector(
            name=f"{vcenter.vm_name}'s appliance API",
            base_url=f"https://{vcenter.fqdn}",
            roots=(output(endpoints.VMCA, "pem", str),),
            auth=ApiSession(
                f"https://{vcenter.fqdn}/api/session",
                f"{vcenter.fqdn}:443",
                vcenter.administrator,
                administrator_password(site).secret,
            ),
            via=endpoints.MACHINE.name,
        ),
    }


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for, kinds in creation order."""
    hosts = tuple(endpoints.host(name) for name in settings.of(site).hosts)
    for kind in KINDS:
        at = SSO if kind is Account else endpoints.VCENTER
        yield Ground(kind, at, PHASE, also=hosts if kind is ClusterHost else ())


ACCOUNT = resource_id(Account.kind, "cpi")


def datacenter_id(name: str) -> ResourceId:
    """Returns the id of the datacenter."""
    return resource_id(Datacenter.kind, name)


def cluster_id(name: str) -> ResourceId:
    """Returns the id of a cluster."""
    return resource_id(Cluster.kind, name)


def host_id(name: str) -> ResourceId:
    """Returns the id of a host's membership."""
    return resource_id(ClusterHost.kind, name)


def folder_id(name: str) -> ResourceId:
    """Returns the id of a folder."""
    return resource_id(Folder.kind, name)


def pool_id(cluster: str, name: str) -> ResourceId:
    """Returns the id of a resource pool."""
    return resource_id(ResourcePool.kind, f"{cluster}/{name}")


def role_id(key: str) -> ResourceId:
    """Returns the id of a role."""
    return resource_id(Role.kind, key)


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
        yield from _overrides(site, name)
        if cluster.resource_pool:
            yield ResourcePool(
                id=pool_id(name, cluster.resource_pool),
                phase=PHASE,
                at=at,
                within=cluster_id(name),
                name=cluster.resource_pool,
                datacenter=place,
                cluster=name,
            )
    for folder in _folders(site):
        yield Folder(
            id=folder_id(folder),
            phase=PHASE,
            at=at,
            within=datacenter_id(place),
            name=folder,
            datacenter=place,
        )
    for store, hosts in _datastores(site).items():
        yield DiskFolder(
            id=resource_id(DiskFolder.kind, f"{place}/{store}/{inventory.folders.disks}"),
            phase=PHASE,
            at=at,
            within=datacenter_id(place),
            after=frozenset(host_id(name) for name in hosts),
            hosts=frozenset(site.fqdn(name) for name in hosts),
        )
    yield from _rights(site)


def _folders(site: Site) -> tuple[str, ...]:
    folders = settings.of(site).inventory.folders
    return tuple(dict.fromkeys((folders.vms, folders.templates)))


def _datastores(site: Site) -> dict[str, frozenset[str]]:
    """Returns the datastores that BOSH uses by the hosts' names for them, and the hosts that bring each along."""
    wished = settings.of(site)
    found: dict[str, frozenset[str]] = {}
    for name in bosh.hosts(site):
        store = wished.hosts[name].datastore
        found[store] = found.get(store, frozenset()) | {name}
    return found


def _rights(site: Site) -> Iterator[Resource[Any]]:
    """Yields BOSH's account, its roles, and where it has them."""
    wished, at = settings.of(site), endpoints.VCENTER
    yield Account(
        id=ACCOUNT,
        phase=PHASE,
        at=SSO,
        user=wished.inventory.cpi.user,
        password=bosh.account_password(site).secret,
    )
    for key, granted in privileges.SCOPES.items():
        yield Role(id=role_id(key), phase=PHASE, at=at, privileges=granted)
    for path, key, propagate, lies_on in _scopes(site):
        within, after = lies_on
        yield Permission(
            id=resource_id(Permission.kind, path),
            phase=PHASE,
            at=at,
            within=within,
            after=after | {ACCOUNT, role_id(key)},
            principal=wished.cpi_account(),
            role=role.name(site.name, key),
            propagate=propagate,
        )
    for store, hosts in _datastores(site).items():
        yield Permission(
            id=resource_id(Permission.kind, f"{wished.inventory.datacenter}/datastore/{store}"),
            phase=PHASE,
            at=at,
            # One that a single host brings along leaves vCenter with that host, and what stands on it goes too.
            within=host_id(*hosts) if len(hosts) == 1 else datacenter_id(wished.inventory.datacenter),
            after=frozenset({ACCOUNT, role_id("cpi-folder"), *(host_id(name) for name in hosts)}),
            principal=wished.cpi_account(),
            role=role.name(site.name, "cpi-folder"),
            propagate=False,
            hosts=frozenset(site.fqdn(name) for name in hosts),
        )


_Lies = tuple[ResourceId | None, frozenset[ResourceId]]


def _scopes(site: Site) -> Iterator[tuple[str, str, bool, _Lies]]:
    """Yields path, role, whether it is inherited, and the resource that it lies on.

    Machines are reached through BOSH's folders only: a permission on pool or cluster that is inherited would
    reach vCenter's own machine and the jumpbox, too. A cluster's root pool can have none of its own: what stands
    on the cluster holds for it, inherited or not (vim25 AuthorizationManager, complex entities).
    """
    inventory = settings.of(site).inventory
    place, alone = inventory.datacenter, frozenset[ResourceId]()
    yield "/", "cpi-root", False, (None, alone)
    yield place, "cpi-datacenter", True, (datacenter_id(place), alone)
    for folder in _folders(site):
        yield f"{place}/vm/{folder}", "cpi-folder", True, (folder_id(folder), alone)
    for name, cluster in inventory.clusters.items():
        lies = f"{place}/host/{name}"
        if cluster.resource_pool:
            pool = pool_id(name, cluster.resource_pool)
            yield f"{lies}/Resources/{cluster.resource_pool}", "cpi-folder", False, (pool, alone)
        else:
            yield lies, "cpi-folder", False, (cluster_id(name), alone)


def _hosts(site: Site, cluster: str) -> Iterator[Resource[Any]]:
    wished = settings.of(site)
    place = wished.inventory.datacenter
    # vCenter renames a datastore whose name it has already: vCenter's own host goes first, of whatever cluster, so that
    # it is the same host at every site and in every order.
    members = [name for one in wished.inventory.clusters.values() for name in one.hosts]
    names = sorted(members, key=lambda one: (one != wished.vcenter.on, one))
    kept = {override_id(machine): on for machine, on, _ in _excluded(site, cluster)}
    for name in sorted(wished.inventory.clusters[cluster].hosts):
        host = wished.hosts[name]
        # DRS has nowhere to move a machine to before its override stands, and once it is gone.
        before = {id_ for id_, on in kept.items() if _turn(site, on) < _turn(site, name)}
        if host.licence is not None:
            before.add(licence_id(name))
        yield ClusterHost(
            id=host_id(name),
            phase=PHASE,
            at=endpoints.VCENTER,
            also=(endpoints.host(name),),
            # Not within its cluster: it may be in another one, where it is to be looked for before this one stands.
            within=datacenter_id(place),
            after=frozenset({cluster_id(cluster), host_id(names[0]), *before} - {host_id(name)}),
            name=site.fqdn(name),
            host=name,
            datacenter=place,
            cluster=cluster,
            user=host.login.user,
            password=endpoints.secret(host.login.password),
            vcenter=str(wished.vcenter.address),
            licence=endpoints.secret(host.licence) if host.licence is not None else None,
        )
        yield HostCertificate(
            id=resource_id(HostCertificate.kind, name),
            phase=PHASE,
            at=endpoints.STORE,
            name=name,
            host=endpoints.host(name),
            fingerprint=output(host_id(name), "certificate", str),
        )


def _turn(site: Site, host: str) -> int:
    """Returns when a host joins: vCenter's own first, then the jumpbox's, then all others."""
    return 0 if host == settings.of(site).vcenter.on else 1 if host == site.jumpbox.on else 2


def _excluded(site: Site, cluster: str) -> list[tuple[ResourceId, str, str]]:
    """Returns the machines that DRS of a cluster leaves where they are: their resources, hosts and names."""
    wished = settings.of(site)
    placed = (
        (APPLIANCE, wished.vcenter.on, wished.vcenter.vm_name),
        (endpoints.JUMPBOX, site.jumpbox.on, site.jumpbox.name),
    )
    there = wished.inventory.clusters[cluster]
    return [one for one in placed if there.drs and one[1] in there.hosts]


def _overrides(site: Site, cluster: str) -> Iterator[Resource[Any]]:
    for machine, on, name in _excluded(site, cluster):
        yield VmOverride(
            id=override_id(machine),
            phase=PHASE,
            at=endpoints.VCENTER,
            within=host_id(on),
            machine=machine,
            name=name,
            host=site.fqdn(on),
            datacenter=settings.of(site).inventory.datacenter,
            cluster=cluster,
        )
