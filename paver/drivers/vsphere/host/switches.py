"""Standard switches, read and spelled out for every kind that has one."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import Values
from paver.transport.vsphere import new, type_of

MTU = 1500
PORTS = 128


def look(session: Any, name: str) -> dict[str, Any] | None:
    """Returns uplinks (active ones first) and MTU of a switch, None if there is none of that name."""
    switch = reading.named(session, reading.SWITCHES, name, field="name")
    if switch is None:
        return None
    devices = list(getattr(switch.spec.bridge, "nicDevice", None) or ())
    order = _order(switch.spec)
    return {
        "uplinks": tuple(sorted(devices, key=lambda one: order.index(one) if one in order else len(order))),
        "mtu": int(switch.mtu or switch.spec.mtu or MTU),
    }


def _order(spec: Any) -> list[str]:
    teaming = getattr(spec.policy, "nicTeaming", None)
    nics = getattr(teaming, "nicOrder", None)
    return [*(getattr(nics, "activeNic", None) or ()), *(getattr(nics, "standbyNic", None) or ())]


def spec(values: Values, now: Any = None, standby: Collection[str] = ()) -> Any:
    """Returns the specification of a switch.

    Args:
        values: uplinks, MTU, or one of them.
        now: the specification of the existing one, whose other settings stay: an update writes the whole of it, and a bridge
            without its beacon or its link discovery switches them off (vim25 HostVirtualSwitchBondBridge).
        standby: those of the uplinks that carry nothing while another one has a link.
    """
    made = copy.deepcopy(now) if now is not None else new("HostVirtualSwitchSpec", numPorts=PORTS)
    if "mtu" in values:
        made.mtu = values["mtu"]
    if "uplinks" in values:
        uplinks = list(values["uplinks"])
        active = [one for one in uplinks if one not in standby]
        made.bridge = _bridge(made.bridge, uplinks) if uplinks else None
        teaming = getattr(made.policy, "nicTeaming", None)
        if teaming is not None:
            teaming.nicOrder = new("HostNicOrderPolicy", activeNic=active, standbyNic=list(standby))
        elif uplinks:
            order = new("HostNicOrderPolicy", activeNic=active, standbyNic=list(standby))
            made.policy = made.policy or new("HostNetworkPolicy")
            made.policy.nicTeaming = new("HostNicTeamingPolicy", nicOrder=order)
    return made


def _bridge(now: Any, uplinks: list[str]) -> Any:
    if not isinstance(now, type_of("HostVirtualSwitchBondBridge")):
        # As ESXi makes its own: without it nobody sees which port of which physical switch a cable is in.
        listens = new("LinkDiscoveryProtocolConfig", protocol="cdp", operation="listen")
        return new("HostVirtualSwitchBondBridge", nicDevice=uplinks, linkDiscoveryProtocolConfig=listens)
    now.nicDevice = uplinks
    return now


def current_spec(session: Any, name: str) -> Any:
    """Returns the specification of an existing switch as it was read."""
    return reading.named(session, reading.SWITCHES, name, field="name").spec
