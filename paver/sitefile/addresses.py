"""Addresses, networks, ranges and servers as they stand in a site file. IPv4 only."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated

from pydantic_core import PydanticCustomError

from paver.sitefile.values import fqdn, shown, written, wrong

_ADDRESS_ADVICE = "An IPv4 address is four numbers from 0 to 255, joined by dots: 10.20.0.11."
_ONLY_IPV4 = "Only IPv4 is supported."
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+\Z")
_ZEROS = re.compile(r"\b0+(?=[0-9])")


def address(text: str) -> IPv4Address:
    """Returns an IPv4 address, or raises what is wrong with it."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise wrong(*_no_address(text)) from None


def _no_address(text: str) -> tuple[str, str]:
    with_port, without_zeros = _WITH_PORT.match(text), _ZEROS.sub("", text)
    if with_port and _is(IPv4Address, with_port[1]):
        return f"{shown(text)} has a port", f"Write the address alone: {with_port[1]}."
    if "://" in text:
        return f"{shown(text)} is a URL", "Write the address alone."
    if "/" in text:
        return f"{shown(text)} is not an address", "Write the address without `/…`."
    if _is(IPv6Address, text):
        return f"{shown(text)} is an IPv6 address", _ONLY_IPV4
    if _is(IPv4Address, without_zeros):
        return f"{shown(text)} is not an IPv4 address", f"Did you mean {without_zeros}?"
    return f"{shown(text)} is not an IPv4 address", _ADDRESS_ADVICE


def _is(kind: type[IPv4Address | IPv6Address | IPv6Network], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def is_address(text: str) -> bool:
    """Tells whether a text is an IPv4 address, as the site file takes it."""
    return _is(IPv4Address, text)


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
        if _is(IPv6Network, text.partition("/")[0]):
            raise wrong(f"{shown(text)} is an IPv6 network", _ONLY_IPV4) from None
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


_DASH = re.compile("\\s*(?:[\u2010-\u2015\u2212]|\\.\\.+|\\bto\\b)\\s*")
_RANGE_ADVICE = "A range is one address, or two joined by a hyphen: 10.30.0.10-10.30.0.30."


def _range(text: str) -> AddressRange:
    first, hyphen, last = text.partition("-")
    try:
        found = AddressRange(IPv4Address(first.strip()), IPv4Address((last if hyphen else first).strip()))
    except ValueError:
        meant = _meant(text)
        advice = f"Did you mean {meant}?" if meant else _RANGE_ADVICE
        raise wrong(f"{shown(text)} is not a range of addresses", advice) from None
    if found.last < found.first:
        raise wrong(f"{shown(text)} ends before it starts", f"Did you mean {found.last}-{found.first}?")
    return found


def _meant(text: str) -> AddressRange | None:
    """Returns the range that a network names, or two addresses of which the second is cut short or follows a dash."""
    first, _, last = _DASH.sub("-", text).partition("-")
    try:
        if "/" in text:
            network = IPv4Network(text, strict=False)
            return AddressRange(network[0], network[-1])
        kept = first.strip().split(".")[: 3 - last.count(".")]
        return AddressRange(IPv4Address(first.strip()), IPv4Address(".".join([*kept, last.strip()])))
    except ValueError:
        return None


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
