"""What a site must look like after any number of kills, by the lab's own eyes: its inventories and its traces."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from tests.support.left import agents, as_named_before
from tests.support.place import HOSTS, Call, Place
from tests.support.waiting import until

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclasses.dataclass(frozen=True)
class Made:
    """Calls that make a kind of thing, and those that take it away.

    Attributes:
        server: a regular expression of servers.
        makes: the calls that make one.
        count: how many there are at the end.
        undoes: the calls that take one away; a thing that was begun and is begun anew is taken away in between.
    """

    server: str
    makes: tuple[str, ...]
    count: int
    undoes: tuple[str, ...] = ()


MADE = (
    Made("esx-01", ("AddPortGroup",), 2),
    Made("esx-02", ("AddPortGroup",), 2),
    # The jumpbox and vCenter by upload, two stemcells, and three VMs of BOSH's. An upload that was
    # broken off is taken back by the lease's end or by the next run.
    Made("esx-01", ("ImportVApp", "CreateVM_Task"), 7, ("HttpNfcLeaseAbort", "Destroy_Task", "UnregisterVM")),
    Made("esx-01", ("CreateVirtualDisk_Task",), 3),
    Made("vcsa.*", ("CreateDatacenter",), 1),
    Made("vcsa.*", ("CreateClusterEx",), 1),
    Made("vcsa.*", ("CreateFolder",), 2),
    Made("vcsa.*", ("AddHost_Task",), 2),
    Made("vcsa.*", ("AddAuthorizationRole",), 3),
    Made("vcsa.*", ("CreateLocalPersonUser",), 1),
    Made("vcsa.*", ("CloneVM_Task",), 3),
    Made("director", ("POST /stemcells",), 1),
    Made("director", ("POST /releases",), 3),
    Made("director", ("POST /deployments",), 2),
)
BARE = (
    *MADE[:2],
    Made("esx-01", ("ImportVApp", "CreateVM_Task"), 1, ("HttpNfcLeaseAbort", "Destroy_Task", "UnregisterVM")),
)
"""The same of a site whose last phase is the jumpbox, or what its own services are."""


def made_twice(calls: Iterable[Call], wanted: Iterable[Made] = MADE) -> list[str]:
    """Returns what was made more often than it was taken away, beyond what there is at the end."""
    counts: collections.Counter[tuple[str, str]] = collections.Counter(
        (call.server, call.method) for call in calls if call.fault is None
    )
    wrong = []
    for made in wanted:
        mine = {key: number for key, number in counts.items() if re.fullmatch(made.server, key[0])}
        done = sum(number for (_, method), number in mine.items() if method in made.makes)
        undone = sum(number for (_, method), number in mine.items() if method in made.undoes)
        if not made.count <= done <= made.count + undone:
            wrong.append(
                f"{made.server}: {' + '.join(made.makes)}: {done}, taken away {undone}, wanted {made.count}"
            )
    return wrong


def shape(place: Place) -> dict[str, Any]:
    """Returns how the hosts stand, without what differs from run to run: ids, keys, addresses of cards."""
    return {host: _shape(inventory) for host, inventory in place.inventory().items()}


def _shape(inventory: dict[str, Any]) -> dict[str, Any]:
    machines = collections.Counter(
        f"{_UUID.sub('…', name)} {each['power']} {'template' if each['template'] else ''}".strip()
        for name, each in inventory["virtual_machines"].items()
        if name not in agents(inventory)
    )
    files: collections.Counter[str] = collections.Counter()
    for store in inventory["datastores"].values():
        # What BOSH's VMs keep on their persistent disks is theirs.
        files.update(_UUID.sub("…", name) for name in store["files"] if ".vmdk.data/" not in name)
    same = ("switches", "port_groups", "services", "firewall", "ntp", "dns", "licence", "networks", "users")
    return {
        **{name: inventory[name] for name in same},
        "autostart": inventory["autostart"]["enabled"],
        "machines": dict(machines),
        "files": dict(files),
    }


WHOLE = {
    "paver-jumpbox poweredOn": 1,
    "vcsa poweredOn": 1,
    "vm-… poweredOn": 3,
    "sc-… poweredOff": 2,
}
"""The machines of the finished demo, all on its first host."""


def whole(place: Place) -> None:
    """Asserts that the site is finished, and holds nothing twice or half."""
    assert place.pending() == {}
    found = shape(place)
    assert found["esx-01"]["machines"] == WHOLE
    assert found["esx-02"]["machines"] == {}
    assert set(found["esx-01"]["port_groups"]) == {"Management Network", "VM Network", "mgmt", "bosh"}
    disks = [name for name in found["esx-01"]["files"] if name.startswith("BOSH_Disks")]
    assert sorted(found["esx-01"]["files"][name] for name in disks) == [3, 3], disks
    machines = place.machines().values()
    assert sorted(machine["kind"] for machine in machines if machine["state"] == "on") == [
        *["bosh-stemcell"] * 3,
        "jumpbox",
        "vcsa",
    ]


def bare(start: dict[str, Any], place: Place, residue: Iterable[str]) -> None:
    """Asserts that a destroyed site left nothing but its residue on the hosts, datastores under the names of vCenter."""
    end = {host: as_named_before(found) for host, found in place.inventory().items()}
    for host in HOSTS:
        different = {key for key in start[host] | end[host] if start[host].get(key) != end[host].get(key)}
        assert different <= set(residue), {
            key: (start[host].get(key), end[host].get(key)) for key in different - set(residue)
        }
    # The lab takes away a machine's folder a moment after its host has forgotten it.
    until(lambda: not place.machines(), "no machine is left")
    until(lambda: not list((place.lab.folder / "machines").iterdir()), "no machine's folder is left")
    folders = {path.name for path in place.lab.folder.glob("hosts/*/datastores/*/*")}
    assert folders <= {"iso"}, folders
