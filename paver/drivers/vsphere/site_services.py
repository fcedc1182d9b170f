"""Phase `site-services` as a wish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Ground, Resource, ResourceId, resource_id
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host import pave as hosts
from paver.machine.site_services.dns import SiteDns
from paver.machine.site_services.outside import NamesKnown, TimeTold
from paver.machine.site_services.probe import Record
from paver.machine.site_services.time import SiteNtp
from paver.sitefile.site import Site

PHASE = "site-services"
KINDS: tuple[type[Resource[Any]], ...] = (SiteDns, SiteNtp, NamesKnown, TimeTold)

DNS: ResourceId = resource_id(SiteDns.kind, "jumpbox")
NTP: ResourceId = resource_id(SiteNtp.kind, "jumpbox")
NAMES: ResourceId = resource_id(NamesKnown.kind, "site")
TIME: ResourceId = resource_id(TimeTold.kind, "site")


def records(site: Site) -> tuple[Record, ...]:
    """Returns every machine of the site that has a name, with its address, by name."""
    machines = (*site.machines(), *settings.of(site).machines(site.zone))
    return tuple(sorted((one.fqdn, str(one.address)) for one in machines if one.fqdn is not None))


def resources(site: Site) -> Iterator[Resource[Any]]:
    """Yields DNS and time, and the hosts that are pointed to them once they answer."""
    listens = str(site.jumpbox.address)
    if site.dns_on_jumpbox:
        yield SiteDns(
            id=DNS,
            phase=PHASE,
            at=endpoints.MACHINE,
            within=endpoints.JUMPBOX,
            zone=site.zone,
            listens=listens,
            records=records(site),
            forwarders=tuple(str(address) for address in site.site_services.forwarders),
        )
    else:
        yield NamesKnown(
            id=NAMES,
            phase=PHASE,
            at=endpoints.MACHINE,
            servers=tuple(str(address) for address in site.dns),
            records=records(site),
        )
    if site.ntp_on_jumpbox:
        yield SiteNtp(
            id=NTP,
            phase=PHASE,
            at=endpoints.MACHINE,
            within=endpoints.JUMPBOX,
            listens=listens,
            allowed=tuple(sorted(str(network.cidr) for network in site.networks.values())),
        )
    else:
        yield TimeTold(id=TIME, phase=PHASE, at=endpoints.MACHINE, servers=site.ntp)
    for name, host in settings.of(site).hosts.items():
        if site.dns_on_jumpbox:
            yield hosts.dns(site, name, host, PHASE, hosts.ready(site, name) | {DNS})
        if site.ntp_on_jumpbox:
            yield hosts.ntp(site, name, host, PHASE, hosts.ready(site, name) | {NTP})


def served(site: Site) -> frozenset[ResourceId]:
    """Returns what must stand before anything depends on names and time: the servers, and the hosts that ask them."""
    made = frozenset(resource.id for resource in resources(site))
    return made | hosts.pointed(site)


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for."""
    del site
    yield Ground(SiteDns, endpoints.MACHINE, PHASE)
    yield Ground(SiteNtp, endpoints.MACHINE, PHASE)
