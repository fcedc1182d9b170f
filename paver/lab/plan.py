"""The lab plan: what a lab stands up, as frozen data that goes to JSON and back.

It says which bare hosts there are, which addresses and VLANs the "cables" have, and who gives DNS and time.
It holds the hosts' passwords, so its file is for the owner alone. It knows nothing of what paver will make
of these hosts: the vCenter, the jumpbox and all the rest come to life when something powers them on.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paver.errors import BadInput


@dataclass(frozen=True)
class Uplink:
    """A physical network card of a host, and whether its cable is in."""

    device: str
    up: bool = True


@dataclass(frozen=True)
class Datastore:
    """A VMFS datastore of a bare host."""

    name: str
    capacity_bytes: int = 2_000_000_000_000


@dataclass(frozen=True)
class Host:
    """A bare ESXi host: name in the site file, address, password of `user`, hardware, licence."""

    name: str
    address: str
    hostname: str
    password: str = dataclasses.field(repr=False)
    datastores: tuple[Datastore, ...] = (Datastore("datastore1"),)
    uplinks: tuple[Uplink, ...] = (Uplink("vmnic0"),)
    licence: str = "evaluation"
    version: str = "8.0.3"
    user: str = "root"


@dataclass(frozen=True)
class Network:
    """A network of the datacentre: on which VLAN its addresses live."""

    name: str
    cidr: str
    vlan: int


@dataclass(frozen=True)
class Plan:
    """A lab: hosts, networks, and what the site itself offers.

    `dns` and `ntp` are the addresses of such servers of the site's own; none where the jumpbox is to be
    one; `nfs` those of NFS servers, each of which has what lies in the lab's folder `nfs`, as `/export`. `records` are the names that the site's DNS knows (name to address), served forward and backward.
    """

    name: str
    zone: str
    hosts: tuple[Host, ...]
    networks: tuple[Network, ...]
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    nfs: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()

    def network_of(self, address: str) -> Network | None:
        """Returns the narrowest network that has `address`, or None."""
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return None
        inside = [network for network in self.networks if wanted in ipaddress.ip_network(network.cidr)]
        return max(inside, key=lambda network: ipaddress.ip_network(network.cidr).prefixlen, default=None)

    def on_loopback(self) -> Plan:
        """Returns the plan with every address in 127.0.0.0/8, for machines that refuse user namespaces.

        10.20.0.11 becomes 127.20.0.11: any process of this machine can reach it, and there is no airgap.
        """
        return dataclasses.replace(
            self,
            hosts=tuple(dataclasses.replace(host, address=loopback(host.address)) for host in self.hosts),
            networks=tuple(
                dataclasses.replace(network, cidr=loopback(network.cidr)) for network in self.networks
            ),
            dns=tuple(map(loopback, self.dns)),
            ntp=tuple(map(loopback, self.ntp)),
            nfs=tuple(map(loopback, self.nfs)),
            records=tuple((name, loopback(address)) for name, address in self.records),
        )

    def to_json(self) -> str:
        """Returns the plan as JSON; it holds passwords."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)


def loopback(address: str) -> str:
    """Returns an address or CIDR with its first number replaced by 127."""
    return "127." + address.split(".", 1)[1]


def from_json(text: str) -> Plan:
    """Returns the plan that `Plan.to_json` wrote.

    Raises:
        BadInput: it is not such a text.
    """
    try:
        raw = json.loads(text)
        return Plan(
            name=raw["name"],
            zone=raw["zone"],
            hosts=tuple(_host(each) for each in raw["hosts"]),
            networks=tuple(Network(**each) for each in raw["networks"]),
            dns=tuple(raw["dns"]),
            ntp=tuple(raw["ntp"]),
            nfs=tuple(raw["nfs"]),
            records=tuple((name, address) for name, address in raw["records"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("the lab's plan can't be read", why=f"{type(error).__name__}: {error}") from error


def demo(passwords: dict[str, str], *, hosts: int = 2) -> Plan:
    """Returns the plan of the demo site: `hosts` bare hosts from 10.20.0.11 on, DNS and time on the jumpbox."""
    names = [f"esx-{number:02d}" for number in range(1, hosts + 1)]
    return Plan(
        name="lab-north",
        zone="north.example",
        hosts=tuple(
            Host(
                name=name,
                address=str(ipaddress.ip_address("10.20.0.11") + index + (0 if index < 2 else 50)),
                hostname=f"{name}.north.example",
                password=passwords[name],
            )
            for index, name in enumerate(names)
        ),
        networks=(Network("mgmt", "10.20.0.0/24", 20), Network("bosh", "10.30.0.0/24", 30)),
    )


def from_site(site: Mapping[str, Any], passwords: Mapping[str, str]) -> Plan:
    """Returns the plan of a site's normalised data (`Site.normalised()`), to rehearse it.

    Args:
        site: a vSphere site.
        passwords: values of the secrets that the hosts' logins refer to, by the secret's name.

    Raises:
        BadInput: the site is of another driver, or a password is missing.
    """
    if site["driver"] != "vsphere":
        raise BadInput(f"the lab simulates vsphere, not {site['driver']}")
    services, hosts = site["site_services"], site["iaas"]["hosts"]
    zone = services["zone"]
    dns = () if services["dns"] == "jumpbox" else tuple(map(str, services["dns"]))
    ntp = () if services["ntp"] == "jumpbox" else tuple(map(str, services["ntp"]))
    # A time server that is given by name is played by the site's DNS server, if that is the site's own.
    named = tuple(each for each in ntp if not _is_address(each))
    return Plan(
        name=site["name"],
        zone=zone,
        hosts=tuple(
            Host(
                name=name,
                address=str(host["address"]),
                hostname=f"{name}.{zone}",
                password=_password(host["login"]["password"], passwords, name),
                user=host["login"]["user"],
                datastores=tuple(map(Datastore, _datastores(name, site))),
                uplinks=tuple(
                    Uplink(device)
                    for device in sorted(
                        {each for switch in host["switches"].values() for each in switch["uplinks"]}
                    )
                ),
            )
            for name, host in hosts.items()
        ),
        networks=tuple(
            Network(name, str(network["cidr"]), _vlan(network["port_group"], hosts))
            for name, network in site["networks"].items()
        ),
        dns=dns,
        ntp=tuple(
            dict.fromkeys(each if _is_address(each) else dns[0] for each in ntp if _is_address(each) or dns)
        ),
        records=(*_records(site), *((name, dns[0]) for name in named)) if dns else (),
    )


def _records(site: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    zone, iaas, services = site["site_services"]["zone"], site["iaas"], site["services"]
    machines = [(name, host["address"]) for name, host in iaas["hosts"].items()]
    parts = (site["jumpbox"], site["bucc"], services["object_store"], services["registry"])
    machines += [(part["hostname"], part["address"]) for part in parts if part["address"]]
    found = [(f"{name}.{zone}", str(address)) for name, address in machines]
    return (*found, (str(iaas["vcenter"]["fqdn"]), str(iaas["vcenter"]["address"])))


def _datastores(host: str, site: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the datastores that the site expects on a host, its own one first."""
    placed = (site["jumpbox"], site["iaas"]["vcenter"])
    others = (part.get("datastore") for part in placed if part.get("on") == host)
    own = site["iaas"]["hosts"][host]["datastore"]
    return tuple(dict.fromkeys((own, *(name for name in others if name))))


def _vlan(port_group: str | None, hosts: Mapping[str, Any]) -> int:
    found = (host["port_groups"].get(port_group) for host in hosts.values())
    return next((int(group["vlan"]) for group in found if group is not None), 0)


def _password(reference: str, passwords: Mapping[str, str], host: str) -> str:
    name = reference.removeprefix("secret:")
    if name not in passwords:
        raise BadInput(f"the lab has no password for {host}", why=f"the secret {name} was not given")
    return passwords[name]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _host(raw: dict[str, Any]) -> Host:
    fields = {
        **raw,
        "datastores": tuple(Datastore(**each) for each in raw["datastores"]),
        "uplinks": tuple(Uplink(**each) for each in raw["uplinks"]),
    }
    return Host(**fields)
