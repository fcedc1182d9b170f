"""Which datastores of a vCenter are meant by the name that a host's site file gives its own.

Hosts that share one have it under one name. Where two have a local one of the same name, as ESXi's installer gives it,
vCenter renames the second: then the name means a datastore for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paver.drivers.vsphere.host.datastore import called, may_be
from paver.drivers.vsphere.inventory.entity import Found, same
from paver.transport.vsphere import VsphereFault, describe

PATHS = ("name", "parent", "browser")


def of_hosts(session: Any, datacenter: Found, name: str, hosts: Iterable[str]) -> dict[str, Found | None]:
    """Returns by host, as vCenter names it, what it calls `name`; None where it has none, or is not there itself."""
    stores = {describe(one.ref): one for one in all_of(session, datacenter)}
    mounted = {
        values["name"]: [
            stores[describe(one)] for one in values["datastore"] or () if describe(one) in stores
        ]
        for _, values in session.objects("HostSystem", ("name", "datastore"))
    }
    found: dict[str, Found | None] = {}
    for host in sorted(hosts):
        theirs = {store.values["name"]: store for store in mounted.get(host, ())}
        found[host] = theirs.get(called(name, theirs) or "")
    return found


def distinct(stores: Iterable[Found | None]) -> list[Found]:
    """Returns each of them once, in the order of their names."""
    found = {store.values["name"]: store for store in stores if store is not None}
    return [found[name] for name in sorted(found)]


def named(session: Any, datacenter: Found, name: str) -> list[Found]:
    """Returns all datastores of a datacenter that `name` may mean, whoever has them."""
    return distinct(store for store in all_of(session, datacenter) if may_be(name, store.values["name"]))


def hidden(fault: VsphereFault) -> bool:
    """Tells whether a fault says that no host shows the datastore at the moment."""
    return any(fault.is_a(one) for one in ("HostNotConnected", "HostCommunication", "InvalidState"))


def all_of(session: Any, datacenter: Found) -> list[Found]:
    """Returns the datastores of a datacenter."""
    return [
        Found(ref, values)
        for ref, values in session.objects("Datastore", PATHS)
        if same(values["parent"], datacenter.values["datastoreFolder"])
    ]
