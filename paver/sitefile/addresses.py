"""Addresses, networks, ranges and servers as they stand in a site file. IPv4 only."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic_core import PydanticCustomError

from paver.sitefile.values import fqdn, shown, written, wrong

_ADDRESS_ADVICE = "An IPv4 address is four numbers from 0 to 255, joined by dots: 10.20.0.11."


def address(text: str) -> IPv4Address:
    """Returns an IPv4 address, or raises what is wrong with it."""
    try:
        return IPv4Address(text)
    except ValueError:
        if ":" in text:
            raise wrong(f"{shown(text)} is an IPv6 address", "Only IPv4 is supported.") from None
        if "/" in text:
            raise wrong(f"{shown(text)} is not an address", "Write the address without `/…`.") from None
        raise wrong(f"{shown(text)} is not an IPv4 address", _ADDRESS_ADVICE) from None


Address = Annotated[
    IPv4Address, *written(address, IPv4Address, "an IPv4 address", _ADDRESS_ADVICE, r"^[0-9]+(\.[0-9]+){3}$")
]

_CIDR_ADVICE = "A network is its first address and its length: 10.20.0.0/24."


def _cidr(text: str) -> IPv4Network:
    try:
        return IPv4Network(text if "/" in text else f"{text}/none")
    except ValueError:
        pass
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise wrong(f"{shown(text)} is not a network", _CIDR_ADVICE) from None
    if "/" not in text:
        raise wrong(f"{shown(text)} has no length", _CIDR_ADVICE)
    raise wrong(f"{shown(text)} has bits set behind its length", f"Did you mean {network}?")


Cidr = Annotated[IPv4Network, *written(_cidr, IPv4Network, "a network", _CIDR_ADVICE, r"^[0-9.]+/[0-9]+$")]


@dataclasses.dataclass(frozen=True, order=True)
class AddressRange:
    """Addresses from `first` to `last`, both included."""

    first: IPv4Address
    last: IPv4Address

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv4Address) and self.first <= address <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def overlaps(self, other: AddressRange) -> bool:
        """Tells whether an address is in both."""
        return self.first <= other.last and other.first <= self.last


_RANGE_ADVICE = "A range is one address, or two joined by a hyphen: 10.30.0.10-10.30.0.30."


def _range(text: str) -> AddressRange:
    first, hyphen, last = text.partition("-")
    try:
        found = AddressRange(IPv4Address(first.strip()), IPv4Address((last if hyphen else first).strip()))
    except ValueError:
        raise wrong(f"{shown(text)} is not a range of addresses", _RANGE_ADVICE) from None
    if found.last < found.first:
        raise wrong(f"{shown(text)} ends before it starts", f"Did you mean {found.last}-{found.first}?")
    return found


Range = Annotated[AddressRange, *written(_range, AddressRange, "a range of addresses", _RANGE_ADVICE)]


_HOST_ADVICE = "A name or an IPv4 address: ntp.corp.example, 10.20.0.5."


def host(text: str) -> str:
    """Returns a domain name or an IPv4 address as text, or raises what is wrong with it."""
    try:
        return str(IPv4Address(text))
    except ValueError:
        pass
    try:
        return fqdn(text)
    except PydanticCustomError:
        raise wrong(f"{shown(text)} is neither a domain name nor an IPv4 address", _HOST_ADVICE) from None


HostText = Annotated[str, *written(host, str, "a name or address", _HOST_ADVICE)]
"""A server outside of the site: a domain name or an IPv4 address, as text."""
