"""The lab's cables: whether an address can come up on a card, and the commands that bring it up or down.

An address answers only if its card is connected to a port group that sits on a switch with a live uplink,
and that port group's VLAN is the one of the datacentre's network that the address belongs to.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.plan import Plan

LOOPBACK = "lo"
"""Where the addresses of machines are that share the lab's network: all that are no PC of their own."""


@dataclass(frozen=True)
class Card:
    """A VM's network card as the simulator sees it."""

    mac: str
    port_group: str
    vlan: int
    uplinks_up: int
    connected: bool


def card(raw: Mapping[str, Any]) -> Card:
    """Returns the card of a power event's `nics`."""
    return Card(
        mac=str(raw.get("mac", "")).lower(),
        port_group=str(raw.get("port_group", "")),
        vlan=int(raw.get("vlan", 0)),
        uplinks_up=int(raw.get("uplinks_up", 0)),
        connected=bool(raw.get("connected", True)),
    )


def obstacle(plan: Plan, address: str, there: Card | None) -> str | None:
    """Returns why `address` (without prefix) can't be reached through the card, or None where it can."""
    network = plan.network_of(address)
    if there is None:
        return f"{address}: the machine has no such card"
    if not there.connected:
        return f"{address}: the card {there.mac} is not connected"
    if there.uplinks_up < 1:
        return f"{address}: the switch of port group {there.port_group} has no live uplink"
    if network is None:
        return f"{address}: no network of this datacentre has it"
    if network.vlan != there.vlan:
        return f"{address}: network {network.name} is VLAN {network.vlan}, port group {there.port_group} is {there.vlan}"
    return None


def up(addresses: Iterable[str], device: str = LOOPBACK) -> None:
    """Makes `addresses` answer: here, or behind the cable `device`. Those of 127.0.0.0/8 always do."""
    _each("replace", addresses, device)


def down(addresses: Iterable[str], device: str = LOOPBACK) -> None:
    """Makes `addresses` unreachable at once, for new and for established connections."""
    _each("del", addresses, device)


def plug(device: str, gateways: Iterable[str]) -> None:
    """Makes a cable for a machine with a network of its own; the lab answers at its other end as `gateways`."""
    unplug(device)
    _batch(
        [
            f"tuntap add dev {device} mode tap\n",
            f"link set {device} up\n",
            *(f"addr add {gateway}/32 dev {device}\n" for gateway in gateways),
        ]
    )


def unplug(device: str) -> None:
    """Takes a cable away, with all that was reached over it."""
    _batch([f"link del {device}\n"])


def _each(verb: str, addresses: Iterable[str], device: str) -> None:
    kind = "addr" if device == LOOPBACK else "route"
    _batch(
        [
            f"{kind} {verb} {address}/32 dev {device}\n"
            for address in addresses
            if not ipaddress.ip_address(address).is_loopback
        ]
    )


def _batch(lines: list[str]) -> None:
    if lines:
        # -force: an address that is already gone must not keep the others.
        subprocess.run(
            ["ip", "-force", "-batch", "-"], input="".join(lines).encode(), check=False, capture_output=True
        )
