"""The JSON template of vCenter's installer, as the installer judges it. Pure.

Structure and rules are those of version 2.13.0 (vCenter 6.7 to 9.0), for a deployment onto an ESXi host. It
knows nothing of how paver writes templates: it is the one that judges them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

VERSION = "2.13.0"
SIZES = {"tiny": (2, 14), "small": (4, 21), "medium": (8, 30), "large": (16, 39), "xlarge": (24, 58)}
"""Virtual CPUs and GiB of memory (8.0); the larger disks of `-lstorage` and `-xlstorage` change neither."""

_OPTIONS = {f"{size}{disks}" for size in SIZES for disks in ("", "-lstorage", "-xlstorage")}
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_FORBIDDEN = set("*{}[]()/\\'\"`~,;:.<> ")
_IN_A_ROW = 3

# Key → (type, whether it must be there). A nested table is an object.
_NETWORK = {
    "ip_family": (str, False),
    "mode": (str, True),
    "ip": (str, False),
    "prefix": (str, False),
    "gateway": (str, False),
    "dns_servers": (list, False),
    "system_name": (str, False),
    "ports": (dict, False),
}
_SHAPE: dict[str, Any] = {
    "new_vcsa": {
        "esxi": {
            "hostname": (str, True),
            "username": (str, True),
            "password": (str, False),
            "deployment_network": (str, True),
            "datastore": (str, False),
            "VCSA_cluster": (dict, False),
            "ssl_certificate_verification": (dict, False),
        },
        "appliance": {
            "thin_disk_mode": (bool, True),
            "deployment_option": (str, True),
            "name": (str, True),
            "image": (str, False),
        },
        "network": _NETWORK,
        "os": {
            "password": (str, False),
            "ssh_enable": (bool, True),
            "ntp_servers": ((str, list), False),
            "time_tools_sync": (bool, False),
        },
        "sso": {"password": (str, False), "domain_name": (str, True)},
        "ovftool_arguments": (dict, False),
    },
    "ceip": {"settings": {"ceip_enabled": (bool, True)}},
}
_NAMES = {str: "string", bool: "boolean", list: "array", dict: "object"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """What the template asks for. Passwords are blank where the installer would ask for them."""

    host: str
    username: str
    password: str = dataclasses.field(repr=False)
    port_group: str
    datastore: str
    thumbprint: str
    unverified: bool
    thin: bool
    option: str
    name: str
    address: str
    prefix: int
    gateway: str
    dns: tuple[str, ...]
    system_name: str
    root_password: str = dataclasses.field(repr=False)
    ssh: bool
    ntp: tuple[str, ...]
    sso_password: str = dataclasses.field(repr=False)
    sso_domain: str
    ceip: bool


class TemplateError(Exception):
    """The installer refuses the template; the message is for its log."""


def read(raw: Any) -> Template:
    """Judges a template that was read from JSON.

    Raises:
        TemplateError: the first step that fails, with all that is wrong in it.
    """
    _version(raw)
    _all(_structure(raw, _SHAPE, "", top=True))
    esxi, appliance, network, system, sso = (
        raw["new_vcsa"][key] for key in ("esxi", "appliance", "network", "os", "sso")
    )
    _all(_values(raw))
    verification = esxi.get("ssl_certificate_verification", {})
    ntp = system.get("ntp_servers", [])
    return Template(
        host=esxi["hostname"],
        username=esxi["username"],
        password=esxi.get("password", ""),
        port_group=esxi["deployment_network"],
        datastore=esxi["datastore"],
        thumbprint=str(verification.get("thumbprint", "")),
        unverified=verification.get("verification_mode") == "NONE",
        thin=appliance["thin_disk_mode"],
        option=appliance["deployment_option"],
        name=appliance["name"],
        address=network["ip"],
        prefix=int(network["prefix"]),
        gateway=network["gateway"],
        dns=tuple(network["dns_servers"]),
        system_name=network.get("system_name", network["ip"]),
        root_password=system.get("password", ""),
        ssh=system["ssh_enable"],
        ntp=tuple(part.strip() for part in ntp.split(",")) if isinstance(ntp, str) else tuple(ntp),
        sso_password=sso.get("password", ""),
        sso_domain=sso["domain_name"],
        ceip=raw["ceip"]["settings"]["ceip_enabled"],
    )


def password_faults(password: str) -> list[str]:
    """Returns what the appliance (root) or its directory (SSO) has against a password."""
    found = []
    if not 8 <= len(password) <= 20:
        found.append("must be between 8 and 20 characters long")
    if any(not "!" <= char <= "~" for char in password):
        found.append("must contain only visible ASCII characters")
    kinds = (str.isupper, str.islower, str.isdigit, lambda char: not char.isalnum())
    names = ("an uppercase letter", "a lowercase letter", "a digit", "a special character")
    found += [
        f"must contain {name}"
        for kind, name in zip(kinds, names, strict=True)
        if not any(map(kind, password))
    ]
    if set(password) & _FORBIDDEN:
        found.append("contains a character that is not allowed")
    if any(len([*same]) > _IN_A_ROW for _, same in itertools.groupby(password)):
        found.append("contains too many identical adjacent characters")
    return found


def _version(raw: Any) -> None:
    if not isinstance(raw, dict):
        raise TemplateError("The template is not a JSON object.")
    if "target.vcsa" in raw or raw.get("__version") != VERSION:
        raise TemplateError(
            f"Template version processing failed: version {raw.get('__version')!r} is not supported, "
            f"the supported version is '{VERSION}'."
        )


def _all(problems: Iterator[str]) -> None:
    found = list(problems)
    if found:
        raise TemplateError("Template structure validation failed: " + " ".join(found))


def _structure(raw: Any, shape: Mapping[str, Any], path: str, *, top: bool = False) -> Iterator[str]:
    where = path or "the template"
    if not isinstance(raw, dict):
        yield f"{where} is not an object."
        return
    known = set(shape) | {key for key in raw if key.startswith("__")}
    yield from (f"{where}: the key '{key}' is not recognized." for key in sorted(raw.keys() - known))
    for key, wanted in shape.items():
        name = f"{path}.{key}" if path else key
        if isinstance(wanted, dict):
            if key in raw:
                yield from _structure(raw[key], wanted, name)
            else:
                yield f"{where}: the required section '{key}' is missing."
            continue
        kind, required = wanted
        if key not in raw:
            if required:
                yield f"{where}: the required key '{key}' is missing."
        elif not isinstance(raw[key], kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            yield f"{name} is not of type '{' or '.join(_NAMES[each] for each in kinds)}'."
    if top and "__version" not in raw:
        yield "the required key '__version' is missing."


def _values(raw: Mapping[str, Any]) -> Iterator[str]:
    esxi, appliance, network, system, sso = (
        raw["new_vcsa"][key] for key in ("esxi", "appliance", "network", "os", "sso")
    )
    needed = ("hostname", "username", "deployment_network", "datastore")
    yield from (f"new_vcsa.esxi.{key}: it is empty." for key in needed if esxi.get(key) == "")
    if ("datastore" in esxi) == ("VCSA_cluster" in esxi):
        yield "new_vcsa.esxi: exactly one of 'datastore' and 'VCSA_cluster' is required."
    elif "VCSA_cluster" in esxi:
        yield "new_vcsa.esxi.VCSA_cluster: this stand-in does not simulate vSAN."
    verification = esxi.get("ssl_certificate_verification", {})
    mode = verification.get("verification_mode")
    if mode is not None and mode != "NONE":
        yield f"new_vcsa.esxi.ssl_certificate_verification.verification_mode: {mode!r} is not one of ['NONE']."
    if appliance["deployment_option"] not in _OPTIONS:
        yield (
            f"new_vcsa.appliance.deployment_option: {appliance['deployment_option']!r} is not one of {sorted(_OPTIONS)}."
        )
    if not 1 <= len(appliance["name"]) <= 80 or set(appliance["name"]) & set("%/\\"):
        yield "new_vcsa.appliance.name: it must have 1 to 80 characters and none of % / \\."
    yield from _network(network)
    if ("ntp_servers" in system) == ("time_tools_sync" in system):
        yield "new_vcsa.os: exactly one of 'ntp_servers' and 'time_tools_sync' is required."
    for section, name in ((system, "os"), (sso, "sso")):
        if section.get("password"):
            yield from (
                f"new_vcsa.{name}.password {fault}." for fault in password_faults(section["password"])
            )
    if not _HOSTNAME.fullmatch(sso["domain_name"]) or "." not in sso["domain_name"]:
        yield f"new_vcsa.sso.domain_name: {sso['domain_name']!r} is not a domain name."


def _network(network: Mapping[str, Any]) -> Iterator[str]:
    if network.get("ip_family", "ipv4") != "ipv4" or network["mode"] != "static":
        yield "new_vcsa.network: this stand-in simulates ip_family 'ipv4' and mode 'static' only."
        return
    missing = sorted({"ip", "prefix", "gateway", "dns_servers"} - network.keys())
    if missing:
        yield f"new_vcsa.network: mode 'static' requires {', '.join(missing)}."
        return
    if not re.fullmatch(r"[0-9]{1,2}", network["prefix"]) or int(network["prefix"]) > 32:
        yield f"new_vcsa.network.prefix: {network['prefix']!r} is not a prefix."
    for key in ("ip", "gateway"):
        if not _is_address(network[key]):
            yield f"new_vcsa.network.{key}: {network[key]!r} is not an IPv4 address."
    if not network["dns_servers"] or not all(_is_address(each) for each in network["dns_servers"]):
        yield "new_vcsa.network.dns_servers: a list of at least one IP address is required."
    name = network.get("system_name", network["ip"])
    if not _HOSTNAME.fullmatch(name) or "." not in name:
        yield f"new_vcsa.network.system_name: {name!r} is not a fully qualified domain name or an IP address."
    if _is_address(name) and name != network["ip"]:
        yield "new_vcsa.network.system_name: it is an IP address other than the appliance's."


def _is_address(text: Any) -> bool:
    try:
        return isinstance(ipaddress.ip_address(str(text)), ipaddress.IPv4Address)
    except ValueError:
        return False
