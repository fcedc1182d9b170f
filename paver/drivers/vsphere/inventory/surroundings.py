"""What lies around BOSH's acts: all that vCenter shows, by name and place, listed before and after them.

The CPI makes VMs, stemcells and its directors' folders below BOSH's own folders, and nothing else; anything that comes
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
from paver.drivers.vsphere.host.datastore import content, may_be
from paver.drivers.vsphere.inventory import bosh, datacenter, stores
from paver.sitefile.site import Site
from paver.transport.vsphere import VsphereFault, describe

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
_DISK = ".vmdk"
_PARTS = ("-flat", "-ctk")
"""What a disk's blocks, and the record of those that changed, are called beside it."""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """All of a vCenter.

    Attributes:
        makes: patterns of what may come and go in it.
        vms: that of BOSH's machines.
        datacenter: in which BOSH works.
        disks_in: the directory of its persistent disks.
        datastores: what its hosts call those on which it lies.
    """

    makes: tuple[str, ...]
    vms: str
    datacenter: str
    disks_in: str
    datastores: tuple[str, ...]

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

    def disks(self, world: Reader) -> frozenset[str]:
        """Returns each disk in the CPI's folder as `[datastore1] BOSH_Disks/disk-1`, on whatever datastore.

        One of BOSH's into which nobody can look is named too: what is not seen must not count as absent.
        """
        session = world.session(VCENTER)
        session.forget()
        place = datacenter.find(session, self.datacenter)
        found = set[str]()
        for store in stores.all_of(session, place) if place is not None else ():
            folder = f"[{store.values['name']}] {self.disks_in}"
            try:
                names = content(session, store.values["browser"], store.values["name"], self.disks_in)
            except VsphereFault as fault:
                if not stores.hidden(fault):
                    raise
                if any(may_be(name, store.values["name"]) for name in self.datastores):
                    found.add(f"{folder}: no host shows it at the moment")
                continue
            disks = (name.removesuffix(_DISK) for name in names or () if name.endswith(_DISK))
            found |= {f"{folder}/{disk}" for disk in disks if not disk.endswith(_PARTS)}
        return frozenset(found)


def of(site: Site) -> Inventory:
    """Returns what lies around the acts of a site's BOSH: its CPI works in the site's folders alone."""
    wished = settings.of(site).inventory
    below = tuple(
        f"*/{wished.datacenter}/vm/{folder}/*"
        for folder in dict.fromkeys((wished.folders.vms, wished.folders.templates))
    )
    makes = tuple(f"{word} {place}" for place in below for word in ("VM", "folder"))
    return Inventory(
        makes,
        vms=makes[0],
        datacenter=wished.datacenter,
        disks_in=wished.folders.disks,
        datastores=bosh.datastores(site),
    )
