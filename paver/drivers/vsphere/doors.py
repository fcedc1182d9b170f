"""The ways into what vSphere has of a site. The hosts need nothing of paver's: they are the last resort."""

from __future__ import annotations

from collections.abc import Iterator

from paver.driver import Door, Root, Secret, ToolDoor
from paver.drivers.vsphere import endpoints, settings
from paver.sitefile.site import Site

ANCHOR = "vmca"
"""The entry of the sealed store that holds the root of vCenter's own authority."""


def doors(site: Site) -> Iterator[Door]:
    """Yields the doors, those that need the least first."""
    iaas = settings.of(site)
    for name, host in iaas.hosts.items():
        yield Door(
            name=name,
            at=f"https://{host.address}/ui",
            user=host.login.user,
            secret=host.login.password.name,
            last_resort=True,
        )
    vcenter = iaas.vcenter
    yield Door(
        name="vCenter appliance",
        at=f"https://{vcenter.fqdn}:5480",
        user="root",
        secret=vcenter.passwords.root.name,
        endpoint=endpoints.VCENTER.name,
    )
    administrator = vcenter.passwords.administrator.name
    yield ToolDoor(
        name="vCenter",
        at=f"https://{vcenter.fqdn}",
        user=vcenter.administrator,
        secret=administrator,
        endpoint=endpoints.VCENTER.name,
        tool="govc",
        exports={
            "GOVC_URL": (f"https://{vcenter.fqdn}/sdk",),
            "GOVC_USERNAME": (vcenter.administrator,),
            "GOVC_PASSWORD": (Secret(administrator),),
            "GOVC_TLS_CA_CERTS": (Root((ANCHOR,)),),
            "GOVC_DATACENTER": (iaas.inventory.datacenter,),
        },
    )
