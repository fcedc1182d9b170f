"""Whether a host starts its VMs when it starts; which ones, each VM's own entry says.

Not for a host of a cluster with high availability: that switches it off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, Writer
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared
from paver.transport.vsphere import new


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutostartFacts(Facts):
    """Whether VMs are started."""

    enabled: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autostart(HostSetting[AutostartFacts]):
    """Starting VMs with the host."""

    kind = "vsphere.autostart"
    calls = declared("ReconfigureAutostart")

    enabled: bool

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> AutostartFacts:
        """Returns the facts of what `look` saw."""
        return AutostartFacts(address=address, mark=mark, **values)

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns whether VMs are started."""
        del address
        config = reading.of(session, reading.AUTOSTART)
        defaults = getattr(config, "defaults", None)
        return {"enabled": bool(getattr(defaults, "enabled", False))}

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Switches it on or off; the other defaults stay as they are."""
        del address
        session = world.writing(at)
        defaults = reading.of(session, reading.AUTOSTART).defaults or new("AutoStartDefaults")
        defaults.enabled = values["enabled"]
        config = new("HostAutoStartManagerConfig", defaults=defaults)
        session.call(reading.manager(session, "autoStartManager"), "ReconfigureAutostart", spec=config)

    def says(self) -> str:
        """Returns what a plan shows."""
        return "VMs start with the host" if self.enabled else "no VM starts with the host"
