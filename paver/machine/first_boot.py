"""What the jumpbox learns at its first boot, as cloud-init takes it, whatever it stands on. Pure.

An IaaS brings it in its own way (vSphere's guestinfo, user data of a cloud, a CD-ROM), and there anybody may read it who
may read the machine: names, addresses and public keys are all that is in it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Mapping
from typing import Any

_HEAD = "#cloud-config\n"
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


def instance(wish: FirstBoot) -> dict[str, Any]:
    """Returns cloud-init's metadata but for the network."""
    return {
        # A constant: another one would make the machine forget its host keys at its next boot.
        "instance-id": f"paver-{wish.mac.replace(':', '')}",
        "local-hostname": wish.hostname,
    }


def network(wish: FirstBoot) -> dict[str, Any]:
    """Returns the network, in cloud-init's format of version 2."""
    card = {
        "match": {"macaddress": wish.mac},
        "dhcp4": False,
        "dhcp6": False,
        "addresses": [f"{wish.address}/{wish.prefix}"],
        # Not "default": cloud-init's networkd renderer crashes on that word.
        "routes": [{"to": "0.0.0.0/0", "via": wish.gateway}],
        "nameservers": {"addresses": list(wish.dns), "search": [wish.domain]},
    }
    return {"version": 2, "ethernets": {_CARD: card}}


def metadata(wish: FirstBoot) -> str:
    """Returns cloud-init's metadata with the network in it."""
    return text({**instance(wish), "network": network(wish)})


def userdata(wish: FirstBoot) -> str:
    """Returns cloud-init's user data: the name, and who may log in."""
    user = {
        "name": wish.user,
        "gecos": "paver",
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
        "ssh_authorized_keys": list(wish.keys),
    }
    return _HEAD + text(
        {
            "hostname": wish.hostname,
            "fqdn": f"{wish.hostname}.{wish.domain}",
            "users": [user],
            "disable_root": True,
            "ssh_pwauth": False,
        }
    )


def text(document: Mapping[str, Any]) -> str:
    """Returns a document as all of these are written: JSON, which cloud-init reads as YAML."""
    return json.dumps(document, sort_keys=True, indent=1) + "\n"


def read(told: str, users: str) -> FirstBoot | None:
    """Returns what stands in metadata and user data; None where paver did not write them."""
    try:
        card = json.loads(told)["network"]["ethernets"][_CARD]
        cloud_config = json.loads(users.partition("\n")[2])
        address = ipaddress.ip_interface(card["addresses"][0])
        (user,) = cloud_config["users"]
        return FirstBoot(
            hostname=cloud_config["hostname"],
            domain=cloud_config["fqdn"].partition(".")[2],
            user=user["name"],
            keys=tuple(user["ssh_authorized_keys"]),
            address=str(address.ip),
            prefix=address.network.prefixlen,
            gateway=card["routes"][0]["via"],
            dns=tuple(card["nameservers"]["addresses"]),
            mac=card["match"]["macaddress"],
        )
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        return None
