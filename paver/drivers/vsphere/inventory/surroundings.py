"""What lies around BOSH's acts: all that vCenter shows, by name and place, listed before and after them.

The CPI makes VMs, templates and its directors' folders below BOSH's own folders, and nothing else; anything that comes
or goes elsewhere was not declared. What vCenter makes by itself, whenever it wants to, is not listed.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from paver.driver import Reader
from paver.drivers.vsphere import settings
from paver.drivers.vsphere.endpoints import VCENTER
from paver.sitefile.site import Site
from paver.transport.vsphere import describe

_LISTED = {
    "VirtualMachine": "VM",
    "Folder": "folder",
    "ResourcePool": "resource pool",
    "Network": "network",
    "Datastore": "datastore",
    "HostSystem": "host",
    "ClusterComputeResource": "cluster",
    "Datacenter": "datacenter",
}
_BY_ITSELF = re.compile(r"/vCLS(/|$)|/vCLS-[0-9a-f-]+$")
"""The agents of vSphere's cluster services, and their folder: vCenter makes and unmakes them."""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """All of a vCenter; `makes` are patterns of what may come and go in it, `vms` that of BOSH's machines."""

    makes: tuple[str, ...]
    vms: str

    def look(self, world: Reader) -> frozenset[str]:
        """Returns each thing as `VM /north/vm/BOSH_VMs/vm-1`."""
        session = world.session(VCENTER)
        session.forget()
        found: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for type_name, word in _LISTED.items():
            for ref, values in session.objects(type_name, ("name", "parent")):
                found[describe(ref)] = word, values

        def path(values: Mapping[str, Any]) -> str:
            above = found.get(describe(values["parent"])) if values["parent"] is not None else None
            return f"{path(above[1]) if above is not None else ''}/{values['name']}"

        named = (f"{word} {path(values)}" for word, values in found.values())
        return frozenset(name for name in named if not _BY_ITSELF.search(name))

    def machines(self, world: Reader) -> frozenset[str]:
        """Returns all VMs in the CPI's folder of VMs, however deep."""
        return frozenset(fnmatch.filter(self.look(world), self.vms))


def of(site: Site) -> Inventory:
    """Returns what lies around the acts of a site's BOSH: its CPI works in the site's folders alone."""
    wished = settings.of(site).inventory
    below = tuple(
        f"*/{wished.datacenter}/vm/{folder}/*"
        for folder in dict.fromkeys((wished.folders.vms, wished.folders.templates))
    )
    makes = tuple(f"{word} {place}" for place in below for word in ("VM", "folder"))
    return Inventory(makes, vms=makes[0])
