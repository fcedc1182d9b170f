"""What stands on any IaaS: director, deployments, CredHub, Concourse, object store, registry, contract."""

from __future__ import annotations

from paver.driver import Paved
from paver.sitefile.site import Site

PHASES = ("bucc", "services", "handover")


def pave(site: Site, under: Paved) -> Paved:
    """Returns the resources of the phases above the driver's."""
    from paver.foundation import paving  # noqa: PLC0415 - its sessions are slow to import

    return paving.pave(site, under)
