"""Who talks to whom in a vSphere site: the matrix that a firewall team asks for.

What the site file fixes (addresses, external servers) is in it by number. Traffic inside one network passes no
firewall, but is listed all the same: some sites filter it on the switch. Sources: vcsa-deploy's requirements,
BUCC's listeners, the vSphere CPI's issues 30, 207 and 208 (stemcells are uploaded to the hosts themselves).
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Iterator

from paver.drivers.vsphere import settings
from paver.sitefile.site import Site

OUTSIDE = "where paver is started"


@dataclasses.dataclass(frozen=True, order=True)
class Row:
    """One permission for the firewall.

    Attributes:
        source: who opens the connection.
        source_address: its address or network; `any` where the site doesn't fix it.
        target: who listens.
        target_address: its address or name.
        port: the port that it listens on.
        protocol: `tcp` or `udp`.
        why: what for.
    """

    source: str
    source_address: str
    target: str
    target_address: str
    port: int
    protocol: str
    why: str


@dataclasses.dataclass(frozen=True)
class _End:
    name: str
    address: str

    def to(self, target: _End, port: int, why: str, protocol: str = "tcp") -> Row:
        return Row(self.name, self.address, target.name, target.address, port, protocol, why)


def ports(site: Site) -> tuple[Row, ...]:
    """Returns the matrix of a site, in the order of the phases; no row twice."""
    return tuple(dict.fromkeys(_rows(site)))


def _rows(site: Site) -> Iterator[Row]:
    wished = settings.of(site)
    outside = _End(OUTSIDE, "any")
    jumpbox = _End("jumpbox", str(site.jumpbox.address))
    hosts = [_End(name, str(host.address)) for name, host in wished.hosts.items()]
    vcenter = _End("vcenter", str(wished.vcenter.address))
    director = _End("director", str(site.bucc.address))
    bosh = [_End(f"network {name}", str(n.cidr)) for name, n in site.networks.items() if n.az]
    yield outside.to(jumpbox, 22, "hand-off, reading what lies behind the jumpbox")
    for host in hosts:
        yield outside.to(host, 443, "host API, upload of the jumpbox")
        yield jumpbox.to(host, 443, "host API, upload of vCenter's disks")
    yield from _site_services(site, [jumpbox, *hosts, vcenter, director, *bosh], jumpbox)
    yield jumpbox.to(vcenter, 443, "vCenter API")
    yield jumpbox.to(vcenter, 5480, "the appliance's own API: progress and state of its installation")
    for host in hosts:
        yield vcenter.to(host, 443, "host API")
        yield vcenter.to(host, 902, "management agent, consoles")
        yield vcenter.to(host, 902, "management agent", "udp")
        yield host.to(vcenter, 902, "heartbeat")
        yield host.to(vcenter, 902, "heartbeat", "udp")
    yield from _bosh(jumpbox, vcenter, director, hosts, bosh)
    yield from _services(site, jumpbox, director, bosh)


def _site_services(site: Site, clients: list[_End], jumpbox: _End) -> Iterator[Row]:
    dns = [jumpbox] if site.dns_on_jumpbox else [_End("DNS", str(address)) for address in site.dns]
    ntp = [jumpbox] if site.ntp_on_jumpbox else [_End("NTP", server) for server in site.ntp]
    for client in clients:
        for server in dns:
            if server != client:
                yield client.to(server, 53, "names, forward and backward", "udp")
                yield client.to(server, 53, "names, forward and backward")
        for server in ntp:
            if server != client:
                yield client.to(server, 123, "time", "udp")
    for address in site.site_services.forwarders if site.dns_on_jumpbox else ():
        yield jumpbox.to(_End("DNS", str(address)), 53, "names outside of the zone", "udp")
        yield jumpbox.to(_End("DNS", str(address)), 53, "names outside of the zone")


def _bosh(jumpbox: _End, vcenter: _End, director: _End, hosts: list[_End], bosh: list[_End]) -> Iterator[Row]:
    for port, why in (
        (22, "SSH, through the director to its VMs"),
        (6868, "agent, while `bucc up` makes the director"),
        (25555, "director"),
        (8443, "UAA"),
        (8844, "CredHub"),
        (443, "Concourse"),
        (8200, "vault-credhub-proxy"),
    ):
        yield jumpbox.to(director, port, why)
    yield director.to(vcenter, 443, "vCenter API, used by the CPI")
    for host in hosts:
        yield director.to(host, 443, "upload of stemcells")
    for network in bosh:
        for port, why in (
            (4222, "NATS, from the agents"),
            (25250, "blobstore, from the agents"),
            (2222, "TSA, from Concourse's workers"),
            (8443, "UAA"),
            (8844, "CredHub"),
        ):
            yield network.to(director, port, why)
        yield director.to(network, 22, "SSH to VMs")


def _services(site: Site, jumpbox: _End, director: _End, bosh: list[_End]) -> Iterator[Row]:
    store, registry = site.services.object_store, site.services.registry
    targets = (
        ("object store", store.address, store.port, store.external, "objects"),
        ("registry", registry.address, registry.port, registry.external, "images"),
    )
    for name, address, port, external, why in targets:
        url = urllib.parse.urlsplit(external.endpoint if external else f"https://{address}:{port}")
        target = _End(name, url.hostname or "")
        for client in (jumpbox, director, *bosh):
            yield client.to(target, url.port or 443, why)
    yield _End("users", "any").to(director, 443, "Concourse")
