"""The jumpbox, whatever it stands on: how it is reached, and where things lie on it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from paver.driver import JUMPBOX_ENDPOINT, Endpoint, Material, ResourceId, output
from paver.sitefile.site import Site
from paver.transport.machine import MachineConnector

SITES = PurePosixPath("/var/lib/paver/sites")
"""Where each site has a folder of its own there."""
KEY = Material(kind="ssh-key", name="jumpbox", policy="ed25519")
"""Paver's own way into it."""


def endpoint(made_by: ResourceId | None = None) -> Endpoint[Any, Any]:
    """Returns the endpoint, which `made_by` brings into being; for who lives elsewhere, the machine by its name alone."""
    return Endpoint(JUMPBOX_ENDPOINT, provider=made_by)


def connector(site: Site, made_by: ResourceId) -> MachineConnector:
    """Returns how it is reached; `made_by` has its public host keys as the fact `host_keys`."""
    return MachineConnector(
        name=site.jumpbox.hostname,
        address=str(site.jumpbox.address),
        user=site.jumpbox.user,
        key=KEY.secret,
        host_keys=output(made_by, "host_keys", tuple),
    )
