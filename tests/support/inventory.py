"""What the tests of phase `inventory` share: what they look at, and what they make in a vCenter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.inventory.entity import every
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.transport.vsphere import new
from tests.support.left import agents, but_agents, without
from tests.support.vcenter_lab import VCenter
from tests.support.vsphere_lab import Hosts, text_of
from tests.support.waiting import until

HOST = "vsphere.cluster-host:esx-01"
EXCLUDED = {"vsphere.jumpbox:jumpbox": "paver-jumpbox", "vsphere.appliance:vcenter": "vcsa"}


def state(hosts: Hosts) -> Any:
    """All about the hosts but what stays when they leave vCenter: its authority's certificate, its agent's account."""
    return {name: without(hosts.inventory(name)) for name in hosts.ports}


def carried(hosts: Hosts) -> None:
    """Waits until each host carries an agent of its cluster."""
    until(lambda: all(agents(hosts.inventory(name)) for name in hosts.ports), "each host carries an agent")


def machine(session: Any, name: str) -> None:
    """Makes a small VM on a host, as somebody did before there was a vCenter."""
    folder = session.one("Datacenter", ("vmFolder",))[1]["vmFolder"]
    pool = session.one("ResourcePool")[0]
    session.task(folder, "CreateVM_Task", config=small(name), pool=pool)


def small(name: str, store: str = "datastore1") -> Any:
    return new(
        "VirtualMachineConfigSpec",
        name=name,
        guestId="otherGuest64",
        numCPUs=1,
        memoryMB=128,
        files=new("VirtualMachineFileInfo", vmPathName=f"[{store}]"),
    )


def entity(session: Any, type_name: str, name: str) -> Any:
    return next(one.ref for one in every(session, type_name) if one.values["name"] == name)


def not_permitted(session: Any) -> None:
    session.call(
        session.content.authorizationManager,
        "RemoveEntityPermission",
        entity=entity(session, "Folder", "BOSH_VMs"),
        user="VSPHERE.LOCAL\\bosh-cpi",
        isGroup=False,
    )


def but_actions(inventory: Any) -> Any:
    """Marks say by which action, and slots of the ledger have no order."""
    inventory = but_agents(inventory)
    found = {**inventory, "permissions": sorted(inventory["permissions"], key=str)}
    found["attributes"] = len(inventory["attributes"])
    found["entities"] = {
        path: {key: value for key, value in one.items() if key != "attributes"}
        for path, one in inventory["entities"].items()
    }
    return found


def in_two_zones(there: VCenter, folder: Path) -> Site:
    """A site of two zones, each a cluster of one host with a local datastore; both are called as ESXi calls them."""
    text = text_of(list(there.hosts.pins.values()))
    text = text.replace(
        "{compute: {hosts: [esx-01, esx-02]}}",
        "{first: {hosts: [esx-01], azs: [z1]}, second: {hosts: [esx-02], azs: [z2]}}",
    )
    second = "{cidr: 10.31.0.0/24, gateway: 10.31.0.1, port_group: bosh, az: z2}"
    text = text.replace("site_services:", f"  bosh-2: {second}\nsite_services:", 1)
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=folder)
