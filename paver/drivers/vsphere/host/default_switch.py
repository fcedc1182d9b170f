"""The switch that ESXi comes with and is managed through: paver sets it, and never makes or removes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, PaverError, Reader, Writer
from paver.drivers.vsphere.host import own_path, switches
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared

NAME = "vSwitch0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefaultSwitchFacts(Facts):
    """How vSwitch0 is set."""

    uplinks: tuple[str, ...]
    mtu: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefaultSwitch(HostSetting[DefaultSwitchFacts]):
    """Uplinks and MTU of vSwitch0.

    Attributes:
        uplinks: physical adapters, the active ones, in order.
        mtu: in bytes.
    """

    kind = "vsphere.default-switch"
    calls = declared("UpdateVirtualSwitch")

    uplinks: tuple[str, ...]
    mtu: int

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> DefaultSwitchFacts:
        """Returns the facts of what `look` saw."""
        return DefaultSwitchFacts(address=address, mark=mark, **values)

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns uplinks and MTU as they are."""
        del address
        found = switches.look(session, NAME)
        if found is None:
            raise PaverError(
                f"{session.name} has no {NAME}",
                why="ESXi's installer makes it, and the host is managed through it",
                do="leave it out of the site file's switches, if it was removed on purpose",
            )
        return found

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Sets what differs, without cutting the path by which the host is reached."""
        session = world.writing(at)
        now = cls.look(session, address)
        differs = {key: value for key, value in values.items() if now[key] != value}
        if differs:
            own_path.change(session, NAME, differs)

    def foresees(self, world: Reader, facts: DefaultSwitchFacts | None) -> str:
        """Returns that the host is reached through it; refuses what would cut that."""
        del facts
        words = own_path.foreseen(world.session(self.at), NAME, self.wish())
        return words and f"last, since {words}"

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{', '.join(self.uplinks) or 'no uplink'}, MTU {self.mtu}"
