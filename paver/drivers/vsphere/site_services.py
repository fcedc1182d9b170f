"""Phase `site-services` as a wish: DNS and time, and the hosts that are pointed to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Ground, Resource, ResourceId
from paver.drivers.vsphere import endpoints, settings
from paver.drivers.vsphere.host import pave as hosts
from paver.machine.site_services import pave as services
from paver.machine.site_services.probe import Record
from paver.sitefile.site import Site

PHASE = "site-services"
KINDS = services.KINDS


def records(site: Site) -> tuple[Record, ...]:
    """Returns every machine of the site that has a name, with its address, by name."""
    machines = (*site.machines(), *settings.of(site).machines(site.zone))
    return tuple(sorted((one.fqdn, str(one.address)) for one in machines if one.fqdn is not None))


def resources(site: Site) -> Iterator[Resource[Any]]:
    """Yields DNS and time, and the hosts that are pointed to them once they answer."""
    yield from services.resources(site, records(site), phase=PHASE, at=endpoints.MACHINE)
    for name, host in settings.of(site).hosts.items():
        if site.dns_on_jumpbox:
            yield hosts.dns(site, name, host, PHASE, hosts.ready(site, name) | {services.DNS})
        if hosts.waits_for_time(site):
            served = {services.NTP} if site.ntp_on_jumpbox else set[ResourceId]()
            yield hosts.ntp(site, name, host, PHASE, hosts.ready(site, name) | served)


def served(site: Site) -> frozenset[ResourceId]:
    """Returns what must stand before anything depends on names and time: the servers, and the hosts that ask them."""
    made = frozenset(resource.id for resource in resources(site))
    return made | hosts.pointed(site)


def grounds(site: Site) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for."""
    del site
    yield from services.grounds(PHASE, endpoints.MACHINE)
