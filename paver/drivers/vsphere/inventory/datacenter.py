"""A datacenter, directly below vCenter's root folder."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Refused, Writer
from paver.drivers.vsphere.inventory.entity import Entity, EntityFacts, Found, declared, every, same

FOLDERS = ("hostFolder", "vmFolder", "datastoreFolder", "networkFolder")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Datacenter(Entity[EntityFacts]):
    """A datacenter."""

    kind = "vsphere.datacenter"
    type_name = "Datacenter"
    paths = FOLDERS
    calls = declared(
        create=("CreateDatacenter", "Rename_Task"), update=("Rename_Task",), delete=("Destroy_Task",)
    )

    def lies_in(self, session: Any) -> Any:
        """Returns the root folder."""
        return session.content.rootFolder

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Makes the datacenter."""
        del world
        session.call(parent, "CreateDatacenter", name=self.name)

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Destroys the datacenter; vCenter would take along whatever is in it."""
        del world
        for type_name in ("ClusterComputeResource", "HostSystem", "VirtualMachine"):
            inside = [one for one in every(session, type_name) if _within(session, one, found.ref)]
            if inside:
                raise Refused(
                    f"the datacenter {found.values['name']} is not empty",
                    seen=", ".join(sorted(str(one.values["name"]) for one in inside)[:10]),
                    why="destroying it would take that along, and paver did not make it",
                    do="move it away, then run the same command again",
                )
        session.task(found.ref, "Destroy_Task")


def find(session: Any, name: str) -> Found | None:
    """Returns the datacenter of that name below the root folder."""
    for found in all_of(session):
        if found.values["name"] == name and same(found.values["parent"], session.content.rootFolder):
            return found
    return None


def all_of(session: Any) -> list[Found]:
    """Returns all datacenters."""
    return every(session, "Datacenter", FOLDERS)


def _within(session: Any, one: Found, datacenter: Any) -> bool:
    """Climbs from an entity to its datacenter."""
    parent = one.values["parent"]
    while parent is not None and not same(parent, datacenter):
        parent = session.value(parent, "parent")
    return parent is not None
