"""The wish of a whole vSphere site: each phase's resources, put together. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Paved, Resource
from paver.drivers.vsphere import endpoints, site_services
from paver.drivers.vsphere.host import pave as hosts
from paver.drivers.vsphere.inventory import pave as inventory
from paver.drivers.vsphere.jumpbox import pave as jumpbox
from paver.drivers.vsphere.vcsa import pave as vcsa
from paver.machine import jumpbox as machine
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (
    *hosts.KINDS,
    *jumpbox.KINDS,
    *site_services.KINDS,
    *vcsa.KINDS,
    *inventory.KINDS,
)


def pave(site: Site) -> Paved:
    """Returns the wish for `site`."""
    above = inventory.pave(site)
    return dataclasses.replace(
        above,
        outside=frozenset({"hosts", "jumpbox"}),
        resources=(
            *hosts.resources(site),
            *jumpbox.resources(site),
            *site_services.resources(site),
            *vcsa.resources(site, site_services.served(site)),
            *above.resources,
        ),
        connectors={**endpoints.connectors(site), **above.connectors},
        grounds=(
            *hosts.grounds(site),
            *jumpbox.grounds(site),
            *site_services.grounds(site),
            *vcsa.grounds(site),
            *above.grounds,
        ),
        material=(*dict.fromkeys((machine.KEY, *vcsa.material(site), *above.material)),),
        jumpbox=endpoints.MACHINE,
        brought={"bucc": jumpbox.BUCC},
    )
