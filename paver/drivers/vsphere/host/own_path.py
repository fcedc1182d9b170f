"""Changing the switch that paver's own path to a host leads over.

A bare ESXi undoes nothing by itself: "vSphere Networking Rollback" (vSphere Networking) is done by vCenter, for the
hosts that it has. Once the path is cut, nothing can be put back from here. So the old uplink stays until the host
was reached by a new connection and says that it hears its own network on another one; only then it goes.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import tenacity

from paver.driver import MARK_KEY, Mark, PaverError, Refused
from paver.drivers.vsphere import marks
from paver.drivers.vsphere.host import reading, switches
from paver.drivers.vsphere.host.setting import Values
from paver.drivers.vsphere.jumpbox import facts as jumpbox
from paver.transport.vsphere import AnswerLostError

WITHIN = 60.0
"""Seconds in which the host must be reached anew: a port forwards 30 to 50 s after its link is up (802.1D)."""

CONSOLE = "at its console: F2, Configure Management Network, Network Adapters"


@dataclasses.dataclass(frozen=True)
class Carrier:
    """A port group that the path leads over.

    Attributes:
        group: the port group.
        interface: the kernel interface on it that is reached; None where it is the jumpbox that stands on it.
    """

    group: Any
    interface: Any = None

    def usable(self, session: Any, uplinks: Iterable[str]) -> list[str]:
        """Returns those of a switch's uplinks that have a link, and that the port group's own order, if any, uses."""
        teaming = getattr(self.group.spec.policy, "nicTeaming", None)
        order = getattr(teaming, "nicOrder", None)
        own = None if order is None else {*(order.activeNic or ()), *(order.standbyNic or ())}
        linked = {one.device for one in reading.items(session, reading.ADAPTERS) if one.linkSpeed is not None}
        return [one for one in uplinks if one in linked and (own is None or one in own)]

    def heard(self, session: Any, uplinks: Sequence[str]) -> bool:
        """Tells whether the host hears the interface's own network, in its VLAN, on one of its uplinks."""
        if self.interface is None:
            return True
        ip = self.interface.spec.ip
        network = ipaddress.ip_network(f"{ip.ipAddress}/{ip.subnetMask}", strict=False)
        system = reading.manager(session, "networkSystem")
        hints = session.query(system, "QueryNetworkHint", device=self.usable(session, uplinks))
        return any(
            int(seen.vlanId or 0) == int(self.group.spec.vlanId or 0) and _overlap(seen.ipSubnet, network)
            for hint in hints
            for seen in hint.subnet or ()
        )


def _overlap(range_: str, network: Any) -> bool:
    """Tells whether a range as `10.27.49.1-10.27.49.254` (vim25 PhysicalNicIpHint) and a network share addresses."""
    first, _, last = range_.partition("-")
    low, high = (int(ipaddress.ip_address(one.strip())) for one in (first, last or first))
    return low <= int(network.broadcast_address) and high >= int(network.network_address)


def carriers(session: Any) -> list[Carrier]:
    """Returns the port groups by which paver reaches the host.

    They are those of the kernel interface that has the address that was dialled (of all of them, where it is none's:
    behind a name, or an address that is translated), and on the jumpbox that of the jumpbox itself.
    """
    interfaces = reading.items(session, reading.INTERFACES)
    dialled = [one for one in interfaces if one.spec.ip.ipAddress == session.address]
    on = {one.portgroup: one for one in dialled or interfaces}
    own = _own_groups(session) if session.station == "jumpbox" else set()
    return [
        Carrier(group, on.get(group.spec.name))
        for group in reading.items(session, reading.PORT_GROUPS)
        if group.spec.name in on or group.spec.name in own
    ]


def _own_groups(session: Any) -> set[str]:
    found: set[str] = set()
    for _, values in session.objects("VirtualMachine", ("config.extraConfig", "config.hardware.device")):
        mark = Mark.loads(marks.values(values["config.extraConfig"]).get(MARK_KEY))
        if mark is not None and mark.id.startswith("vsphere.jumpbox:"):
            cards = jumpbox.cards(list(values["config.hardware.device"] or ()))
            found |= {jumpbox.card_network(card) or "" for card in cards}
    return found


def spare(session: Any, name: str, vlan: int) -> None:
    """Refuses another VLAN for a port group that the path leads over: what is behind it cannot be known before.

    Raises:
        Refused: if that is what would be changed.
    """
    for carrier in carriers(session):
        now = int(carrier.group.spec.vlanId or 0)
        if carrier.group.spec.name == name and now != vlan:
            where = "the jumpbox that paver runs on" if carrier.interface is None else session.name
            raise Refused(
                f"{session.name}: the VLAN of {name} stays {now}, not {vlan}: {where} is reached over it",
                why="nobody could put it back if the path were cut",
                do="change it from outside" if carrier.interface is None else f"change it {CONSOLE}, VLAN",
            )


def foreseen(session: Any, name: str, values: Values) -> str:
    """Returns what a plan says of changing a switch, empty where paver's path does not lead over it.

    Raises:
        Refused: if by all that the host says the path would be cut.
    """
    own = _on(session, name)
    now = switches.look(session, name)
    if now is None or not own:
        return ""
    wished = values.get("uplinks", now["uplinks"])
    for carrier in own:
        group = carrier.group.spec.name
        if carrier.usable(session, now["uplinks"]) and not carrier.usable(session, wished):
            raise Refused(
                f"{session.name}: {name} with {', '.join(wished) or 'no uplink'} would cut the path to the host",
                seen=f"none of them has a link and is used by the port group {group}; "
                f"now it has {', '.join(now['uplinks'])}",
                why=f"paver reaches the host over {group}, and a bare ESXi puts nothing back by itself",
                do=f"plug the cable in, or let {group} follow the switch's order of uplinks, if it has its own",
            )
        mtu = values.get("mtu", now["mtu"])
        if carrier.interface is not None and mtu < (carrier.interface.spec.mtu or switches.MTU):
            raise Refused(
                f"{session.name}: {name} with an MTU of {mtu} would swallow frames of {carrier.interface.device}",
                seen=f"{carrier.interface.device} sends up to {carrier.interface.spec.mtu} bytes",
                why="paver reaches the host over it",
                do=f"leave the switch's MTU, or lower that of {carrier.interface.device} first",
            )
    return f"paver reaches {session.name} over it; each step is confirmed by a new connection, or put back"


def leaves_to(session: Any, name: str, uplinks: Iterable[str]) -> None:
    """Refuses to plan a switch with an uplink of the one that the path leads over: that one is changed last.

    Raises:
        Refused: if an uplink is still there.
    """
    for holder in {one.group.spec.vswitchName for one in carriers(session)} - {name}:
        held = (switches.look(session, holder) or {"uplinks": ()})["uplinks"]
        for uplink in uplinks:
            if uplink in held:
                raise Refused(
                    f"{session.name}: {uplink} cannot go from {holder} to {name} in one run",
                    why=f"an uplink is one switch's only, and {holder} is changed last: paver reaches the host over it",
                    do=f"leave {uplink} out of {name} in the site file, apply, then name it there",
                )


def change(session: Any, name: str, values: Values) -> None:
    """Changes uplinks and MTU of a switch (call `UpdateVirtualSwitch`).

    Raises:
        Refused: if the path would be cut by it; nothing stays changed then.
        PaverError: if the host could not be reached anew; says whether the switch was put back.
    """
    own = _on(session, name)
    if not own:
        _write(session, name, switches.spec(values, switches.current_spec(session, name)))
        return
    foreseen(session, name, values)
    former = copy.deepcopy(switches.current_spec(session, name))
    now = switches.look(session, name) or {}
    wished = tuple(values.get("uplinks", now["uplinks"]))
    going = [one for one in now["uplinks"] if one not in wished]
    coming = [one for one in wished if one not in now["uplinks"]]
    moves = any(carrier.usable(session, going) for carrier in own)
    if moves and coming:
        both = switches.spec({"uplinks": (*now["uplinks"], *coming)}, former, standby=coming)
        _confirmed(session, name, both, former)
    if moves and not _heard(session, own, wished):
        if coming:
            _write(session, name, former)
        raise Refused(
            f"{session.name}: {name} keeps {', '.join(now['uplinks'])}",
            seen=f"the host does not hear its own network on {', '.join(wished)}",
            why="the path to the host would lead over a cable that may not carry it, and nobody could put it back",
            do=f"check cable and VLAN on the physical switch, keep {', '.join(going)} in the site file beside it, "
            f"or change it {CONSOLE}",
        )
    _confirmed(session, name, switches.spec(values, former), former)


def _on(session: Any, name: str) -> list[Carrier]:
    return [one for one in carriers(session) if one.group.spec.vswitchName == name]


def _heard(session: Any, own: Sequence[Carrier], uplinks: Sequence[str]) -> bool:
    """Waits until each of the port groups hears its network on the uplinks that stay."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda heard: not heard),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2),
        stop=tenacity.stop_after_delay(WITHIN),
        retry_error_callback=lambda _: False,
    )
    return bool(waiting(lambda: all(carrier.heard(session, uplinks) for carrier in own)))


def _write(session: Any, name: str, spec: Any) -> None:
    system = reading.manager(session, "networkSystem")
    session.call(system, "UpdateVirtualSwitch", vswitchName=name, spec=spec)


def _confirmed(session: Any, name: str, spec: Any, former: Any) -> None:
    """Writes, and reaches the host by a new connection; puts the former back where that fails."""
    system = reading.manager(session, "networkSystem")
    # Whether the answer came does not matter: the new connection decides.
    with contextlib.suppress(AnswerLostError):
        session.call(system, "UpdateVirtualSwitch", vswitchName=name, spec=spec)
    try:
        session.reached_anew(WITHIN)
    except PaverError as error:
        lost = error
    else:
        return
    try:
        session.call(system, "UpdateVirtualSwitch", vswitchName=name, spec=former)
    except PaverError as error:
        raise PaverError(
            f"{session.name} is not reached any more since {name} was changed",
            seen=lost.what,
            why="the path led over that switch, and with it cut nothing can be put back from here",
            do=f"put the former uplinks back {CONSOLE}; then run the same command again",
        ) from error
    raise PaverError(
        f"{session.name}: {name} was put back: the host was not reached anew within {WITHIN:.0f} s of the change",
        seen=lost.what,
        do="check what lies between paver and the host, then run the same command again",
    ) from lost
