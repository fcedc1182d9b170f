"""What is wrong between the sections of a site, on any IaaS. Drivers add what only they can know."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from typing import Any

from paver.errors import nearest
from paver.sitefile import tree
from paver.sitefile.diagnostic import Diagnostic, Severity
from paver.sitefile.models import JUMPBOX, Network
from paver.sitefile.services import is_access_key
from paver.sitefile.site import Machine, Site
from paver.sitefile.values import shown


def check(site: Site) -> Iterator[Diagnostic]:
    """Yields every finding about the sections that all drivers share."""
    for name, network in site.networks.items():
        yield from _network(site, name, network)
    yield from _overlaps(site)
    yield from _jumpbox(site)
    yield from _placed_by_bosh(site)
    yield from unique(site, site.machines())
    yield from _store_users(site)
    yield from _team_users(site)
    yield from _lifetimes(site)
    yield from _moved(site)
    if site.site_services.dns != JUMPBOX and site.site_services.forwarders:
        yield site.source.at(
            ("site_services", "forwarders"),
            "nobody uses them: the jumpbox doesn't serve DNS",
            "Leave them out, or write `dns: jumpbox`.",
            key=True,
            severity=Severity.WARNING,
        )


def known(
    site: Site, path: tree.Path, name: str, names: Iterable[str], where: str, *, plural: str
) -> Iterator[Diagnostic]:
    """Yields a finding if `name` is not among `names`.

    Args:
        site: the site.
        path: where the name stands.
        name: the name.
        names: those that exist.
        where: the section that holds them, as users write it.
        plural: what they are: `hosts`.
    """
    existing = sorted(names)
    if name in existing:
        return
    near = nearest(name, existing)
    there = (
        f"There are these {plural}: {', '.join(existing)}." if existing else f"There are no {plural} there."
    )
    advice = f"Did you mean {near}? {there}" if near else there
    yield site.source.at(path, f"{shown(name)} is not in {where}", advice)


def inside(site: Site, machine: Machine, network: str) -> Iterator[Diagnostic]:
    """Yields a finding if a machine's address cannot be used in its network."""
    cidr = site.networks[network].cidr
    if machine.address not in cidr:
        advice = f"Choose an address in {cidr}, or correct the network."
        yield site.source.at(machine.path, f"{machine.address} is outside of {network} ({cidr})", advice)
    elif cidr.prefixlen < 31 and machine.address in (cidr.network_address, cidr.broadcast_address):
        which = "first" if machine.address == cidr.network_address else "last"
        advice = "It names the network itself, or all of its machines: choose another one."
        yield site.source.at(machine.path, f"{machine.address} is the {which} address of {network}", advice)


def out_of_boshs_way(site: Site, machine: Machine, network: str) -> Iterator[Diagnostic]:
    """Yields a finding if BOSH would give the address of a machine that isn't BOSH's to one of its VMs."""
    found = site.networks[network]
    if found.az is None or machine.address not in found.cidr:
        return
    if not any(machine.address in taken for taken in found.reserved):
        advice = f"Add {machine.address} to networks.{network}.reserved."
        yield site.source.at(machine.path, f"BOSH may give {machine.address} to one of its VMs", advice)


def unique(site: Site, machines: Iterable[Machine], others: Iterable[Machine] = ()) -> Iterator[Diagnostic]:
    """Yields a finding for each of `machines` whose address or name one before it has, `others` included."""
    addresses: dict[IPv4Address, Machine] = {}
    names: dict[str, Machine] = {}
    for machine in others:
        addresses.setdefault(machine.address, machine)
        if machine.fqdn is not None:
            names.setdefault(machine.fqdn, machine)
    for machine in machines:
        first = addresses.setdefault(machine.address, machine)
        if first is not machine:
            yield _twice(site, machine, first, str(machine.address), "address")
        first = names.setdefault(machine.fqdn, machine) if machine.fqdn is not None else machine
        if first is not machine:
            yield _twice(site, machine, first, machine.fqdn or "", "name")


def _twice(site: Site, one: Machine, two: Machine, what: str, kind: str) -> Diagnostic:
    """Returns the finding at whichever stands later in the file, or took over by `like` what the other one says."""

    def place(machine: Machine) -> tuple[Any, ...]:
        said = site.source.at(_named(site, machine, kind), "")
        entry = site.source.at(machine.path[:-1], "", key=True)
        # One place for both: it is in the entry that begins last before it.
        lies_in = (entry.line, entry.column) <= (said.line, said.column), entry.line, entry.column
        return said.line, said.column, *(-number for number in lies_in)

    first, last = sorted((one, two), key=place)
    return repeated(
        site,
        _named(site, first, kind),
        _named(site, last, kind),
        f"{what} is the {kind} of {first.whose} already",
        f"Every machine has {'an address' if kind == 'address' else 'a name'} of its own.",
    )


def repeated(site: Site, first: tree.Path, second: tree.Path, message: str, advice: str) -> Diagnostic:
    """Returns the finding that the value at `second` must not be the one at `first`."""
    before, found = site.source.at(first, ""), site.source.at(second, message)
    if (before.line, before.column) == (found.line, found.column):
        # Taken over by `like`: the entry that lacks a value of its own is what has to change.
        return site.source.at(second[:-1], message, f"It is taken over by `like`. {advice}", key=True)
    return site.source.at(second, message, f"See line {before.line}. {advice}")


def _named(site: Site, machine: Machine, kind: str) -> tree.Path:
    """Returns where a machine's address or name is said."""
    if kind == "address":
        return machine.path
    above = machine.path[:-1]
    node = tree.find(site.source.root, above)[0] if site.source.root else None
    for key in ("hostname", "fqdn"):
        if isinstance(node, tree.MapNode) and key in node.entries:
            return (*above, key)
    return above


def _network(site: Site, name: str, network: Network) -> Iterator[Diagnostic]:
    path = ("networks", name)
    gateway = Machine("the gateway", network.gateway, (*path, "gateway"))
    yield from inside(site, gateway, name)
    for kind, ranges in (("reserved", network.reserved), ("static", network.static)):
        for index, taken in enumerate(ranges):
            if taken.first not in network.cidr or taken.last not in network.cidr:
                advice = f"Ranges of {name} lie in {network.cidr}."
                yield site.source.at((*path, kind, index), f"{taken} is outside of {network.cidr}", advice)
            for other in ranges[:index]:
                if taken.overlaps(other):
                    advice = "Write each address once."
                    yield site.source.at((*path, kind, index), f"{taken} overlaps {other}", advice)
    for index, static in enumerate(network.static):
        at = (*path, "static", index)
        for reserved in network.reserved:
            if static.overlaps(reserved):
                advice = "BOSH never uses a reserved address, not even a static one: keep the two apart."
                yield site.source.at(at, f"{static} overlaps the reserved {reserved}", advice)
        if network.gateway in static:
            advice = "A static address is a machine's: start the range behind the gateway."
            yield site.source.at(at, f"{static} holds the gateway {network.gateway}", advice)
        for which, end in (("first", network.cidr.network_address), ("last", network.cidr.broadcast_address)):
            # What lies outside of the network has been told above.
            if end in static and static.first in network.cidr and static.last in network.cidr:
                advice = "It names the network itself, or all of its machines: leave it out of the range."
                yield site.source.at(at, f"{static} holds the {which} address of {name}", advice)
    if network.az is not None and network.cidr.prefixlen > 30:
        advice = "It takes networks of four addresses or more: first and last are no machine's, one is the gateway's."
        yield site.source.at((*path, "cidr"), f"{network.cidr} is too small for BOSH", advice)
    if network.az is None and network.static:
        advice = "They are BOSH's, and BOSH uses networks with an availability zone only: add `az`."
        yield site.source.at(
            (*path, "static"), "static addresses without an availability zone", advice, key=True
        )


def _overlaps(site: Site) -> Iterator[Diagnostic]:
    for (first, one), (second, two) in itertools.combinations(site.networks.items(), 2):
        if one.cidr.overlaps(two.cidr):
            advice = "An address belongs to one network only."
            yield site.source.at(
                ("networks", second, "cidr"), f"{two.cidr} overlaps {one.cidr} of {first}", advice
            )


def _jumpbox(site: Site) -> Iterator[Diagnostic]:
    network = site.jumpbox.network
    path = ("jumpbox", "network")
    yield from known(site, path, network, site.networks, "networks", plural="networks")
    if network in site.networks:
        machine = Machine("the jumpbox", site.jumpbox.address, ("jumpbox", "address"))
        yield from inside(site, machine, network)
        yield from out_of_boshs_way(site, machine, network)
    for index, key in enumerate(site.jumpbox.ssh_keys):
        if set(key.split()[1][-40:]) <= set("A="):
            yield site.source.at(
                ("jumpbox", "ssh_keys", index),
                "this key is a placeholder: nobody could log in",
                "Put your own public key here, as it stands in a `.pub` file.",
                severity=Severity.WARNING,
            )


def _placed_by_bosh(site: Site) -> Iterator[Diagnostic]:
    """Director and services: in a network with an availability zone, static, not reserved."""
    if site.bucc.az not in site.azs:
        near = nearest(site.bucc.az, site.azs)
        there = f"Networks have these: {', '.join(site.azs)}." if site.azs else "No network has an `az`."
        advice = f"Did you mean {near}? {there}" if near else there
        yield site.source.at(("bucc", "az"), f"no network is in the availability zone {site.bucc.az}", advice)
    yield from _compiling(site)
    bosh = {("bucc", "address"), ("services", "object_store", "address"), ("services", "registry", "address")}
    for machine in site.machines():
        if machine.path in bosh:
            yield from _static(site, machine)


def _compiling(site: Site) -> Iterator[Diagnostic]:
    """BOSH compiles in the director's network, in VMs that ask for a dynamic address each (bosh, compilation_instance_pool.rb)."""
    name = site.network_of(site.bucc.address)
    # What is wrong with the network itself has been told above.
    if name is None or site.networks[name].dynamic or any(_network(site, name, site.networks[name])):
        return
    advice = "Leave two out of `static` and `reserved`, or deploy releases alone that come compiled."
    told = f"BOSH has no address left in {name} for the VMs that compile releases"
    yield site.source.at(("networks", name, "cidr"), told, advice, severity=Severity.WARNING)


def _static(site: Site, machine: Machine) -> Iterator[Diagnostic]:
    name = site.network_of(machine.address)
    if name is None:
        cidrs = ", ".join(f"{name} {network.cidr}" for name, network in site.networks.items() if network.az)
        advice = f"Networks with an availability zone: {cidrs}." if cidrs else "No network has an `az`."
        yield site.source.at(machine.path, f"{machine.address} is outside of every network", advice)
        return
    network = site.networks[name]
    if network.az is None:
        advice = f"BOSH places {machine.whose}: choose a network that has an `az`, or give {name} one."
        yield site.source.at(machine.path, f"{machine.address} is in {name}, which BOSH doesn't use", advice)
        return
    if machine.path[0] == "bucc" and network.az != site.bucc.az and site.bucc.az in site.azs:
        advice = f"{name} is in {network.az}: correct `bucc.az` or the address."
        yield site.source.at(machine.path, f"{machine.address} is not in {site.bucc.az}", advice)
    yield from inside(site, machine, name)
    reserved = next((taken for taken in network.reserved if machine.address in taken), None)
    if reserved:
        advice = f"BOSH would refuse it: choose one of networks.{name}.static."
        yield site.source.at(machine.path, f"{machine.address} is reserved ({reserved})", advice)
    elif not any(machine.address in static for static in network.static):
        ranges = ", ".join(str(static) for static in network.static)
        advice = f"Choose one of {ranges}, or widen it." if ranges else f"Add it to networks.{name}.static."
        yield site.source.at(machine.path, f"{machine.address} is not a static address of {name}", advice)


def _store_users(site: Site) -> Iterator[Diagnostic]:
    store = site.services.object_store
    path = ("services", "object_store", "users")
    for name, user in store.users.items():
        for kind, buckets in (("read", user.read), ("write", user.write)):
            for index, bucket in enumerate(buckets):
                yield from known(
                    site,
                    (*path, name, kind, index),
                    bucket,
                    store.buckets,
                    "services.object_store.buckets",
                    plural="buckets",
                )
        if not user.read and not user.write:
            advice = "Name buckets under `read` or `write`."
            yield site.source.at((*path, name), "this user may do nothing", advice, key=True)


def _team_users(site: Site) -> Iterator[Diagnostic]:
    path = ("services", "concourse", "teams")
    for name, team in site.services.concourse.teams.items():
        users = site.services.object_store.users
        if team.store_user is not None:
            yield from known(
                site,
                (*path, name, "store_user"),
                team.store_user,
                users,
                "services.object_store.users",
                plural="accounts",
            )
        elif (user := site.team_user(name)) and not is_access_key(user):
            advice = "Name one of services.object_store.users as its `store_user`."
            told = f"{shown(user)} is too long for the name of its account in the object store"
            yield site.source.at((*path, name), told, advice, key=True)


def _lifetimes(site: Site) -> Iterator[Diagnostic]:
    lifetimes = site.trust.lifetimes
    path = ("trust", "lifetimes")
    if lifetimes.certificate > lifetimes.root:
        advice = "A certificate holds no longer than the root that signed it."
        yield site.source.at((*path, "certificate"), "certificates would outlive their root", advice)
    if lifetimes.renew_before >= lifetimes.certificate:
        advice = "It must be shorter than `certificate`: 30d for 1y."
        yield site.source.at((*path, "renew_before"), "certificates would be renewed all the time", advice)


def _moved(site: Site) -> Iterator[Diagnostic]:
    targets: dict[str, str] = {}
    for old, new in site.moved.items():
        path = ("moved", old)
        if new == old:
            yield site.source.at(path, f"{old} is moved to itself", "Leave it out.")
        elif new in site.moved:
            advice = "Write its last name only."
            yield site.source.at(path, f"{new} is moved on to {site.moved[new]}", advice)
        elif new.partition(":")[0] != old.partition(":")[0]:
            yield site.source.at(path, f"{new} is of another kind than {old}", "Only the key may change.")
        elif new in targets:
            advice = "Two resources can't become one."
            yield site.source.at(path, f"{targets[new]} is moved to {new} too", advice)
        targets.setdefault(new, old)
