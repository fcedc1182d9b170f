"""What keeps DRS from moving a VM: its override in the cluster that it is in.

The jumpbox and vCenter's own VM are looked for on the hosts that the site file places them on. DRS, which moves machines
about as soon as hosts share a datastore and vMotion, would have them elsewhere one day, and nothing of the site could be
planned until somebody moves them back. An override bears no mark: it is paver's since the VM is, which bears one. With the
VM it goes, and with the host that takes the VM out of the cluster, so that nothing may move it in between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tenacity

from paver.driver import (
    MARK_KEY,
    Endpoint,
    Facts,
    Mark,
    PaverError,
    Reader,
    Resource,
    ResourceId,
    Verb,
    Writer,
    resource_id,
)
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.inventory import cluster
from paver.drivers.vsphere.inventory.entity import Found, every, same
from paver.drivers.vsphere.inventory.noted import key_of
from paver.transport.vsphere import VsphereFault, describe, new

_CALL = "ReconfigureComputeResource_Task"
_MACHINE = ("config.extraConfig", "runtime.connectionState", "runtime.host")
_LEFT = frozenset({"invalid", "orphaned"})
"""States of a VM that vCenter goes on showing, and that is on its host no more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VmOverrideFacts(Facts):
    """An override as it is.

    Attributes:
        excluded: DRS neither moves nor places the VM.
    """

    excluded: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class VmOverride(Resource[VmOverrideFacts]):
    """An override. The key of its id is that of the resource that the VM was made for.

    Attributes:
        machine: that resource.
        name: the VM's.
        host: the one that it is placed on, as vCenter names it. A lost host may still show the machine of before.
        datacenter: the name of the datacenter.
        cluster: the name of the cluster.
        patience: seconds within which vCenter shows a VM whose host it has just taken in.
        excluded: DRS is to leave the VM alone.
    """

    kind = "vsphere.vm-override"
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset({_CALL}),
        Verb.UPDATE: frozenset({_CALL}),
        Verb.DELETE: frozenset({_CALL}),
    }
    dies_with_parent = True
    unmanaged = frozenset({"machine", "name", "host", "datacenter", "cluster", "patience"})

    machine: ResourceId
    name: str
    host: str
    datacenter: str
    cluster: str
    patience: int = 60
    excluded: bool = True

    def read(self, world: Reader) -> VmOverrideFacts | None:
        """Returns the VM's override, whoever made it."""
        session = world.session(self.at)
        for place in every(session, "ClusterComputeResource", cluster.PATHS):
            for one in _of(place):
                seen = _seen(session, one.key)
                if self._is_it(world, session, seen):
                    return _facts(world, place, one, seen)
        return None

    def foresees(self, world: Reader, facts: VmOverrideFacts | None) -> str:
        """Returns that those of other VMs count again, where the cluster has all of them switched off."""
        del facts
        place = self._place(world.session(self.at))
        return (
            "" if place is None or _count(place) else "switches the cluster's VM overrides on, of all its VMs"
        )

    def create(self, world: Writer) -> None:
        """Makes it, or changes what is there; how far DRS would go by itself stays in it.

        Raises:
            PaverError: if vCenter does not show the VM in the cluster.
        """
        session = world.writing(self.at)
        vm, place = self._shown(world, session)
        there = any(same(one.key, vm) for one in _of(place))
        change = new(
            "ClusterDrsVmConfigSpec",
            # To add one takes the place of what is there, to edit it leaves the rest (vim25 ClusterDrsVmConfigSpec).
            operation="edit" if there else "add",
            info=new("ClusterDrsVmConfigInfo", key=vm, enabled=not self.excluded),
        )
        spec = new("ClusterConfigSpecEx", drsVmConfigSpec=[change])
        if not _count(place):
            spec.drsConfig = new("ClusterDrsConfigInfo", enableVmBehaviorOverrides=True)
        session.task(place.ref, _CALL, spec=spec, modify=True)

    def update(self, world: Writer, facts: VmOverrideFacts, fields: frozenset[str]) -> None:
        """Changes it."""
        del facts, fields
        self.create(world)

    def _place(self, session: Any) -> Found | None:
        return cluster.find(session, self.datacenter, self.cluster)

    def _is_it(self, world: Reader, session: Any, seen: Mapping[str, Any]) -> bool:
        """Tells whether what was read of a VM is of the very one that the site file places."""
        mark = _mark(world, seen)
        hosts = {describe(one.ref): one.values["name"] for one in every(session, "HostSystem")}
        on = seen["runtime.host"]
        return (
            mark is not None
            and mark.id == self.machine
            and on is not None
            and hosts.get(describe(on)) == self.host
        )

    def _shown(self, world: Writer, session: Any) -> tuple[Any, Found]:
        """Returns VM and cluster, once vCenter shows the VM there: it lists what is on a host after it took that in."""

        def look() -> tuple[Any, Found] | None:
            place = self._place(session)
            for vm, seen in session.objects("VirtualMachine", _MACHINE):
                if place is not None and self._is_it(world, session, seen):
                    return vm, place
            return None

        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: found is None),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2),
            stop=tenacity.stop_after_delay(self.patience),
            before_sleep=lambda _: session.forget(),
            retry_error_callback=lambda _: None,
        )
        found: tuple[Any, Found] | None = waiting(look)
        if found is None:
            raise PaverError(
                f"{session.name} shows no {self.name} on {self.host} in the cluster {self.cluster}",
                why=f"no VM there bears the mark of {self.machine}",
                do="see in vCenter where it is, and name its host in the site file, or move it back",
            )
        return found

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"DRS leaves {self.name} on its host"

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[VmOverrideFacts]:
        """Yields the overrides of VMs that bear the site's mark."""
        session = world.session(at)
        for place in every(session, "ClusterComputeResource", cluster.PATHS):
            for one in _of(place):
                facts = _facts(world, place, one, _seen(session, one.key))
                if facts is not None:
                    yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: VmOverrideFacts) -> None:
        """Takes it away."""
        session = world.writing(at)
        place, vm = (session.ref(*facts.address[name].split(":", 1)) for name in ("cluster", "vm"))
        change = new("ClusterDrsVmConfigSpec", operation="remove", removeKey=vm)
        session.task(place, _CALL, spec=new("ClusterConfigSpecEx", drsVmConfigSpec=[change]), modify=True)


def id_of(machine: ResourceId) -> ResourceId:
    """Returns the id of the override of what was made for `machine`."""
    return resource_id(VmOverride.kind, key_of(machine))


def _of(place: Found) -> Iterator[Any]:
    yield from getattr(place.values["configurationEx"], "drsVmConfig", None) or ()


def _count(place: Found) -> bool:
    """Tells whether a cluster goes by its VMs' overrides; it does unless it is told not to (vim25 ClusterDrsConfigInfo)."""
    config = getattr(place.values["configurationEx"], "drsConfig", None)
    return getattr(config, "enableVmBehaviorOverrides", None) is not False


def _seen(session: Any, vm: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = session.values(vm, *_MACHINE)
    except VsphereFault as fault:
        # It has left the inventory since.
        if not fault.is_a("ManagedObjectNotFound"):
            raise
        return dict.fromkeys(_MACHINE)
    return found


def _mark(world: Reader, seen: Mapping[str, Any]) -> Mark | None:
    """Returns the mark of one of the site's machines, None of any other, and of one that is there no more."""
    mark = Mark.loads(marks.values(seen["config.extraConfig"]).get(MARK_KEY))
    if mark is None or mark.site != world.site or str(seen["runtime.connectionState"]) in _LEFT:
        return None
    return world.current(mark)


def _facts(world: Reader, place: Found, override: Any, seen: Mapping[str, Any]) -> VmOverrideFacts | None:
    mark = _mark(world, seen)
    if mark is None:
        return None
    return VmOverrideFacts(
        address={"cluster": describe(place.ref), "vm": describe(override.key)},
        mark=Mark(mark.site, id_of(mark.id), mark.action, complete=True),
        excluded=override.enabled is False and _count(place),
    )
