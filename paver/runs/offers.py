"""What driver and foundation offer beside their wishes, put together: doors and ports. Pure."""

from __future__ import annotations

import dataclasses

from paver.driver import JUMPBOX_ENDPOINT, Door, Driver, Port, ToolDoor
from paver.foundation import doors as foundation_doors
from paver.foundation import ports as foundation_ports
from paver.sitefile.site import Site


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matrix:
    """Who opens a connection to whom.

    Attributes:
        site: the site's name.
        rows: a permission for the firewall each.
    """

    site: str
    rows: tuple[Port, ...]


def doors(site: Site, driver: Driver) -> tuple[Door, ...]:
    """Returns every way into a site: those that need the least first."""
    offered = getattr(driver, "doors", None)
    below = tuple(offered(site)) if offered is not None else ()
    last = (door for door in below if door.last_resort)
    rest = (door for door in below if not door.last_resort)
    return (*last, _jumpbox(site), *rest, *foundation_doors.doors(site))


def tools(site: Site, driver: Driver) -> tuple[str, ...]:
    """Returns the programs that have a way into a site: those for what stands on any IaaS, then the driver's."""
    every = (*foundation_doors.doors(site), *doors(site, driver))
    return tuple(dict.fromkeys(door.tool for door in every if isinstance(door, ToolDoor)))


def ports(site: Site, driver: Driver) -> tuple[Port, ...]:
    """Returns the matrix of a site; no row twice."""
    offered = getattr(driver, "ports", None)
    below = offered(site) if offered is not None else ()
    return tuple(dict.fromkeys((*below, *foundation_ports.ports(site))))


def _jumpbox(site: Site) -> Door:
    return Door(
        name="jumpbox",
        at=f"ssh {site.jumpbox.user}@{site.jumpbox.address}",
        user=site.jumpbox.user,
        endpoint=JUMPBOX_ENDPOINT,
    )
