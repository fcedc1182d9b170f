"""A port group of a standard switch."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Facts, Mark, Reader
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.host import in_use, own_path, reading
from paver.drivers.vsphere.host.setting import Values
from paver.drivers.vsphere.host.thing import HostThing
from paver.transport.vsphere import new


@dataclasses.dataclass(frozen=True, kw_only=True)
class PortGroupFacts(Facts):
    """A port group as it is; without values where it was only begun."""

    switch: str | None = None
    vlan: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PortGroup(HostThing[PortGroupFacts]):
    """A port group.

    Attributes:
        switch: the switch that it is on.
        vlan: 0 is untagged, 4095 hands all to the guest.
    """

    kind = "vsphere.port-group"
    calls = ledger.calls(
        create=("AddPortGroup", "UpdatePortGroup"), update=("UpdatePortGroup",), delete=("RemovePortGroup",)
    )
    replaces = frozenset({"switch"})

    switch: str
    vlan: int

    @classmethod
    def look(cls, session: Any, name: str) -> Values | None:
        """Returns the port group as it is."""
        found = reading.named(session, reading.PORT_GROUPS, name, field="spec.name")
        if found is None:
            return None
        return {"switch": found.spec.vswitchName, "vlan": int(found.spec.vlanId or 0)}

    @classmethod
    def facts(cls, values: Values | None, name: str, mark: Mark | None) -> PortGroupFacts:
        """Returns the facts of what `look` saw."""
        return PortGroupFacts(address={"name": name}, mark=mark, **(values or {}))

    def make(self, session: Any) -> None:
        """Adds the port group; its policy is the switch's."""
        system = reading.manager(session, "networkSystem")
        session.call(system, "AddPortGroup", portgrp=self._spec(new("HostNetworkPolicy")))

    def change(self, session: Any, differs: Values) -> None:
        """Sets switch and VLAN; the policy stays as it is."""
        if differs:
            own_path.spare(session, self.name, self.vlan)
            found = reading.named(session, reading.PORT_GROUPS, self.name, field="spec.name")
            spec = self._spec(found.spec.policy or new("HostNetworkPolicy"))
            system = reading.manager(session, "networkSystem")
            session.call(system, "UpdatePortGroup", pgName=self.name, portgrp=spec)

    def foresees(self, world: Reader, facts: PortGroupFacts | None) -> str:
        """Refuses another VLAN under paver's own feet."""
        del facts
        own_path.spare(world.session(self.at), self.name, self.vlan)
        return ""

    def _spec(self, policy: Any) -> Any:
        return new(
            "HostPortGroupSpec", name=self.name, vlanId=self.vlan, vswitchName=self.switch, policy=policy
        )

    @classmethod
    def remove(cls, session: Any, name: str) -> None:
        """Removes the port group; refuses while something is attached to it."""
        in_use.remove_port_group(session, name)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"vlan {self.vlan} on {self.switch}"
