"""DNS and time of a site as a wish: served by the jumpbox where the site file says so, else asked of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import Endpoint, Ground, Resource, ResourceId, resource_id
from paver.machine.site_services.clock import ClockFollows
from paver.machine.site_services.dns import SiteDns
from paver.machine.site_services.outside import NamesKnown, TimeTold
from paver.machine.site_services.probe import Record
from paver.machine.site_services.time import SiteNtp
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (SiteDns, SiteNtp, NamesKnown, TimeTold, ClockFollows)

DNS: ResourceId = resource_id(SiteDns.kind, "jumpbox")
NTP: ResourceId = resource_id(SiteNtp.kind, "jumpbox")
NAMES: ResourceId = resource_id(NamesKnown.kind, "site")
TIME: ResourceId = resource_id(TimeTold.kind, "site")
CLOCK: ResourceId = resource_id(ClockFollows.kind, "jumpbox")


def resources(
    site: Site, records: tuple[Record, ...], *, phase: str, at: Endpoint[Any, Any]
) -> Iterator[Resource[Any]]:
    """Yields DNS and time.

    Args:
        site: whose they are.
        records: every machine of the site that has a name, with its address, sorted.
        phase: of the driver.
        at: the jumpbox.
    """
    listens = str(site.jumpbox.address)
    if site.dns_on_jumpbox:
        yield SiteDns(
            id=DNS,
            phase=phase,
            at=at,
            within=at.provider,
            zone=site.zone,
            listens=listens,
            records=records,
            forwarders=tuple(str(address) for address in site.site_services.forwarders),
        )
    else:
        yield NamesKnown(
            id=NAMES,
            phase=phase,
            at=at,
            servers=tuple(str(address) for address in site.dns),
            records=records,
        )
    if site.ntp_on_jumpbox:
        yield SiteNtp(
            id=NTP,
            phase=phase,
            at=at,
            within=at.provider,
            listens=listens,
            allowed=tuple(sorted(str(network.cidr) for network in site.networks.values())),
        )
    else:
        yield TimeTold(id=TIME, phase=phase, at=at, servers=site.ntp)
        yield ClockFollows(
            id=CLOCK,
            phase=phase,
            at=at,
            within=at.provider,
            after=frozenset({TIME}),
            servers=tuple(map(str, site.ntp)),
        )


def grounds(phase: str, at: Endpoint[Any, Any]) -> Iterator[Ground]:
    """Yields where orphans of these kinds are looked for."""
    yield Ground(SiteDns, at, phase)
    yield Ground(SiteNtp, at, phase)
    yield Ground(ClockFollows, at, phase)
