"""Whether a host starts its VMs when it starts, and which ones: each VM's own entry says so.

Not for a host of a cluster with high availability: that switches it off, and starts the VMs itself ("Virtual Machine
Startup and Shutdown", vSphere Virtual Machine Administration). An entry belongs to a host, and a VM that moves to another
one leaves it behind (Broadcom KB 326330).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, PaverError, Writer
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared
from paver.transport.vsphere import VsphereFault, new


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
        _reconfigure(session, new("HostAutoStartManagerConfig", defaults=defaults))

    def says(self) -> str:
        """Returns what a plan shows."""
        return "VMs start with the host" if self.enabled else "no VM starts with the host"


FIRST, AFTER_OTHERS = 1, -1
"""Places in the order of starting: one that the order does not reach up to is refused (vim25 AutoStartPowerInfo)."""
_SHUT_DOWN = "guestShutdown"
"""What happens to it when its host is shut down; a host's own default switches it off (vim25 AutoStartAction, `powerOff`)."""
_SHUT_DOWN_WITHIN = 600
"""Seconds that the host waits for that, at most: vCenter stops some thirty services, and writes its database."""


def starts(session: Any, vm: Any) -> bool:
    """Tells whether a VM's entry has it started with its host, and shut down with it."""
    entries = getattr(reading.of(session, reading.AUTOSTART), "powerInfo", None) or ()
    return any(
        entry.key._moId == vm._moId  # noqa: SLF001
        and (entry.startAction.lower(), entry.stopAction.lower()) == ("poweron", _SHUT_DOWN.lower())
        for entry in entries
    )


def enter(session: Any, vm: Any, *, start: bool, order: int) -> None:
    """Has a VM started with its host and shut down with it, or no longer (call `ReconfigureAutostart`)."""
    entry = new(
        "AutoStartPowerInfo",
        key=vm,
        startOrder=order if start else AFTER_OTHERS,
        startDelay=-1,
        waitForHeartbeat="systemDefault",
        startAction="powerOn" if start else "none",
        stopDelay=_SHUT_DOWN_WITHIN if start else -1,
        stopAction=_SHUT_DOWN if start else "systemDefault",
    )
    _reconfigure(session, new("HostAutoStartManagerConfig", powerInfo=[entry]))


def _reconfigure(session: Any, config: Any) -> None:
    try:
        session.call(reading.manager(session, "autoStartManager"), "ReconfigureAutostart", spec=config)
    except VsphereFault as fault:
        if not fault.is_a("NotSupported"):
            raise
        # What starts with a host comes before the cluster that it is put into, so that the cluster can't go first.
        raise PaverError(
            f"{session.name} starts no VMs by itself",
            seen=fault.what,
            why="high availability is on in its cluster, and starts them; the site file has it off",
            do="switch it off in vCenter's client (the cluster, Configure, vSphere Availability), then run the same command again",
        ) from fault
