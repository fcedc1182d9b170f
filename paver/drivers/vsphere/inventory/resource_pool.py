"""A resource pool of a cluster, into which BOSH's VMs are put."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Refused, Writer
from paver.drivers.vsphere.inventory import cluster
from paver.drivers.vsphere.inventory.entity import Entity, EntityFacts, Found, declared, every, same
from paver.transport.vsphere import describe, new


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResourcePool(Entity[EntityFacts]):
    """A resource pool directly below the cluster's root pool.

    Attributes:
        datacenter: the name of the datacenter.
        cluster: the name of the cluster.
    """

    kind = "vsphere.resource-pool"
    type_name = "ResourcePool"
    unmanaged = frozenset({"datacenter", "cluster"})
    calls = declared(
        create=("CreateResourcePool", "Rename_Task"), update=("Rename_Task",), delete=("Destroy_Task",)
    )

    datacenter: str
    cluster: str

    def lies_in(self, session: Any) -> Any:
        """Returns the cluster's root pool."""
        found = cluster.find(session, self.datacenter, self.cluster)
        return found.values["resourcePool"] if found is not None else None

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Makes the pool, without limits or reservations."""
        del world
        spec = new("ResourceConfigSpec", cpuAllocation=_unlimited(), memoryAllocation=_unlimited())
        session.call(parent, "CreateResourcePool", name=self.name, spec=spec)

    @classmethod
    def machines(cls, session: Any, ref: str) -> list[str]:
        """Returns the names of the machines in the pool."""
        return [
            str(values["name"])
            for _, values in session.objects("VirtualMachine", ("name", "resourcePool"))
            if values["resourcePool"] is not None and describe(values["resourcePool"]) == ref
        ]

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Destroys the pool; vCenter would move what is in it up into the root pool."""
        del world
        inside = cls.machines(session, describe(found.ref))
        inside += [
            str(one.values["name"])
            for one in every(session, "ResourcePool")
            if same(one.values["parent"], found.ref)
        ]
        if inside:
            raise Refused(
                f"the resource pool {found.values['name']} is not empty",
                seen=", ".join(sorted(inside)[:10]),
                do="delete it by BOSH, or move it away, then run the same command again",
            )
        session.task(found.ref, "Destroy_Task")


def _unlimited() -> Any:
    return new(
        "ResourceAllocationInfo",
        reservation=0,
        limit=-1,
        expandableReservation=True,
        shares=new("SharesInfo", shares=0, level="normal"),
    )
