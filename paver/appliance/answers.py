"""What a first boot has to know, and how each answer is read. Pure.

Every reader takes the text of one line and returns a value, or raises `BadInput` with words for whoever typed it.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from paver.errors import BadInput
from paver.signing import public_line

PASSWORD_MINIMUM = 12
SERVERS = 3
"""Name servers that a resolver asks, and as many time servers."""

NOTHING = "-"
"""What is typed to empty a line."""

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """All that was answered.

    Attributes:
        card: the MAC address of the network card.
        address: of the machine, with its network.
        gateway: the default route; None: there is none.
        dns: name servers.
        ntp: time servers, names or addresses; none: the clock is the hypervisor's.
        name: of the machine, with or without a domain.
        key: the public SSH key of whoever may log in.
        password: or a password. Neither: who may log in stays as it is.
    """

    card: str
    address: IPv4Interface
    gateway: IPv4Address | None
    dns: tuple[IPv4Address, ...]
    ntp: tuple[str, ...]
    name: str
    key: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)

    @property
    def hostname(self) -> str:
        """The name without its domain."""
        return self.name.partition(".")[0]

    @property
    def domain(self) -> str:
        """The domain, or nothing."""
        return self.name.partition(".")[2]


def address(text: str) -> IPv4Interface:
    """Reads `10.20.0.10/24`, also with a netmask."""
    plain, slash, rest = _line(text).replace(" ", "/").partition("/")
    advice = "An address with its prefix looks like 10.20.0.10/24, or 10.20.0.10/255.255.255.0."
    if ":" in plain:
        raise BadInput(f"{plain} is an IPv6 address", do="Only IPv4 is supported.")
    one = _address(plain, advice)
    if not slash:
        raise BadInput(f"{plain} has no prefix length", do=advice)
    try:
        found = IPv4Interface(f"{one}/{rest.strip('/ ')}")
    except ValueError:
        raise BadInput(f"{rest} is neither a prefix length nor a netmask", do=advice) from None
    if not 1 <= found.network.prefixlen <= 30:
        raise BadInput(f"/{found.network.prefixlen} leaves no room for a machine and its gateway", do=advice)
    _usable(one, found.network)
    return found


def gateway(text: str, of: IPv4Interface) -> IPv4Address | None:
    """Reads the default route of a machine with the address `of`."""
    if _empty(text):
        return None
    found = _address(_line(text), f"It is an address of {of.network}, or {NOTHING} for none.")
    if found not in of.network:
        raise BadInput(f"{found} is not in {of.network}", do="A gateway lies in the machine's own network.")
    if found == of.ip:
        raise BadInput(f"{found} is the machine itself", do="The gateway is the router's address.")
    _usable(found, of.network)
    return found


def dns(text: str) -> tuple[IPv4Address, ...]:
    """Reads up to three name servers."""
    advice = f"Up to {SERVERS} addresses with blanks between them, or {NOTHING} for none."
    found = tuple(dict.fromkeys(_address(word, advice) for word in _words(text, advice)))
    for one in found:
        if one.is_unspecified or one.is_multicast or one.is_loopback:
            raise BadInput(f"{one} is no server's address", do=advice)
    return found


def ntp(text: str) -> tuple[str, ...]:
    """Reads up to three time servers."""
    advice = f"Up to {SERVERS} names or addresses with blanks between them, or {NOTHING} for none."
    return tuple(dict.fromkeys(_server(word, advice) for word in _words(text, advice)))


def name(text: str) -> str:
    """Reads the machine's name, with or without its domain."""
    found = _line(text).lower().removesuffix(".")
    advice = "Letters, digits and hyphens, with dots between its parts: jumpbox, or jumpbox.north.example."
    if not found:
        raise BadInput("a machine has a name", do=advice)
    for label in found.split("."):
        if not _LABEL.match(label):
            raise BadInput(f"{label or 'nothing'} can't be a part of a name", do=advice)
    if len(found) > 253:
        raise BadInput(f"a name of {len(found)} letters is too long", do="253 at most.")
    if found.rpartition(".")[2].isdigit():
        raise BadInput(f"{found} looks like an address", do=advice)
    if found == "localhost":
        raise BadInput("localhost is every machine's name", do="Choose another one.")
    return found


def key(text: str) -> str:
    """Reads a public SSH key, one line as in a `.pub` file."""
    advice = "One line as in a .pub file: ssh-ed25519 AAAA... comment. Never the private key."
    if "PRIVATE KEY" in text:
        raise BadInput("this is a private key, not a public one", do=advice)
    words = _line(text).split()
    if len(words) < 2 or words[0] not in public_line.KINDS:
        raise BadInput(f"this is not a public SSH key: it begins with {_short(text)}", do=advice)
    if not public_line.is_whole(words[0], words[1]):
        raise BadInput(f"the {words[0]} key is cut short or damaged", do=advice)
    return " ".join(words)


def password(text: str) -> str:
    """Reads a password; it is shown nowhere, not even in the message that refuses it."""
    advice = f"At least {PASSWORD_MINIMUM} characters."
    if not text.isprintable():
        raise BadInput(
            "there is something in it that no keyboard types again, an arrow key perhaps", do=advice
        )
    if len(text) < PASSWORD_MINIMUM:
        raise BadInput(f"it has {len(text)} characters", do=advice)
    if len(set(text)) < 5:
        raise BadInput("it is the same few characters again and again", do=advice)
    return text


def fingerprint(public: str) -> str:
    """Returns `SHA256:…` of a public key's line, as `ssh-keygen -l` shows it."""
    return public_line.fingerprint(base64.b64decode(public.split()[1]))


def _line(text: str) -> str:
    found = text.strip()
    if not found.isprintable():
        raise BadInput("there is a control character in it, an arrow key perhaps", do="Type the line again.")
    return found


def _short(text: str) -> str:
    return repr(text.strip()[:16])


def _empty(text: str) -> bool:
    return _line(text) in {"", NOTHING, "none"}


def _words(text: str, advice: str) -> list[str]:
    if _empty(text):
        return []
    found = _line(text).replace(",", " ").split()
    if len(found) > SERVERS:
        raise BadInput(f"{len(found)} are too many", do=advice)
    return found


def _server(text: str, advice: str) -> str:
    if re.fullmatch(r"[0-9.]+", text):
        return str(_address(text, advice))
    try:
        return name(text)
    except BadInput as error:
        raise BadInput(f"{text} is neither a name nor an address: {error.what}", do=advice) from None


def _address(text: str, advice: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip())
    except ValueError:
        raise BadInput(f"{_short(text)} is not an IPv4 address", do=advice) from None


def _usable(one: IPv4Address, network: IPv4Network) -> None:
    said: tuple[tuple[bool, str], ...] = (
        (one == network.network_address, f"{one} is the name of the network {network}, no machine's"),
        (one == network.broadcast_address, f"{one} is the broadcast address of {network}"),
        (one.is_multicast, f"{one} is a multicast address"),
        (one.is_loopback, f"{one} is a loopback address"),
        (one.is_link_local, f"{one} is a link-local address, which nobody routes"),
        (one.is_unspecified or int(one) >> 24 == 0 or int(one) >> 28 == 15, f"{one} is no machine's address"),
    )
    for wrong, words in said:
        if wrong:
            raise BadInput(words, do=f"One from {network[1]} to {network[-2]} is meant.")
