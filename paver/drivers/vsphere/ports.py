"""Who talks to whom because a site stands on vSphere: the driver's part of the firewall team's matrix.

What the site file fixes (addresses, external servers) is in it by number. Traffic inside one network passes no
firewall, but is listed all the same: some sites filter it on the switch. Sources: vcsa-deploy's requirements,
the vSphere CPI's issues 30, 207 and 208 (stemcells are uploaded to the hosts themselves); between hosts Broadcom's ports
of vSphere (stemcells are copied from datastore to datastore). Of those left out, since nothing of a site uses it: what
vCenter asks of I/O filters (9080), of hardware (5989) and for updates of hosts (9084), vSAN, fault tolerance, replication.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from paver.driver import End, Port
from paver.drivers.vsphere import settings
from paver.sitefile.site import Site
from paver.transport import nfs_url

OUTSIDE = "where paver is started"


def ports(site: Site) -> tuple[Port, ...]:
    """Returns the driver's rows of the matrix, in the order of the phases; none twice."""
    return tuple(dict.fromkeys(_all(site)))


def _all(site: Site) -> Iterator[Port]:
    wished = settings.of(site)
    outside = End(OUTSIDE, "any")
    jumpbox = End("jumpbox", str(site.jumpbox.address))
    hosts = [End(name, str(host.address)) for name, host in wished.hosts.items()]
    vcenter = End("vcenter", str(wished.vcenter.address))
    director = End("director", str(site.bucc.address))
    bosh = [End(f"network {name}", str(n.cidr)) for name, n in site.networks.items() if n.az]
    yield outside.to(jumpbox, 22, "hand-off, reading what lies behind the jumpbox")
    for host in hosts:
        yield outside.to(host, 443, "host API, upload of the jumpbox")
        yield jumpbox.to(host, 443, "host API, upload of vCenter's disks")
    yield from _site_services(site, [jumpbox, *hosts, vcenter, director, *bosh], jumpbox)
    yield from _installer(wished, jumpbox)
    yield jumpbox.to(vcenter, 443, "vCenter API")
    yield jumpbox.to(vcenter, 5480, "the appliance's own API: progress and state of its installation")
    for host in hosts:
        yield vcenter.to(host, 443, "host API")
        yield vcenter.to(host, 902, "management agent, consoles")
        yield vcenter.to(host, 902, "management agent", "udp")
        yield host.to(vcenter, 902, "heartbeat")
        yield host.to(vcenter, 902, "heartbeat", "udp")
    yield from _between_hosts(site, wished)
    yield director.to(vcenter, 443, "vCenter API, used by the CPI")
    for host in hosts:
        yield director.to(host, 443, "upload of stemcells")


def _between_hosts(site: Site, wished: settings.Settings) -> Iterator[Port]:
    ends = {name: End(name, str(host.address)) for name, host in wished.hosts.items()}
    clusters = wished.inventory.clusters
    carrying = {
        name for network in site.networks.values() if network.az for name in wished.clusters_of(network.az)
    }
    for one, other in _pairs(name for cluster in carrying for name in clusters[cluster].hosts):
        yield ends[one].to(ends[other], 902, "copies of stemcells from datastore to datastore")
    for one, other in sorted(
        pair for cluster in clusters.values() if cluster.drs for pair in _pairs(cluster.hosts)
    ):
        yield ends[one].to(ends[other], 8000, "vMotion, if the hosts' adapters have it: DRS moves machines")
    for one, other in sorted(
        pair for cluster in clusters.values() if cluster.ha for pair in _pairs(cluster.hosts)
    ):
        for protocol in ("tcp", "udp"):
            yield ends[one].to(ends[other], 8182, "HA: the hosts' agents, elections and heartbeats", protocol)


def _pairs(hosts: Iterable[str]) -> list[tuple[str, str]]:
    return list(itertools.permutations(sorted(hosts), 2))


def _installer(wished: settings.Settings, jumpbox: End) -> Iterator[Port]:
    remote = nfs_url.of(wished.vcenter.installer.iso or "")
    if remote is None:
        return
    server = End("NFS server", remote.server)
    asked = "NFSv3: where its mount service is; that port as well (20048 where it is fixed)"
    yield jumpbox.to(server, remote.port or nfs_url.PORT, "vCenter's installer ISO")
    yield jumpbox.to(server, nfs_url.PORTMAPPER, asked)


def _site_services(site: Site, clients: list[End], jumpbox: End) -> Iterator[Port]:
    dns = [jumpbox] if site.dns_on_jumpbox else [End("DNS", str(address)) for address in site.dns]
    ntp = [jumpbox] if site.ntp_on_jumpbox else [End("NTP", server) for server in site.ntp]
    for client in clients:
        for server in dns:
            if server != client:
                yield client.to(server, 53, "names, forward and backward", "udp")
                yield client.to(server, 53, "names, forward and backward")
        for server in ntp:
            if server != client:
                yield client.to(server, 123, "time", "udp")
    for address in site.site_services.forwarders if site.dns_on_jumpbox else ():
        yield jumpbox.to(End("DNS", str(address)), 53, "names outside of the zone", "udp")
        yield jumpbox.to(End("DNS", str(address)), 53, "names outside of the zone")
