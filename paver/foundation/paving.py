"""The foundation as a wish: its three phases, put together. Pure."""

from __future__ import annotations

from typing import Any

from paver.driver import JUMPBOX_ENDPOINT, Paved, Resource
from paver.foundation import bucc_phase, handover_phase, places, services_phase
from paver.foundation.wish import Wish
from paver.sitefile.site import Site

KINDS: tuple[type[Resource[Any]], ...] = (*bucc_phase.KINDS, *services_phase.KINDS, *handover_phase.KINDS)
"""Every kind that stands on any IaaS, in creation order."""


def pave(site: Site, under: Paved) -> Paved:
    """Returns the foundation of `site` on what the driver paved.

    Raises:
        ValueError: if the driver names no jumpbox, or calls its endpoint something else.
    """
    if under.jumpbox is None:
        raise ValueError("the driver names no jumpbox")
    if under.jumpbox.name != JUMPBOX_ENDPOINT:
        msg = f"the driver calls the jumpbox's endpoint {under.jumpbox.name}, not {JUMPBOX_ENDPOINT}"
        raise ValueError(msg)
    wish = Wish(site, under, under.jumpbox)
    bucc_phase.add(wish)
    services_phase.add(wish)
    handover_phase.add(wish)
    return Paved(
        resources=tuple(wish.resources),
        connectors=places.connectors(site, under.jumpbox.name),
        grounds=(
            *bucc_phase.grounds(under.jumpbox),
            *services_phase.grounds(site, under.jumpbox),
            *handover_phase.grounds(site, under.jumpbox),
        ),
        material=tuple(wish.material),
    )
