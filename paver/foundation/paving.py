"""The foundation as a wish: its three phases, put together. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import Paved, Resource
from paver.errors import BadInput
from paver.foundation import bucc_phase, handover_phase, places, services_phase
from paver.foundation.wish import Wish
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (*bucc_phase.KINDS, *services_phase.KINDS, *handover_phase.KINDS)
"""Every kind that stands on any IaaS, in creation order."""


def pave(site: Site, under: Paved) -> Paved:
    """Returns the foundation of `site` on what the driver paved.

    Raises:
        BadInput: if the driver names no jumpbox, or calls its endpoint something else, or leaves out what BOSH needs.
    """
    jumpbox = under.demanded_jumpbox(site.driver)
    for what, there in (
        ("`brought` has no `bucc`", "bucc" in under.brought),
        ("`vm_types` has no `default`", "default" in under.vm_types),
    ):
        if not there:
            raise BadInput(
                f"the driver {site.driver} carries no whole site: {what}",
                why="BUCC is brought to the jumpbox, and BOSH is told what a VM of each type is",
                do="name another driver under iaas.driver\nwho wrote this one: docs/howto/driver.md says what `pave` has to give",
            )
    wish = Wish(site, under, jumpbox)
    bucc_phase.add(wish)
    services_phase.add(wish)
    handover_phase.add(wish)
    return Paved(
        resources=tuple(wish.resources),
        connectors=places.connectors(site, jumpbox.name),
        grounds=(
            *bucc_phase.grounds(jumpbox),
            *services_phase.grounds(site, jumpbox),
            *handover_phase.grounds(site, jumpbox),
        ),
        material=tuple(wish.material),
    )
