"""Phase `vcenter` as a wish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import STORE, Endpoint, Ground, Material, Resource, ResourceId, Secret, output, resource_id
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host import pave as hosts
from paver.drivers.vsphere.vcsa.anchor import Anchor
from paver.drivers.vsphere.vcsa.appliance import Appliance
from paver.drivers.vsphere.vcsa.install import Order
from paver.drivers.vsphere.vcsa.installer import PROGRAM, Installer
from paver.machine.brought import pave as brought
from paver.sitefile.site import Site

PHASE = "vcenter"
KINDS: tuple[type[Resource[Any]], ...] = (Installer, Appliance, Anchor)

APPLIANCE: ResourceId = resource_id(Appliance.kind, "vcenter")
UNPACKED: ResourceId = resource_id(Installer.kind, "vcenter")


def material(site: Site) -> Iterator[Material]:
    """Yields the passwords of the appliance."""
    names = settings.of(site).vcenter.passwords
    for name, where in (
        (names.root.name, "on the appliance (`passwd`, or port 5480)"),
        (names.administrator.name, "in vCenter, logged in with the present one (Change Password)"),
    ):
        yield Material(kind="password", name=name, policy="vcenter", by_hand=where)


def passwords(site: Site) -> tuple[Secret, Secret]:
    """Returns the references to root's and the administrator's password."""
    root, administrator = material(site)
    return root.secret, administrator.secret


def resources(site: Site, after: frozenset[ResourceId]) -> Iterator[Resource[Any]]:
    """Yields the installer, the appliance and its root; `after` is what must serve before (DNS, time)."""
    iaas = settings.of(site)
    wish = iaas.vcenter
    host = iaas.hosts[wish.on]
    at = endpoints.host(wish.on)
    network = site.networks[settings.vcenter_network(site)]
    root, administrator = passwords(site)
    autostart = hosts.autostart(site, wish.on, PHASE)
    if autostart is not None:
        after |= {autostart.id}
        if site.jumpbox.on != wish.on:
            yield autostart
    program: Any = f"{wish.installer.tree}/{PROGRAM}"
    if wish.installer.iso is not None:
        yield from _unpacked(wish.installer.iso, wish.installer.sha256, at)
        program = output(UNPACKED, "program", str)
    yield Appliance(
        id=APPLIANCE,
        phase=PHASE,
        at=at,
        also=(endpoints.MACHINE,),
        after=hosts.ready(site, wish.on) | after,
        program=program,
        sha256=wish.installer.sha256,
        version=wish.version,
        order=Order(
            host=str(host.address),
            user=host.login.user,
            port_group=network.port_group or "",
            datastore=wish.datastore or host.datastore,
            thin=wish.thin,
            prefix=network.cidr.prefixlen,
            gateway=str(network.gateway),
            dns=tuple(str(server) for server in site.network_dns(settings.vcenter_network(site))),
            ntp=site.ntp,
            ssh=wish.ssh,
            sso_domain=wish.sso_domain,
        ),
        host_password=endpoints.secret(host.login.password),
        ledger_on=host.datastore,
        time_limit=int(wish.timeout.total_seconds()),
        elsewhere=tuple(endpoints.host(name) for name in iaas.hosts if name != wish.on),
        name=wish.vm_name,
        ip=str(wish.address),
        fqdn=wish.fqdn,
        size=wish.size,
        autostart=None if autostart is None else True,
        root_password=root,
        administrator_password=administrator,
    )
    yield Anchor(
        id=endpoints.VMCA,
        phase=PHASE,
        at=STORE,
        also=(at,),
        within=APPLIANCE,
        host=at,
        vm=wish.vm_name,
        root_password=root,
    )


def _unpacked(iso: str, sha256: str | None, host: Endpoint[Any, Any]) -> Iterator[Resource[Any]]:
    """Yields the unpacked installer; an ISO beside the site file is brought to the jumpbox first."""
    source: Any = iso
    if not iso.startswith(settings.ELSEWHERE):
        yield from brought.resources("installer", iso, phase="jumpbox", at=endpoints.MACHINE)
        source = output(brought.artefact("installer"), "path", str)
    yield Installer(
        id=UNPACKED,
        phase=PHASE,
        at=endpoints.MACHINE,
        within=endpoints.JUMPBOX,
        source=source,
        sha256=sha256,
        host=host,
    )


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for."""
    yield Ground(Installer, endpoints.MACHINE, PHASE)
    for name in settings.of(site).hosts:
        yield Ground(Appliance, endpoints.host(name), PHASE, also=(endpoints.MACHINE,))
    yield Ground(Anchor, STORE, PHASE)
