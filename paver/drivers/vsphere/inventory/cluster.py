"""A cluster of hosts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Refused, Writer
from paver.drivers.vsphere.inventory import datacenter, retreat
from paver.drivers.vsphere.inventory.entity import Entity, EntityFacts, Found, declared, every, same
from paver.transport.vsphere import new

PATHS = ("configurationEx", "host", "resourcePool")
_BEHAVIOUR, _ADVISES = "fullyAutomated", "manual"
"""Of DRS. One that only advises starts no machine that it is asked to start, and BOSH's CPI gives up: "Recommendations were
detected, you may be running in Manual DRS mode" (bosh-vsphere-cpi-release, vcenter_client.rb). It counts as none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterFacts(EntityFacts):
    """A cluster as it is; without values where it was only begun."""

    drs: bool | None = None
    ha: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster(Entity[ClusterFacts]):
    """A cluster.

    Attributes:
        datacenter: the name of the datacenter that it lies in.
        drs: vCenter spreads VMs over the hosts by itself; resource pools need it.
        ha: VMs of a failed host are started on another one.
    """

    kind = "vsphere.cluster"
    type_name = "ClusterComputeResource"
    facts_type = ClusterFacts
    paths = PATHS
    unmanaged = frozenset({"datacenter"})
    calls = declared(
        create=("CreateClusterEx", "ReconfigureComputeResource_Task", "Rename_Task", *retreat.CALLS),
        update=("ReconfigureComputeResource_Task", "Rename_Task", *retreat.CALLS),
        delete=("Destroy_Task",),
    )

    datacenter: str
    drs: bool
    ha: bool

    def lies_in(self, session: Any) -> Any:
        """Returns the datacenter's folder of hosts."""
        found = datacenter.find(session, self.datacenter)
        return found.values["hostFolder"] if found is not None else None

    @classmethod
    def values(cls, session: Any, found: Found) -> Mapping[str, Any]:
        """Returns name, DRS and HA; DRS that a retreat keeps from doing anything counts as none."""
        drs = _drs(found) and not retreat.stops_drs(session, found.ref)
        return {"name": found.values["name"], "drs": drs, "ha": _ha(found)}

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Makes the cluster."""
        del world
        spec = new(
            "ClusterConfigSpecEx",
            dasConfig=new("ClusterDasConfigInfo", enabled=self.ha),
            drsConfig=new("ClusterDrsConfigInfo", enabled=self.drs, defaultVmBehavior=_BEHAVIOUR),
        )
        session.call(parent, "CreateClusterEx", name=self.name, spec=spec)

    def change(self, world: Writer, session: Any, found: Found) -> None:
        """Sets DRS and HA; also after making it, since not all that a new cluster is given need hold.

        What is as it should be is not sent: DRS that is switched off takes the resource pools along, and how far one that
        starts machines goes by itself is its owner's.
        """
        del world
        spec = new("ClusterConfigSpecEx")
        if _ha(found) != self.ha:
            spec.dasConfig = new("ClusterDasConfigInfo", enabled=self.ha)
        if _drs(found) != self.drs:
            spec.drsConfig = new("ClusterDrsConfigInfo", enabled=self.drs)
            if self.drs and _behaviour(found) in {None, _ADVISES}:
                spec.drsConfig.defaultVmBehavior = _BEHAVIOUR
        if spec.dasConfig is not None or spec.drsConfig is not None:
            session.task(found.ref, "ReconfigureComputeResource_Task", spec=spec, modify=True)
        if self.drs and retreat.stops_drs(session, found.ref):
            retreat.end(session, found.ref)

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Destroys the cluster; vCenter would drop its hosts with it."""
        del world
        if found.values["host"]:
            inside = [one for one in every(session, "HostSystem") if same(one.values["parent"], found.ref)]
            raise Refused(
                f"the cluster {found.values['name']} is not empty",
                seen=", ".join(sorted(str(one.values["name"]) for one in inside)[:10]),
                why="destroying it would drop its hosts, and paver did not add them",
                do="move them away, then run the same command again",
            )
        session.task(found.ref, "Destroy_Task")

    def says(self) -> str:
        """Returns what a plan shows."""
        switched = [label for label, on in (("DRS", self.drs), ("HA", self.ha)) if on]
        return " and ".join(switched) if switched else "without DRS and HA"


def find(session: Any, datacenter_name: str, name: str) -> Found | None:
    """Returns the cluster of that name in a datacenter."""
    place = datacenter.find(session, datacenter_name)
    if place is None:
        return None
    for found in every(session, "ClusterComputeResource", PATHS):
        if found.values["name"] == name and same(found.values["parent"], place.values["hostFolder"]):
            return found
    return None


def _drs(found: Found) -> bool:
    config = getattr(found.values["configurationEx"], "drsConfig", None)
    return bool(config is not None and config.enabled and _behaviour(found) != _ADVISES)


def _behaviour(found: Found) -> str | None:
    config = getattr(found.values["configurationEx"], "drsConfig", None)
    return None if config is None or config.defaultVmBehavior is None else str(config.defaultVmBehavior)


def _ha(found: Found) -> bool:
    config = getattr(found.values["configurationEx"], "dasConfig", None)
    return bool(config is not None and config.enabled)
