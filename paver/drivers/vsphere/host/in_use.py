"""What of others is attached to a port group or lies on a switch: a destroy names it and leaves both alone."""

from __future__ import annotations

from typing import Any

from paver.driver import Refused
from paver.drivers.vsphere.host import reading
from paver.transport.vsphere import VsphereFault, describe

AGAIN = "then run the same command again"


def remove_port_group(session: Any, name: str) -> None:
    """Removes a port group.

    Raises:
        Refused: if a machine or a kernel interface is attached to it: the host refuses then, and does not say to which.
    """
    try:
        session.call(reading.manager(session, "networkSystem"), "RemovePortGroup", pgName=name)
    except VsphereFault as fault:
        if not fault.is_a("ResourceInUse"):
            raise
        raise Refused(
            f"the port group {name} of {session.name} is in use",
            seen=", ".join(_attached(session, name)) or fault.what,
            why="what paver did not make is attached to it",
            do=f"attach it to another port group, or take it away; {AGAIN}",
        ) from fault


def _attached(session: Any, group: str) -> list[str]:
    ours = {describe(ref) for ref, values in session.objects("Network", ("name",)) if values["name"] == group}
    machines = session.objects("VirtualMachine", ("name", "network"))
    return [
        *(
            f"the machine {values['name']}"
            for _, values in machines
            if ours & {describe(network) for network in values["network"] or ()}
        ),
        *(
            f"the kernel interface {one.device}"
            for one in reading.items(session, reading.INTERFACES)
            if one.portgroup == group
        ),
    ]


def remove_switch(session: Any, name: str) -> None:
    """Removes a switch.

    Raises:
        Refused: if a port group is on it. Ours are gone by now, and a host takes those of others along without a word,
            as long as nothing is attached to them.
    """
    groups = reading.items(session, reading.PORT_GROUPS)
    others = sorted(one.spec.name for one in groups if one.spec.vswitchName == name)
    if others:
        raise Refused(
            f"the switch {name} of {session.name} has port groups that paver did not make",
            seen=", ".join(others),
            why="the host would take them away along with the switch",
            do=f"move them to another switch, or take them away; {AGAIN}",
        )
    session.call(reading.manager(session, "networkSystem"), "RemoveVirtualSwitch", vswitchName=name)
