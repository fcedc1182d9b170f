"""What the jumpbox learns at its first boot, as cloud-init's DataSourceVMware reads it. Pure.

guestinfo stays readable for anyone who may read the VM: names, addresses and public keys are all that is in it.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import gzip
import hashlib
import ipaddress
import json
import zlib
from collections.abc import Mapping
from typing import Any

from paver.driver import BadInput

LARGEST = 60_000
"""Bytes that one value may have; the VMX takes about 64 KiB."""

METADATA = "guestinfo.metadata"
USERDATA = "guestinfo.userdata"
_ENCODING = "gzip+base64"
_CARD = "nic0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstBoot:
    """Name, network and users of the machine.

    Attributes:
        hostname: without the zone.
        domain: the zone.
        user: the account that the keys are for.
        keys: public keys of those who may log in.
        address: with `prefix`, the machine's address.
        gateway: the default route.
        dns: name servers.
        mac: of the card that all this is for.
    """

    hostname: str
    domain: str
    user: str
    keys: tuple[str, ...]
    address: str
    prefix: int
    gateway: str
    dns: tuple[str, ...]
    mac: str


def mac_of(site: str, machine: str) -> str:
    """Returns the address of a machine's card: always the same, in the range that VMware leaves for manual ones.

    A card is told by its MAC address, since its name depends on the slot that the host chooses.
    """
    number = int.from_bytes(hashlib.sha256(f"paver/{site}/{machine}".encode()).digest()[:3], "big") & 0x3FFFFF
    digits = f"{number:06x}"
    return f"00:50:56:{digits[:2]}:{digits[2:4]}:{digits[4:]}"


def guestinfo(wish: FirstBoot) -> dict[str, str]:
    """Returns the VM's extraConfig.

    Raises:
        BadInput: if it does not fit.
    """
    found: dict[str, str] = {}
    for key, text in ((METADATA, _metadata(wish)), (USERDATA, "#cloud-config\n" + _userdata(wish))):
        value = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
        if len(value) > LARGEST:
            raise BadInput(
                f"the first-boot data of {wish.hostname} does not fit into {key}",
                seen=f"{len(value)} bytes, {LARGEST} at most",
                do="give fewer keys under jumpbox.ssh_keys",
            )
        found |= {key: value, f"{key}.encoding": _ENCODING}
    return found


def read(extra: Mapping[str, str]) -> FirstBoot | None:
    """Returns what stands in a VM's extraConfig; None where it was not written by paver."""
    try:
        metadata = json.loads(decoded(extra[METADATA]))
        userdata = json.loads(decoded(extra[USERDATA]).partition("\n")[2])
        card = metadata["network"]["ethernets"][_CARD]
        address = ipaddress.ip_interface(card["addresses"][0])
        (user,) = userdata["users"]
        return FirstBoot(
            hostname=userdata["hostname"],
            domain=userdata["fqdn"].partition(".")[2],
            user=user["name"],
            keys=tuple(user["ssh_authorized_keys"]),
            address=str(address.ip),
            prefix=address.network.prefixlen,
            gateway=card["routes"][0]["via"],
            dns=tuple(card["nameservers"]["addresses"]),
            mac=card["match"]["macaddress"],
        )
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, EOFError, zlib.error):
        return None


def _metadata(wish: FirstBoot) -> str:
    card = {
        "match": {"macaddress": wish.mac},
        "dhcp4": False,
        "dhcp6": False,
        "addresses": [f"{wish.address}/{wish.prefix}"],
        # Not "default": cloud-init's networkd renderer crashes on that word.
        "routes": [{"to": "0.0.0.0/0", "via": wish.gateway}],
        "nameservers": {"addresses": list(wish.dns), "search": [wish.domain]},
    }
    return _json(
        {
            # A constant: another one would make the machine forget its host keys at its next boot.
            "instance-id": f"paver-{wish.mac.replace(':', '')}",
            "local-hostname": wish.hostname,
            "network": {"version": 2, "ethernets": {_CARD: card}},
        }
    )


def _userdata(wish: FirstBoot) -> str:
    user = {
        "name": wish.user,
        "gecos": "paver",
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
        "ssh_authorized_keys": list(wish.keys),
    }
    return _json(
        {
            "hostname": wish.hostname,
            "fqdn": f"{wish.hostname}.{wish.domain}",
            "users": [user],
            "disable_root": True,
            "ssh_pwauth": False,
        }
    )


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=1) + "\n"


def decoded(value: str) -> str:
    """Returns a value of `guestinfo` as text.

    Raises:
        ValueError: it is not gzip in base64, or not text.
        OSError: likewise.
    """
    try:
        return gzip.decompress(base64.b64decode(value, validate=True)).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from error
