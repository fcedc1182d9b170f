"""A standard switch beside the one that ESXi comes with."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Facts, Mark, Reader
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.host import in_use, own_path, reading, switches
from paver.drivers.vsphere.host.setting import Values
from paver.drivers.vsphere.host.thing import HostThing


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwitchFacts(Facts):
    """A switch as it is; without values where it was only begun."""

    uplinks: tuple[str, ...] | None = None
    mtu: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Switch(HostThing[SwitchFacts]):
    """A standard switch.

    Attributes:
        uplinks: physical adapters, the active ones, in order.
        mtu: in bytes.
    """

    kind = "vsphere.switch"
    calls = ledger.calls(
        create=("AddVirtualSwitch", "UpdateVirtualSwitch"),
        update=("UpdateVirtualSwitch",),
        delete=("RemoveVirtualSwitch",),
    )

    uplinks: tuple[str, ...]
    mtu: int

    @classmethod
    def look(cls, session: Any, name: str) -> Values | None:
        """Returns the switch as it is."""
        return switches.look(session, name)

    @classmethod
    def facts(cls, values: Values | None, name: str, mark: Mark | None) -> SwitchFacts:
        """Returns the facts of what `look` saw."""
        return SwitchFacts(address={"name": name}, mark=mark, **(values or {}))

    def make(self, session: Any) -> None:
        """Adds the switch."""
        system = reading.manager(session, "networkSystem")
        session.call(system, "AddVirtualSwitch", vswitchName=self.name, spec=switches.spec(self._wanted()))

    def change(self, session: Any, differs: Values) -> None:
        """Changes uplinks and MTU."""
        if differs:
            own_path.change(session, self.name, differs)

    def foresees(self, world: Reader, facts: SwitchFacts | None) -> str:
        """Returns that the host is reached through it; refuses what would cut that, or cannot be done before it."""
        del facts
        own_path.leaves_to(world.session(self.at), self.name, self.uplinks)
        return own_path.foreseen(world.session(self.at), self.name, self.wish())

    @classmethod
    def remove(cls, session: Any, name: str) -> None:
        """Removes the switch; refuses while port groups of others are on it."""
        in_use.remove_switch(session, name)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{', '.join(self.uplinks) or 'no uplink'}, MTU {self.mtu}"
