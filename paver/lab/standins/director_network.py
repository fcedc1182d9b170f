"""Networks of a cloud config: which addresses there are, which may be asked for, and the director's refusals.

Source: bosh 283.1.6, director/deployment_plan/manual_network.rb, manual_network_subnet.rb, subnet.rb, director/ip_util.rb.
As there, ranges are taken apart into CIDR blocks, each of which is looked at as a whole: a static block that holds the
gateway and more passes, and the address alone does not. IPv4 only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paver.lab.standins.director_properties import canonical, prop
from paver.lab.standins.director_tasks import TaskError

Address = ipaddress.IPv4Address
Block = ipaddress.IPv4Network


@dataclass(frozen=True)
class Subnet:
    """One subnet of a manual network.

    Attributes:
        network: its range.
        gateway: the router.
        restricted: what is never given away: reserved, gateway, first and last, and the director's own.
        static: what is given away only to who asks for it by number.
        azs: the zones of what stands in it.
        dns: name servers.
        cloud_properties: for the CPI.
    """

    network: Block
    gateway: Address
    restricted: tuple[Block, ...]
    static: tuple[Block, ...]
    azs: tuple[str, ...]
    dns: tuple[str, ...]
    cloud_properties: Mapping[str, Any]

    def free(self, taken: Iterable[Address]) -> Iterable[Address]:
        """Yields the addresses that the director may choose by itself, lowest first."""
        busy, kept = set(taken), (*self.restricted, *self.static)
        for address in self.network:
            if address not in busy and not _within(Block(address), kept):
                yield address

    def is_static(self, address: Address) -> bool:
        """Whether an address may be asked for."""
        return _within(Block(address), self.static)


@dataclass(frozen=True)
class Network:
    """A network; one that is not manual has no subnets here, for the lab's director places nothing on it."""

    name: str
    kind: str
    zones: frozenset[str]
    subnets: tuple[Subnet, ...] = ()

    def has_azs(self, names: Sequence[str | None]) -> bool:
        """Whether something stands in each of these zones; without any, whether the network has none either."""
        if not self.zones and not any(names):
            return True
        return set(names) <= self.zones

    def holding(self, address: Address) -> Subnet | None:
        """The subnet in whose range an address lies."""
        return next((subnet for subnet in self.subnets if address in subnet.network), None)


def parse(document: Any, azs: Iterable[str], own: Iterable[Address] = ()) -> Network:
    """Reads one network; `own` are the director's addresses. Raises TaskError in the director's words."""
    kind, known = prop(document, "type", str, default="manual"), set(azs)
    if kind not in {"manual", "dynamic", "vip"}:
        raise TaskError(190010, f"Invalid network type '{kind}'")
    name = prop(document, "name", str)
    canonical(name)
    if kind != "manual":
        subnets = prop(document, "subnets", list, default=[])
        zones = frozenset(az for subnet in subnets for az in _zones(name, subnet, known))
        return Network(name, kind, zones)
    found: list[Subnet] = []
    for entry in prop(document, "subnets", list):
        subnet = _subnet(name, entry, known, own)
        if any(other.network.overlaps(subnet.network) for other in found):
            raise TaskError(160001, f"Network '{name}' has overlapping subnets")
        found.append(subnet)
    if any(subnet.azs for subnet in found) and not all(subnet.azs for subnet in found):
        raise TaskError(
            140016, f"Subnets on network '{name}' must all either specify availability zone or not"
        )
    return Network(name, kind, frozenset(az for subnet in found for az in subnet.azs), tuple(found))


def _subnet(name: str, document: Any, known: set[str], own: Iterable[Address]) -> Subnet:
    text = prop(document, "range", str)
    router = prop(document, "gateway", str)
    reserved = prop(document, "reserved", None, default=None)
    network = _block(text)
    if network.num_addresses <= 1:
        raise TaskError(160002, f"Invalid network range '{text}', should include at least 2 IPs")
    gateway = _gateway(name, network, router)
    static = prop(document, "static", None, default=None)
    restricted = [Block(one) for one in (gateway, network[0], network[-1])]
    for block in blocks(reserved):
        if not block.subnet_of(network):
            raise TaskError(160005, f"Reserved IP '{block}' is out of network '{name}' range")
        restricted.append(block)
    restricted += map(Block, own)
    asked = []
    for block in blocks(static):
        if _within(block, restricted):
            raise TaskError(160006, f"Static IP '{block}' is in network '{name}' reserved range")
        if not block.subnet_of(network):
            raise TaskError(160006, f"Static IP '{block}' is out of network '{name}' range")
        asked.append(block)
    servers = [_block(server) for server in prop(document, "dns", list, default=[])]
    if any(server.num_addresses > 1 for server in servers):
        raise TaskError(160004, f"Invalid DNS for network '{name}': must be a single IP")
    return Subnet(
        network,
        gateway,
        tuple(restricted),
        tuple(asked),
        _zones(name, document, known),
        tuple(str(server.network_address) for server in servers),
        prop(document, "cloud_properties", dict, default={}),
    )


def _gateway(name: str, network: Block, text: str) -> Address:
    router = _block(text)
    for wrong, why in (
        (router.num_addresses > 1, "must be a single IP"),
        (router[0] not in network, "must be inside the range"),
        (router[0] == network[0], "can't be the network id"),
        (router[0] == network[-1], "can't be the broadcast IP"),
    ):
        if wrong:
            raise TaskError(160003, f"Invalid gateway for network '{name}': {why}")
    return router[0]


def _zones(name: str, document: Any, known: set[str]) -> tuple[str, ...]:
    if "azs" in document and "az" in document:
        raise TaskError(160008, f"Network '{name}' contains both 'az' and 'azs'. Choose one.")
    one = prop(document, "az", str, default=None)
    zones = prop(document, "azs", list, default=[one] if one is not None else [])
    if "azs" in document and not zones:
        raise TaskError(160008, f"Network '{name}' refers to an empty 'azs' array")
    for zone in zones:
        if zone is not None and zone not in known:
            raise TaskError(160007, f"Network '{name}' refers to an unknown availability zone '{zone}'")
    return tuple(zones)


def _within(block: Block, others: Iterable[Block]) -> bool:
    return any(block.subnet_of(other) for other in others)


def blocks(entries: Any) -> list[Block]:
    """Returns the CIDR blocks of a text, or of a list of texts; a range that runs backwards has none."""
    found: list[Block] = []
    for entry in entries if isinstance(entries, list) else [] if entries is None else [entries]:
        parts = [part.strip() for part in str(entry).split("-")]
        if len(parts) == 1:
            found.append(_block(parts[0], 160010))
            continue
        ends = [_block(part, 160010) for part in parts] if len(parts) == 2 else []
        if not ends or any(end.num_addresses > 1 for end in ends):
            raise TaskError(160010, f"Invalid IP range format: {entry}")
        first, last = ends[0][0], ends[1][0]
        found += ipaddress.summarize_address_range(first, last) if first <= last else ()
    return found


def _block(text: Any, code: int = 100) -> Block:
    try:
        return Block(str(text), strict=False)
    except ValueError as error:
        raise TaskError(code, f"Invalid IP or CIDR format: {text}") from error
