"""What is wrong in a vSphere site beyond single values: between hosts, networks, vCenter and inventory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from paver.drivers.vsphere import settings
from paver.drivers.vsphere.settings import Host, Settings
from paver.sitefile import tree
from paver.sitefile.check import inside, known, out_of_boshs_way, repeated, unique
from paver.sitefile.diagnostic import Diagnostic, Severity
from paver.sitefile.site import Machine, Site

_HOSTS = ("iaas", "hosts")
_VCENTER = ("iaas", "vcenter")
_INVENTORY = ("iaas", "inventory")
_CLUSTERS = (*_INVENTORY, "clusters")


def check(site: Site) -> Iterator[Diagnostic]:
    """Yields every finding."""
    wished = settings.of(site)
    for name, host in wished.hosts.items():
        yield from _host(site, name, host)
    yield from _pins(site, wished)
    yield from _vlans(site, wished)
    yield from _vcenter(site, wished)
    yield from known(site, ("jumpbox", "on"), site.jumpbox.on, wished.hosts, "iaas.hosts", plural="hosts")
    yield from _clusters(site, wished)
    yield from _zones(site, wished)
    yield from _carriers(site, wished)
    yield from unique(site, wished.machines(site.zone), site.machines())


def _host(site: Site, name: str, host: Host) -> Iterator[Diagnostic]:
    path = (*_HOSTS, name)
    yield from _in_a_network(site, Machine(name, host.address, (*path, "address")))
    used: dict[str, str] = {}
    for switch, wished in host.switches.items():
        for index, uplink in enumerate(wished.uplinks):
            at: tree.Path = (*path, "switches", switch, "uplinks", index)
            if uplink in used:
                advice = "A physical adapter is on one switch only."
                yield site.source.at(at, f"{uplink} is an uplink of {used[uplink]} already", advice)
            used.setdefault(uplink, switch)
    for group, carried in host.port_groups.items():
        at = (*path, "port_groups", group, "switch")
        yield from known(site, at, carried.switch, host.switches, "the host's switches", plural="switches")


def _in_a_network(site: Site, machine: Machine) -> Iterator[Diagnostic]:
    network = site.network_of(machine.address)
    if network is None:
        cidrs = ", ".join(f"{name} {network.cidr}" for name, network in site.networks.items())
        advice = (
            f"There are {cidrs}. Correct the address, or add its network; `port_group` may be left out there."
        )
        yield site.source.at(machine.path, f"{machine.address} is outside of every network", advice)
    else:
        yield from inside(site, machine, network)
        yield from out_of_boshs_way(site, machine, network)


def _pins(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    firsts: dict[str, str] = {}
    for name, host in wished.hosts.items():
        if _placeholder(host):
            yield site.source.at(
                (*_HOSTS, name, "fingerprint"),
                "this fingerprint is a placeholder: no host has it",
                "`paver preflight --show-pins` prints what it sees; compare it with the host's console.",
                severity=Severity.WARNING,
            )
            continue
        first = firsts.setdefault(host.fingerprint, name)
        if first != name:
            yield repeated(
                site,
                (*_HOSTS, first, "fingerprint"),
                (*_HOSTS, name, "fingerprint"),
                f"{name} has the fingerprint of {first}",
                "Every host has a certificate of its own; look at this one's console.",
            )


def _placeholder(host: Host) -> bool:
    return not host.fingerprint.removeprefix("sha256:").strip("0:")


def _vlans(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    first: dict[str, tuple[str, int]] = {}
    for name, host in wished.hosts.items():
        for group, carried in host.port_groups.items():
            other, vlan = first.setdefault(group, (name, carried.vlan))
            if vlan != carried.vlan:
                at: tree.Path = (*_HOSTS, name, "port_groups", group, "vlan")
                advice = (
                    "A VM that moves between the two would change its network: use two names, or one VLAN."
                )
                yield site.source.at(
                    at, f"{group} has VLAN {carried.vlan} here and {vlan} on {other}", advice
                )


def _vcenter(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    vcenter = wished.vcenter
    yield from known(site, (*_VCENTER, "on"), vcenter.on, wished.hosts, "iaas.hosts", plural="hosts")
    if not vcenter.fqdn.endswith(f".{site.zone}"):
        advice = f"Its installer asks the site's DNS for this name, both ways: {vcenter.vm_name}.{site.zone}."
        yield site.source.at(
            (*_VCENTER, "fqdn"), f"{vcenter.fqdn} is outside of the zone {site.zone}", advice
        )
    machine = Machine("vCenter", vcenter.address, (*_VCENTER, "address"))
    if vcenter.network is None:
        yield from _in_a_network(site, machine)
    else:
        at = (*_VCENTER, "network")
        yield from known(site, at, vcenter.network, site.networks, "networks", plural="networks")
        if vcenter.network in site.networks:
            yield from inside(site, machine, vcenter.network)
            yield from out_of_boshs_way(site, machine, vcenter.network)
    installer = vcenter.installer
    if (
        installer.iso is not None
        and installer.iso.startswith(settings.ELSEWHERE)
        and installer.sha256 is None
    ):
        yield site.source.at(
            (*_VCENTER, "installer", "iso"),
            "nothing says which ISO this is: whoever may write there chooses what installs vCenter",
            "Write its SHA-256 beside it: `sha256: …`, as the vendor shows it.",
            severity=Severity.WARNING,
        )
    if vcenter.vm_name == site.jumpbox.name:
        advice = "VMs in one folder have different names: set `name` here or in `jumpbox`."
        yield site.source.at(
            _VCENTER, f"{vcenter.vm_name} is the name of the jumpbox's VM too", advice, key=True
        )


def _clusters(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    taken: dict[str, str] = {}
    for name, cluster in wished.inventory.clusters.items():
        path = (*_CLUSTERS, name)
        for index, host in enumerate(cluster.hosts):
            at = (*path, "hosts", index)
            yield from known(site, at, host, wished.hosts, "iaas.hosts", plural="hosts")
            if host in taken:
                where = "this cluster" if taken[host] == name else taken[host]
                yield site.source.at(at, f"{host} is in {where} already", "A host is in one cluster only.")
            taken.setdefault(host, name)
        if cluster.resource_pool and not cluster.drs:
            advice = "vCenter makes resource pools in clusters with DRS only: set `drs: true`, or leave the pool out."
            yield site.source.at((*path, "resource_pool"), "a resource pool without DRS", advice)
        elif not cluster.drs and (cluster.azs or len(wished.inventory.clusters) == 1):
            yield site.source.at(
                (*path, "drs"),
                "BOSH places machines in a cluster without DRS",
                "Its CPI names no host for a stemcell that it uploads, which vCenter takes in clusters with DRS only "
                "(vim25, ImportVApp): set `drs: true`, unless you know better.",
                severity=Severity.WARNING,
            )
        if cluster.ha and len(set(cluster.hosts)) < 2:
            yield site.source.at(
                (*path, "ha"),
                "HA in a cluster of one host",
                "It keeps room for one host that fails, so no machine would start: add a host, or set `ha: false`.",
            )
    for name in sorted(set(wished.hosts) - set(taken)):
        yield site.source.at(
            (*_HOSTS, name),
            f"{name} is in no cluster",
            "It is prepared, but vCenter doesn't manage it. Add it under iaas.inventory.clusters.",
            key=True,
            severity=Severity.WARNING,
        )


def _zones(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    """Every availability zone has a cluster, and every zone of a cluster has a network."""
    for name, cluster in wished.inventory.clusters.items():
        for index, az in enumerate(cluster.azs):
            at = (*_CLUSTERS, name, "azs", index)
            yield from known(site, at, az, site.azs, "networks.*.az", plural="availability zones")
    for name, network in site.networks.items():
        if network.az and not wished.clusters_of(network.az):
            advice = (
                f"Name it in `azs` of one of iaas.inventory.clusters: {', '.join(wished.inventory.clusters)}."
            )
            yield site.source.at(("networks", name, "az"), f"no cluster carries {network.az}", advice)


def _carriers(site: Site, wished: Settings) -> Iterator[Diagnostic]:
    """The port group of each network is there, with an uplink, on every host that machines of it may run on."""
    for name, network in site.networks.items():
        hosts = _hosts_of(site, wished, name)
        path = ("networks", name)
        if network.port_group is None:
            if hosts:
                who = ", ".join(sorted(set(itertools.chain.from_iterable(hosts.values()))))
                advice = f"Needed by {who}: a key of iaas.hosts.*.port_groups."
                yield site.source.at((*path, "port_group"), "this key is missing", advice, key=True)
            continue
        groups = {group for host in wished.hosts.values() for group in host.port_groups}
        if network.port_group not in groups:
            at = (*path, "port_group")
            where = "iaas.hosts.*.port_groups"
            yield from known(site, at, network.port_group, groups, where, plural="port groups")
            continue
        for host in sorted(hosts):
            yield from _carrier(site, wished.hosts[host], host, name, network.port_group)


def _carrier(site: Site, host: Host, name: str, network: str, group: str) -> Iterator[Diagnostic]:
    path = (*_HOSTS, name, "port_groups")
    carried = host.port_groups.get(group)
    if carried is None:
        advice = f"Machines of the network {network} run on {name}: add {group} to its port groups."
        yield site.source.at(path, f"{name} lacks the port group {group}", advice, key=True)
    elif carried.switch in host.switches and not host.switches[carried.switch].uplinks:
        advice = f"Machines of the network {network} could reach nobody: give {carried.switch} an uplink."
        yield site.source.at((*path, group, "switch"), f"{carried.switch} has no uplink", advice)


def _hosts_of(site: Site, wished: Settings, network: str) -> dict[str, list[str]]:
    """Returns the hosts that machines of a network may run on, and whose machines those are."""
    found: dict[str, list[str]] = {}
    if network == site.jumpbox.network and site.jumpbox.on in wished.hosts:
        found.setdefault(site.jumpbox.on, []).append("the jumpbox")
    if network == settings.vcenter_network(site) and wished.vcenter.on in wished.hosts:
        found.setdefault(wished.vcenter.on, []).append("vCenter")
    az = site.networks[network].az
    for cluster in wished.clusters_of(az) if az else ():
        for host in wished.inventory.clusters[cluster].hosts:
            if host in wished.hosts:
                found.setdefault(host, []).append("BOSH")
    return found
