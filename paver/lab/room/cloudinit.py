"""What cloud-init's DataSourceVMware would make of a VM's guestinfo. Pure: values in, a `Seed` out.

Followed is cloud-init 25.1 (`DataSourceVMware.py`, `process_metadata`) with the networkd renderer of a Debian
without netplan, refusals included: bad user data makes no user, a route to "default" crashes the renderer, a
wildcard in a match never matches. What a real first boot would do beyond that is named in `ignored`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import ipaddress
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_KNOWN = frozenset({"users", "write_files", "ssh_keys", "hostname", "fqdn", "preserve_hostname"})
# The names that a first vmxnet3 card gets on this virtual hardware.
_FIRST_CARD = frozenset({"ens192", "eth0"})
_GZIP = frozenset({"gzip+base64", "gz+b64"})
_BASE64 = frozenset({"base64", "b64"})


@dataclass(frozen=True)
class User:
    """A user that the first boot makes."""

    name: str
    keys: tuple[str, ...]
    shell: str = "/bin/bash"
    sudo: bool = False


@dataclass(frozen=True)
class File:
    """A file that the first boot writes."""

    path: str
    content: bytes
    mode: int
    append: bool


@dataclass(frozen=True)
class Card:
    """A network card as configured: which of the VM's it is, its addresses, its resolvers, its gateways."""

    mac: str
    addresses: tuple[str, ...]
    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seed:
    """All that a machine learns at its first boot; `warnings` and `ignored` go to its console."""

    instance: str
    hostname: str
    users: tuple[User, ...] = ()
    files: tuple[File, ...] = ()
    cards: tuple[Card, ...] = ()
    host_key: tuple[str, str] | None = None
    warnings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def seed(guestinfo: Mapping[str, str], macs: tuple[str, ...]) -> Seed:
    """Returns what a VM with the cards `macs` (in order) makes of its `guestinfo.*` values."""
    warnings: list[str] = []
    metadata = _document("metadata", guestinfo, warnings)
    userdata = _user_data(guestinfo, warnings)
    cards = _cards(metadata, macs, warnings)
    ignored = tuple(f"{key}: not acted upon by the lab" for key in userdata if key not in _KNOWN)
    name = (
        userdata.get("hostname") or metadata.get("local-hostname") or metadata.get("hostname") or "localhost"
    )
    return Seed(
        instance=str(metadata.get("instance-id", "iid-vmware")),
        hostname=str(name),
        users=_users(userdata, warnings),
        files=_files(userdata, warnings),
        cards=cards,
        host_key=_host_key(userdata),
        warnings=tuple(warnings),
        ignored=ignored,
    )


def decode(value: str, encoding: str) -> str:
    """Returns a guestinfo value as text.

    Raises:
        ValueError: it is not what its encoding says.
    """
    if not encoding:
        return value
    try:
        raw = base64.b64decode(value, validate=True)
        if encoding in _GZIP:
            raw = gzip.decompress(raw)
        elif encoding not in _BASE64:
            raise ValueError(f"unknown encoding {encoding}")
        return raw.decode()
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"not {encoding}: {error}") from error


def _document(name: str, guestinfo: Mapping[str, str], warnings: list[str]) -> dict[str, Any]:
    value = guestinfo.get(f"guestinfo.{name}", "")
    if not value:
        warnings.append(f"guestinfo.{name} is not set")
        return {}
    try:
        loaded = yaml.safe_load(decode(value, guestinfo.get(f"guestinfo.{name}.encoding", "")))
    except (ValueError, yaml.YAMLError) as error:
        warnings.append(f"guestinfo.{name} can't be read: {error}")
        return {}
    if not isinstance(loaded, dict):
        warnings.append(f"guestinfo.{name} is no mapping")
        return {}
    return loaded


def _user_data(guestinfo: Mapping[str, str], warnings: list[str]) -> dict[str, Any]:
    value = guestinfo.get("guestinfo.userdata", "")
    if not value:
        warnings.append("guestinfo.userdata is not set")
        return {}
    try:
        text = decode(value, guestinfo.get("guestinfo.userdata.encoding", ""))
    except ValueError as error:
        warnings.append(f"guestinfo.userdata can't be read: {error}")
        return {}
    if not text.startswith("#cloud-config"):
        warnings.append("guestinfo.userdata is not cloud-config: its first line is not #cloud-config")
        return {}
    return _document("userdata", guestinfo, warnings)


def _cards(metadata: Mapping[str, Any], macs: tuple[str, ...], warnings: list[str]) -> tuple[Card, ...]:
    network = metadata.get("network")
    if isinstance(network, str):
        encoding = metadata.get("network.encoding", "")
        try:
            network = yaml.safe_load(decode(network, str(encoding)))
        except (ValueError, yaml.YAMLError) as error:
            warnings.append(f"network can't be read: {error}")
            return ()
    if isinstance(network, dict) and "config" in network:
        network = network["config"]
    if not isinstance(network, dict):
        warnings.append("no network is configured: the card asks a DHCP server, and there is none")
        return ()
    if network.get("version") != 2:
        warnings.append(f"network: version {network.get('version')!r} is not rendered by the lab, only 2 is")
        return ()
    found = []
    for key, raw in _mapping(network.get("ethernets")).items():
        try:
            found.append(_card(str(key), raw, macs))
        except (ValueError, TypeError, AttributeError) as error:
            # The real renderer writes all files or none, so one bad card leaves the machine without network.
            warnings.append(f"network: {key}: {error}")
            return ()
    return tuple(found)


def _card(key: str, raw: Mapping[str, Any], macs: tuple[str, ...]) -> Card:
    for route in _list(raw.get("routes")):
        if str(route.get("to")) == "default":
            raise ValueError('the networkd renderer crashes on a route to "default": write 0.0.0.0/0')
        ipaddress.ip_network(str(route.get("to")))
        ipaddress.ip_address(str(route.get("via")))
    resolvers = _mapping(raw.get("nameservers"))
    addresses = tuple(str(ipaddress.ip_interface(str(each))) for each in _list(raw.get("addresses")))
    if any("/" not in str(each) for each in _list(raw.get("addresses"))):
        raise ValueError("an address without a prefix length")
    return Card(
        mac=_matched(key, _mapping(raw.get("match")), macs),
        addresses=addresses,
        nameservers=tuple(str(ipaddress.ip_address(str(each))) for each in _list(resolvers.get("addresses"))),
        search=tuple(str(each) for each in _list(resolvers.get("search"))),
        gateways=tuple(str(route["via"]) for route in _list(raw.get("routes"))),
    )


def _matched(key: str, match: Mapping[str, Any], macs: tuple[str, ...]) -> str:
    mac = match.get("macaddress")
    if mac is not None:
        if str(mac).lower() not in {each.lower() for each in macs}:
            raise ValueError(f"no card has the MAC address {mac}")
        return str(mac).lower()
    driver = match.get("driver")
    name = str(match.get("name", "" if driver else key))
    if not macs:
        raise ValueError("the machine has no card")
    if driver == "vmxnet3" or name in _FIRST_CARD:
        return macs[0].lower()
    if any(sign in name for sign in "*?["):
        raise ValueError(
            f"a match by {name!r} is written as the entry's own name, which no card has: name the card"
        )
    raise ValueError(f"no card is called {name or driver!r}")


def _users(userdata: Mapping[str, Any], warnings: list[str]) -> tuple[User, ...]:
    found = []
    for raw in _list(userdata.get("users")):
        if raw == "default":
            continue
        if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
            warnings.append("users: an entry without a name makes no user")
            continue
        keys = raw.get("ssh_authorized_keys")
        keys = (keys,) if isinstance(keys, str) else _list(keys)
        shell, sudo = str(raw.get("shell", "/bin/bash")), bool(raw.get("sudo"))
        found.append(User(raw["name"], tuple(str(each) for each in keys), shell, sudo))
    return tuple(found)


def _files(userdata: Mapping[str, Any], warnings: list[str]) -> tuple[File, ...]:
    found = []
    for raw in _list(userdata.get("write_files")):
        try:
            content = raw.get("content", "")
            encoding = {"gzip": "gzip+base64", "gz": "gzip+base64"}.get(
                raw.get("encoding", ""), raw.get("encoding", "")
            )
            text = (
                content.encode()
                if isinstance(content, str) and not encoding
                else _raw(content, str(encoding))
            )
            mode = int(str(raw.get("permissions", "0644")), 8)
            found.append(File(str(raw["path"]), text, mode, bool(raw.get("append", False))))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            warnings.append(f"write_files: an entry is not written: {type(error).__name__}: {error}")
    return tuple(found)


def _raw(content: Any, encoding: str) -> bytes:
    if isinstance(content, bytes):
        return content
    raw = base64.b64decode(str(content), validate=True)
    return gzip.decompress(raw) if encoding in _GZIP | {"gzip+b64", "gz+base64"} else raw


def _host_key(userdata: Mapping[str, Any]) -> tuple[str, str] | None:
    keys = userdata.get("ssh_keys")
    if not isinstance(keys, dict) or "ed25519_private" not in keys or "ed25519_public" not in keys:
        return None
    return str(keys["ed25519_private"]), str(keys["ed25519_public"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
