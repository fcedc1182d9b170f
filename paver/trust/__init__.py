"""Trust: authorities, certificates, key pairs and passwords as resources, sealed as they are made."""

from __future__ import annotations

from paver.driver import Material, Paved
from paver.sitefile.site import Site

PHASES = ("trust",)


def pave(site: Site, material: tuple[Material, ...]) -> Paved:
    """Returns the resources that make `material`."""
    from paver.trust import paving  # noqa: PLC0415 - cryptography is slow to import

    return paving.pave(site, material)
