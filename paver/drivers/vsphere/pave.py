"""The wish of a whole vSphere site: each phase's resources, put together. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import Paved, Resource
from paver.drivers.vsphere import endpoints
from paver.drivers.vsphere.host import pave as hosts
from paver.sitefile.site import Site

PHASES = ("hosts", "jumpbox", "site-services", "vcenter", "inventory")
KINDS: tuple[type[Resource[Any]], ...] = (*hosts.KINDS,)


def pave(site: Site) -> Paved:
    """Returns the wish for `site`."""
    return Paved(
        phases=PHASES,
        outside=frozenset({"hosts", "jumpbox"}),
        resources=(*hosts.resources(site),),
        connectors=endpoints.connectors(site),
        grounds=(*hosts.grounds(site),),
        material=(endpoints.JUMPBOX_KEY,),
        jumpbox=endpoints.MACHINE,
    )
