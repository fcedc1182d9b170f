"""A folder for virtual machines: BOSH's VMs and its stemcells."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from paver.driver import Refused, Writer
from paver.drivers.vsphere.inventory import datacenter
from paver.drivers.vsphere.inventory.entity import Entity, EntityFacts, Found, declared, every, same
from paver.transport.vsphere import describe

_DIRECTOR = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Where a cluster has a resource pool, BOSH's CPI makes a folder in it for each director, named by the director's id,
and never deletes one (bosh-vsphere-cpi-release, `datacenter_use_sub_folder`)."""


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
    def machines(cls, session: Any, ref: str) -> list[str]:
        """Returns the names of the machines in the folder, and in those that BOSH's CPI made in it."""
        folders = every(session, "Folder")
        inside = {
            ref,
            *(
                describe(one.ref)
                for one in folders
                if one.values["parent"] is not None and describe(one.values["parent"]) == ref
            ),
        }
        return [
            str(one.values["name"])
            for one in every(session, "VirtualMachine")
            if one.values["parent"] is not None and describe(one.values["parent"]) in inside
        ]

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Destroys the folder; vCenter would destroy the VMs in it, disks included."""
        del world
        folders = every(session, "Folder")
        directors = [
            one
            for one in folders
            if same(one.values["parent"], found.ref) and _DIRECTOR.fullmatch(str(one.values["name"]))
        ]
        places = [found.ref, *(one.ref for one in directors)]
        inside = [
            str(one.values["name"])
            for one in (*every(session, "VirtualMachine"), *folders)
            if one not in directors and any(same(one.values["parent"], place) for place in places)
        ]
        if inside:
            raise Refused(
                f"the folder {found.values['name']} is not empty",
                seen=", ".join(sorted(inside)[:10]),
                why="destroying it would destroy that as well, disks included",
                do="delete it by BOSH, or move it away, then run the same command again",
            )
        session.task(found.ref, "Destroy_Task")
