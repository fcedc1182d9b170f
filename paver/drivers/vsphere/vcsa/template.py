"""The JSON template for vCenter's installer, built from frozen inputs. Pure.

It leaves nothing open: a thumbprint and every password are in it, since the installer would ask otherwise, and
wait for ever. The text holds passwords: it belongs into a file of mode 0600 that ends with the job.
Sources: VMware's documentation "JSON Templates for CLI Deployment", templates of the ISO, version 2.13.0.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import get_args

from paver.driver import BadInput
from paver.drivers.vsphere import settings
from paver.sealed import passwords
from paver.sitefile.addresses import is_address

VERSION = "2.13.0"
"""Of the template; 6.7, 7.0 and 8.0 take it, and 9.0 was seen to."""

_THUMBPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){19}")
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_FQDN = re.compile(rf"{_LABEL}(\.{_LABEL})+")


OPTIONS = frozenset(get_args(settings.Size))
"""All deployment options that the template knows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Appliance:
    """A vCenter to be installed onto an ESXi host.

    Attributes:
        host: address or name of the ESXi host.
        thumbprint: SHA-1 of its certificate, `AB:CD:…`; see `thumbprint`.
        port_group: the standard port group that its card is put on.
        name: of the VM.
        size: a deployment option, such as `tiny`.
        prefix: length of the network's prefix.
        dns: its DNS servers; the installer and the appliance must get the same answers.
        fqdn: its name, known to those servers both ways; or its address, for a vCenter without a name.
        ntp: its time servers; empty: it takes the time from the host.
    """

    host: str
    user: str
    password: str = dataclasses.field(repr=False)
    thumbprint: str
    port_group: str
    datastore: str
    name: str
    size: str
    thin: bool = True
    address: str
    prefix: int
    gateway: str
    dns: tuple[str, ...]
    fqdn: str
    ntp: tuple[str, ...] = ()
    root_password: str = dataclasses.field(repr=False)
    ssh: bool = False
    sso_password: str = dataclasses.field(repr=False)
    sso_domain: str = "vsphere.local"


def thumbprint(certificate: bytes) -> str:
    """Returns the SHA-1 thumbprint, `AB:CD:…`, of a certificate in DER.

    The deployment API's own text says so up to 9.0 ("SHA1 thumbprint of the server SSL certificate", `Vcenter Deployment
    LocationSpec.ssl_thumbprint`); that 9's installer takes it nobody ran: its precheck, before anything is made, would
    tell. What paver itself relies on is the SHA-256 that the site file pins:
    this is taken from the very certificate that was compared with that.
    """
    return hashlib.sha1(certificate, usedforsecurity=False).digest().hex(":").upper()


def build(appliance: Appliance) -> dict[str, object]:
    """Returns the template.

    Raises:
        BadInput: the installer would refuse it, or ask; all of it in one error.
    """
    if wrong := faults(appliance):
        raise BadInput(
            f"vCenter's installer would not take the appliance {appliance.name!r}",
            seen="\n".join(wrong),
            do="correct it in the site file, or the password in the sealed store",
        )
    time: dict[str, object] = (
        {"ntp_servers": list(appliance.ntp)} if appliance.ntp else {"time_tools_sync": True}
    )
    return {
        "__version": VERSION,
        "new_vcsa": {
            "esxi": {
                "hostname": appliance.host,
                "username": appliance.user,
                "password": appliance.password,
                "deployment_network": appliance.port_group,
                "datastore": appliance.datastore,
                "ssl_certificate_verification": {"thumbprint": appliance.thumbprint},
            },
            "appliance": {
                "thin_disk_mode": appliance.thin,
                "deployment_option": appliance.size,
                "name": appliance.name,
            },
            "network": {
                "ip_family": "ipv4",
                "mode": "static",
                "ip": appliance.address,
                "prefix": str(appliance.prefix),
                "gateway": appliance.gateway,
                "dns_servers": list(appliance.dns),
                "system_name": appliance.fqdn,
            },
            "os": {"password": appliance.root_password, "ssh_enable": appliance.ssh, **time},
            "sso": {"password": appliance.sso_password, "domain_name": appliance.sso_domain},
        },
        "ceip": {"settings": {"ceip_enabled": False}},
    }


def to_json(appliance: Appliance) -> str:
    """Returns the template as the text of its file; the same inputs give the same text.

    Raises:
        BadInput: as `build`.
    """
    return json.dumps(build(appliance), indent=2, sort_keys=True) + "\n"


def faults(appliance: Appliance) -> tuple[str, ...]:
    """Returns what the installer would have against the inputs, in words without any password."""
    found = []
    if not _THUMBPRINT.fullmatch(appliance.thumbprint):
        found.append("thumbprint: it is no SHA-1 in the form AB:CD:…, so the installer would ask")
    if appliance.size not in OPTIONS:
        found.append(f"size: {appliance.size!r} is none of {', '.join(sorted(OPTIONS))}")
    needed = ("host", "user", "port_group", "datastore", "name")
    found += [f"{key}: it is empty" for key in needed if not getattr(appliance, key)]
    if len(appliance.name) > 80 or set(appliance.name) & set("%/\\"):
        found.append("name: it has more than 80 characters, or one of % / \\")
    found += _network_faults(appliance)
    if not appliance.password:
        found.append("password of the host: it is blank, so the installer would ask")
    for what, password in (
        ("password of root", appliance.root_password),
        ("password of the SSO administrator", appliance.sso_password),
    ):
        found += [f"{what}: {fault}" for fault in passwords.check("vcenter", password)]
    if not _FQDN.fullmatch(appliance.sso_domain):
        found.append(f"SSO domain: {appliance.sso_domain!r} is not a domain name")
    return tuple(found)


def _network_faults(appliance: Appliance) -> list[str]:
    found = []
    if not 1 <= appliance.prefix <= 32:
        found.append(f"prefix: {appliance.prefix} is not the length of an IPv4 prefix")
    for what, addresses in (
        ("address", (appliance.address,)),
        ("gateway", (appliance.gateway,)),
        ("DNS server", appliance.dns),
    ):
        found += [f"{what}: {each!r} is not an IPv4 address" for each in addresses if not is_address(each)]
    if not appliance.dns:
        found.append(
            "DNS servers: there are none; where the site has no DNS, 127.0.0.1 and an address as name"
        )
    if not is_address(appliance.fqdn):
        if not _FQDN.fullmatch(appliance.fqdn):
            found.append(f"name: {appliance.fqdn!r} is neither a full domain name nor an address")
    elif appliance.fqdn != appliance.address:
        found.append(f"name: {appliance.fqdn} is an address other than the appliance's {appliance.address}")
    return found
