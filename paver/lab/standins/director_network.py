"""Networks of a cloud config: which addresses there are, which may be asked for, and the director's refusals."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paver.lab.standins.director_tasks import TaskError

Address = ipaddress.IPv4Address


@dataclass(frozen=True)
class Subnet:
    """One subnet of a manual network."""

    network: ipaddress.IPv4Network
    gateway: Address
    reserved: frozenset[Address]
    static: frozenset[Address]
    azs: tuple[str, ...]
    dns: tuple[str, ...]
    cloud_properties: Mapping[str, Any]

    def free(self, taken: Iterable[Address]) -> Iterable[Address]:
        """Yields the addresses that the director may choose by itself, lowest first."""
        busy = set(taken)
        for address in self.network.hosts():
            if address not in busy | self.reserved | self.static and address != self.gateway:
                yield address


@dataclass(frozen=True)
class Network:
    """A manual network."""

    name: str
    subnets: tuple[Subnet, ...]

    def subnet_of(self, address: Address, group: str) -> Subnet:
        """The subnet in which `address` may be asked for as a static one."""
        for subnet in self.subnets:
            if address in subnet.static:
                return subnet
        raise TaskError(
            130008,
            f"Instance group '{group}' with network '{self.name}' declares static ip '{address}', which belongs to no subnet",
        )


def parse(document: Mapping[str, Any], azs: set[str]) -> Network:
    """Reads one network; raises TaskError in the director's words."""
    name = str(required(document, "name", "network"))
    kind = document.get("type", "manual")
    if kind != "manual":
        raise TaskError(
            160001,
            f"Invalid network type '{kind}' for network '{name}': the vSphere CPI has manual networks only",
        )
    subnets = [_subnet(name, subnet, azs) for subnet in required(document, "subnets", f"network '{name}'")]
    for first in range(len(subnets)):
        for second in subnets[first + 1 :]:
            if subnets[first].network.overlaps(second.network):
                raise TaskError(160003, f"Network '{name}' has overlapping subnets")
    return Network(name, tuple(subnets))


def required(document: Mapping[str, Any], key: str, where: str) -> Any:
    """Returns a value that has to be there."""
    if not isinstance(document, dict):
        raise TaskError(40000, f"Object ({where}) did not match the required type 'Hash'")
    if document.get(key) is None:
        raise TaskError(40001, f"Required property '{key}' was not specified in object ({where})")
    return document[key]


def _subnet(name: str, document: Mapping[str, Any], known: set[str]) -> Subnet:
    text = str(required(document, "range", f"network '{name}'"))
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise TaskError(160000, f"Invalid subnet range '{text}' in network '{name}': {error}") from error
    gateway = _address(str(required(document, "gateway", f"network '{name}'")), name)
    if gateway not in network:
        raise TaskError(160005, f"Invalid gateway for network '{name}': must be inside the range")
    if gateway in (network.network_address, network.broadcast_address):
        raise TaskError(
            160005, f"Invalid gateway for network '{name}': can't be the network id or broadcast IP"
        )
    azs = tuple(document.get("azs") or ([document["az"]] if document.get("az") else []))
    for az in azs:
        if az not in known:
            raise TaskError(160009, f"Network '{name}' refers to an unknown availability zone '{az}'")
    reserved = _range(document.get("reserved"), name)
    for address in sorted(reserved):
        if address not in network:
            raise TaskError(160006, f"Reserved IP '{address}' is out of network '{name}' range")
    static = _range(document.get("static"), name)
    for address in sorted(static):
        if address not in network:
            raise TaskError(160007, f"Static IP '{address}' is out of network '{name}' range")
        if address in reserved:
            raise TaskError(160007, f"Static IP '{address}' is in network '{name}' reserved range")
        if address == gateway:
            raise TaskError(160007, f"Static IP '{address}' is the gateway of network '{name}'")
    dns = tuple(map(str, document.get("dns") or ()))
    return Subnet(network, gateway, reserved, static, azs, dns, document.get("cloud_properties") or {})


def _range(entries: Any, name: str) -> frozenset[Address]:
    found: set[Address] = set()
    for entry in entries if isinstance(entries, list) else [entries] if entries else []:
        text = str(entry)
        if "/" in text:
            try:
                found.update(ipaddress.IPv4Network(text))
            except ValueError as error:
                raise TaskError(160000, f"Invalid IP range '{text}' in network '{name}'") from error
            continue
        first, _, last = text.partition("-")
        low, high = _address(first.strip(), name), _address((last or first).strip(), name)
        if high < low or int(high) - int(low) > 65536:
            raise TaskError(160000, f"Invalid IP range '{text}' in network '{name}'")
        found.update(Address(number) for number in range(int(low), int(high) + 1))
    return frozenset(found)


def _address(text: str, name: str) -> Address:
    try:
        return Address(text)
    except ValueError as error:
        raise TaskError(160000, f"Invalid IP '{text}' in network '{name}'") from error
