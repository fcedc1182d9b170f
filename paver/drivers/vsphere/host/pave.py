"""Phase `hosts` as a wish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Endpoint, Ground, Resource, ResourceId, resource_id
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host.autostart import Autostart
from paver.drivers.vsphere.host.datastore import Datastore
from paver.drivers.vsphere.host.default_switch import NAME as DEFAULT_SWITCH
from paver.drivers.vsphere.host.default_switch import DefaultSwitch
from paver.drivers.vsphere.host.dns import Dns
from paver.drivers.vsphere.host.ledger_folder import LedgerFolder
from paver.drivers.vsphere.host.licence import Licence
from paver.drivers.vsphere.host.ntp import Ntp
from paver.drivers.vsphere.host.port_group import PortGroup
from paver.drivers.vsphere.host.service import Service
from paver.drivers.vsphere.host.switch import Switch
from paver.sitefile.addresses import is_address
from paver.sitefile.site import Site

PHASE = "hosts"
KINDS: tuple[type[Resource[Any]], ...] = (
    LedgerFolder,
    Licence,
    Datastore,
    Service,
    Switch,
    PortGroup,
    DefaultSwitch,
    Dns,
    Ntp,
)


def resources(site: Site) -> Iterator[Resource[Any]]:
    """Yields what every host of the site needs."""
    for name, host in settings.of(site).hosts.items():
        yield from _host(site, name, host)


def _host(site: Site, name: str, host: settings.Host) -> Iterator[Resource[Any]]:
    at = endpoints.host(name)
    yield Licence(
        id=licence_id(name),
        phase=PHASE,
        at=at,
        ledger_on=host.datastore,
        key=endpoints.secret(host.licence) if host.licence is not None else None,
    )
    yield Datastore(id=datastore_id(name, host.datastore), phase=PHASE, at=at, name=host.datastore)
    ready = frozenset({licence_id(name), datastore_id(name, host.datastore)})
    for key, runs in (("TSM-SSH", host.services.ssh), ("TSM", host.services.shell)):
        yield Service(
            id=resource_id(Service.kind, f"{name}/{key}"),
            phase=PHASE,
            at=at,
            after=ready,
            ledger_on=host.datastore,
            service=key,
            policy="on" if runs else "off",
            running=runs,
        )
    yield from _network(name, host, at, ready)
    if not site.dns_on_jumpbox:
        yield dns(site, name, host, PHASE, ready)
    if not waits_for_time(site):
        yield ntp(site, name, host, PHASE, ready)


def _network(
    name: str, host: settings.Host, at: Endpoint[Any, Any], ready: frozenset[ResourceId]
) -> Iterator[Resource[Any]]:
    for key, switch in host.switches.items():
        if key != DEFAULT_SWITCH:
            yield Switch(
                id=resource_id(Switch.kind, f"{name}/{key}"),
                phase=PHASE,
                at=at,
                after=ready,
                ledger_on=host.datastore,
                name=key,
                uplinks=switch.uplinks,
                mtu=switch.mtu,
            )
    for key, group in host.port_groups.items():
        own = resource_id(Switch.kind, f"{name}/{group.switch}") if group.switch != DEFAULT_SWITCH else None
        yield PortGroup(
            id=port_group_id(name, key),
            phase=PHASE,
            at=at,
            within=own,
            after=ready,
            ledger_on=host.datastore,
            name=key,
            switch=group.switch,
            vlan=group.vlan,
        )
    if DEFAULT_SWITCH in host.switches:
        # The host is managed through this one: it is touched after all the others stand.
        others = (resource_id(Switch.kind, f"{name}/{key}") for key in host.switches if key != DEFAULT_SWITCH)
        groups = (port_group_id(name, key) for key in host.port_groups)
        switch = host.switches[DEFAULT_SWITCH]
        yield DefaultSwitch(
            id=resource_id(DefaultSwitch.kind, name),
            phase=PHASE,
            at=at,
            after=ready | frozenset(others) | frozenset(groups),
            ledger_on=host.datastore,
            uplinks=switch.uplinks,
            mtu=switch.mtu,
        )


def autostart(site: Site, name: str, phase: str) -> Autostart | None:
    """Returns that a host starts its VMs, in the phase of the first that it is to start; None where HA does it."""
    if any(cluster.ha and name in cluster.hosts for cluster in settings.of(site).inventory.clusters.values()):
        return None
    return Autostart(
        id=resource_id(Autostart.kind, name),
        phase=phase,
        at=endpoints.host(name),
        after=ready(site, name),
        ledger_on=settings.of(site).hosts[name].datastore,
        enabled=True,
    )


def dns(site: Site, name: str, host: settings.Host, phase: str, after: frozenset[ResourceId]) -> Dns:
    """Returns a host's name servers; in phase `site-services` where the jumpbox is one."""
    return Dns(
        id=resource_id(Dns.kind, name),
        phase=phase,
        at=endpoints.host(name),
        after=after,
        ledger_on=host.datastore,
        servers=tuple(str(address) for address in site.dns),
        hostname=name,
        domain=site.zone,
    )


def waits_for_time(site: Site) -> bool:
    """Tells whether hosts are told of their time servers in phase `site-services`: once the jumpbox is one, or knows their names."""
    return site.ntp_on_jumpbox or (_by_name(site) and site.dns_on_jumpbox)


def _by_name(site: Site) -> bool:
    """Tells whether a time server is given by its name: from ESXi 7 on a host looks it up as it is told (RackN, esxi-set-ntp)."""
    return not all(is_address(server) for server in site.ntp)


def ntp(site: Site, name: str, host: settings.Host, phase: str, after: frozenset[ResourceId]) -> Ntp:
    """Returns a host's time servers, set after its name servers where they have names."""
    return Ntp(
        id=resource_id(Ntp.kind, name),
        phase=phase,
        at=endpoints.host(name),
        after=after | {resource_id(Dns.kind, name)} if _by_name(site) else after,
        ledger_on=host.datastore,
        servers=site.ntp,
    )


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for, kinds in creation order."""
    late = {Dns: site.dns_on_jumpbox, Ntp: waits_for_time(site)}
    for kind in KINDS:
        for name in settings.of(site).hosts:
            yield Ground(kind, endpoints.host(name), "site-services" if late.get(kind) else PHASE)


def pointed(site: Site) -> frozenset[ResourceId]:
    """Returns the hosts' name servers and time servers, of whatever phase."""
    return frozenset(resource_id(kind.kind, name) for name in settings.of(site).hosts for kind in (Dns, Ntp))


def ready(site: Site, name: str) -> frozenset[ResourceId]:
    """Returns what must stand before something is placed on a host."""
    host = settings.of(site).hosts[name]
    found = {licence_id(name), datastore_id(name, host.datastore)}
    found |= {port_group_id(name, key) for key in host.port_groups}
    if DEFAULT_SWITCH in host.switches:
        found.add(resource_id(DefaultSwitch.kind, name))
    return frozenset(found)


def licence_id(host: str) -> ResourceId:
    """Returns the id of a host's licence."""
    return resource_id(Licence.kind, host)


def datastore_id(host: str, name: str) -> ResourceId:
    """Returns the id of a host's datastore."""
    return resource_id(Datastore.kind, f"{host}/{name}")


def port_group_id(host: str, name: str) -> ResourceId:
    """Returns the id of a host's port group."""
    return resource_id(PortGroup.kind, f"{host}/{name}")
