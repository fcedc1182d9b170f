"""The endpoints of a vSphere site, and how each is reached. Pure: nothing here connects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paver.driver import STORE, Connector, Endpoint, ResourceId, Secret, resource_id
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.host import reading
from paver.machine import jumpbox
from paver.machine.brought.files import FILES, Files
from paver.sitefile import SecretRef
from paver.sitefile.site import Site
from paver.transport.vsphere import VsphereConnector

__all__ = [
    "APPLIANCE",
    "FILES",
    "JUMPBOX",
    "MACHINE",
    "STORE",
    "VCENTER",
    "VMCA",
    "connectors",
    "host",
    "secret",
]

JUMPBOX: ResourceId = resource_id("vsphere.jumpbox", "jumpbox")
VMCA: ResourceId = resource_id("vsphere.anchor", "vmca")

MACHINE: Endpoint[Any, Any] = jumpbox.endpoint(JUMPBOX)
VCENTER: Endpoint[Any, Any] = Endpoint("vcenter", provider=VMCA)
APPLIANCE: Endpoint[Any, Any] = Endpoint("vcenter-appliance", provider=VMCA)
"""The appliance's own REST API."""

HOST_WANTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("HostSystem", ("name", *reading.AT_FIRST)),
    ("Datastore", ("name", "browser", "summary.accessible", "summary.freeSpace", "summary.type")),
    ("VirtualMachine", ("name", "config.extraConfig", "config.files.vmPathName", "runtime.powerState")),
)
"""What reading a host fetches in one call; its time, firewall and services follow where somebody asks for them."""


def host(name: str) -> Endpoint[Any, Any]:
    """Returns the endpoint of a host."""
    return Endpoint(f"host:{name}")


def shown_certificate(name: str) -> str:
    """Returns the sealed store's entry with the certificate that a host got from vCenter."""
    return f"host-{name}-certificate"


def secret(reference: SecretRef) -> Secret:
    """Returns a reference of the site file as the engine's."""
    return Secret(reference.name)


def connectors(site: Site) -> Mapping[str, Connector]:
    """Returns how every endpoint of the site is reached."""
    iaas = settings.of(site)
    found: dict[str, Connector] = {
        host(name).name: VsphereConnector(
            name=name,
            address=str(one.address),
            user=one.login.user,
            password=secret(one.login.password),
            pins=(one.fingerprint,),
            # A host that was added to vCenter has a new certificate, of vCenter's authority; it keeps that
            # one when vCenter is gone.
            roots=("vmca",),
            shown=(shown_certificate(name),),
            server_name=site.fqdn(name),
            wants=HOST_WANTS,
        )
        for name, one in iaas.hosts.items()
    }
    found[FILES.name] = Files(site.folder)
    found[MACHINE.name] = jumpbox.connector(site, JUMPBOX)
    return found
