"""A folder for virtual machines: BOSH's VMs and its stemcells."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Refused, Writer
from paver.drivers.vsphere.inventory import datacenter
from paver.drivers.vsphere.inventory.entity import Entity, EntityFacts, Found, declared, every, same


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder(Entity[EntityFacts]):
    """A folder directly below the datacenter's VMs.

    Attributes:
        datacenter: the name of the datacenter.
    """

    kind = "vsphere.folder"
    type_name = "Folder"
    unmanaged = frozenset({"datacenter"})
    calls = declared(
        create=("CreateFolder", "Rename_Task"), update=("Rename_Task",), delete=("Destroy_Task",)
    )

    datacenter: str

    def lies_in(self, session: Any) -> Any:
        """Returns the datacenter's folder of VMs."""
        found = datacenter.find(session, self.datacenter)
        return found.values["vmFolder"] if found is not None else None

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Makes the folder."""
        del world
        session.call(parent, "CreateFolder", name=self.name)

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Destroys the folder; vCenter would destroy the VMs in it, disks included."""
        del world
        inside = [
            str(one.values["name"])
            for type_name in ("VirtualMachine", "Folder")
            for one in every(session, type_name)
            if same(one.values["parent"], found.ref)
        ]
        if inside:
            raise Refused(
                f"the folder {found.values['name']} is not empty",
                seen=", ".join(sorted(inside)[:10]),
                why="destroying it would destroy that as well, disks included",
                do="delete it by BOSH, or move it away, then run the same command again",
            )
        session.task(found.ref, "Destroy_Task")
