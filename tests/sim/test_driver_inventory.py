"""Phase `inventory` against a simulated vCenter that dials simulated hosts: there and back, and what may go wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fnmatch
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Facts, PaverError, Refused, Secret, Unobservable
from paver.drivers.vsphere import DRIVER, evaluation
from paver.drivers.vsphere.endpoints import shown_certificate
from paver.drivers.vsphere.inventory import bosh, retreat, surroundings
from paver.drivers.vsphere.inventory.account import Account, AccountFacts
from paver.drivers.vsphere.inventory.cluster_host import ClusterHost
from paver.drivers.vsphere.inventory.entity import every
from paver.drivers.vsphere.vcsa import expiry
from paver.engine.plan import Plan
from paver.engine.resource import Gate
from paver.engine.world import ReadingWorld
from paver.lab import control
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.transport.context import Wire
from paver.transport.tls import TrustError
from paver.transport.vsphere import LoginError, VsphereFault, describe, new
from paver.transport.vsphere.reader import VsphereReader
from tests.support.left import agents, but_agents, without
from tests.support.vcenter_lab import CPI, FQDN, InventoryRun, VCenter, vcenter, with_cluster, with_pool
from tests.support.vsphere_lab import ADDRESS as HOSTS_AT
from tests.support.vsphere_lab import Hosts, World, hosts, pending, site_of, text_of
from tests.support.waiting import until

pytestmark = pytest.mark.lab

Made = tuple[InventoryRun, VCenter]

HOST = "vsphere.cluster-host:esx-01"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[VCenter]:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running) as started:
        yield started


@pytest.fixture
def run(there: VCenter, tmp_path: Path) -> InventoryRun:
    return InventoryRun(with_pool(site_of(there.hosts, tmp_path)), there, tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """An inventory that stands; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("standing")
    with hosts(folder, "esx-01", "esx-02") as running, vcenter(folder, running) as started:
        run = InventoryRun(with_pool(site_of(running, folder)), started, folder)
        run.fine()
        yield run, started


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


def small(name: str) -> Any:
    return new(
        "VirtualMachineConfigSpec",
        name=name,
        guestId="otherGuest64",
        numCPUs=1,
        memoryMB=128,
        files=new("VirtualMachineFileInfo", vmPathName="[datastore1]"),
    )


def entity(session: Any, type_name: str, name: str) -> Any:
    return next(one.ref for one in every(session, type_name) if one.values["name"] == name)


def test_an_inventory_is_made_kept_and_taken_back_to_the_start(run: InventoryRun, there: VCenter) -> None:
    with run.someone_else("esx-01") as session:
        machine(session, "jumpbox")
        vm = session.one("VirtualMachine")[0]
        session.task(vm, "PowerOnVM_Task")
        session.wait(vm, ("config.extraConfig",), lambda seen: bool(seen["config.extraConfig"]), timeout=20)
    start, bare = there.inventory(), state(there.hosts)
    assert set(pending(run.plan()).values()) == {"create"}
    assert there.writes() == []

    run.fine()
    made = there.inventory()
    assert made["entities"]["/north/host/compute"]["drs"] is True
    assert made["entities"]["/north/host/compute/esx-01.north.example"]["state"] == "connected"
    assert made["entities"]["/north/vm/jumpbox"]["power"] == "poweredOn"
    assert "bosh-cpi@vsphere.local" in made["users"]
    assert "paver-north-cpi-folder" in made["roles"]

    writes = len(there.writes())
    assert pending(run.plan()) == {}
    assert len(there.writes()) == writes

    carried(there.hosts)
    assert pending(run.plan()) == {}
    run.fine("destroy")
    assert there.inventory() == start
    after = state(there.hosts)
    assert after["esx-01"]["virtual_machines"] == bare["esx-01"]["virtual_machines"]
    assert after == bare


@pytest.mark.parametrize("version", ["8.0.3", "8.0.2"])
def test_a_host_leaves_its_cluster_without_the_agent_that_it_carries_and_the_other_one_keeps_its_own(
    tmp_path: Path, version: str
) -> None:
    with (
        hosts(tmp_path, "esx-01", "esx-02", version=version) as running,
        vcenter(tmp_path, running, version) as there,
    ):
        run = InventoryRun(site_of(running, tmp_path), there, tmp_path)
        bare = state(running)
        run.fine()
        carried(running)
        run.site = with_cluster(run.site, hosts=("esx-01",))
        assert pending(run.plan()) == {"vsphere.cluster-host:esx-02": "delete"}
        run.fine()
        assert state(running)["esx-02"] == bare["esx-02"]
        until(lambda: agents(running.inventory("esx-01")), "the other host carries an agent")
        assert pending(run.plan()) == {}


def test_without_retreat_the_agents_would_stay_on_the_hosts_that_leave(
    run: InventoryRun, there: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the two before this one prove, they prove of paver and not of the lab."""

    def only_disconnects(_: object, session: Any, host: Any, *__: object) -> None:
        session.task(host, "DisconnectHost_Task")

    run.fine()
    carried(there.hosts)
    monkeypatch.setattr(retreat, "disconnect", only_disconnects)
    run.fine("destroy")
    assert all(agents(there.hosts.inventory(name)) for name in there.hosts.ports)


def test_an_agent_that_comes_back_while_its_host_leaves_is_taken_along(
    run: InventoryRun, there: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the host before it has just ended the retreat: this one carried none when it was looked at."""
    seen = retreat._on
    looks = iter(range(99))

    def late(session: Any, host: Any) -> set[str]:
        return set() if next(looks) == 0 else seen(session, host)

    run.fine()
    carried(there.hosts)
    monkeypatch.setattr(retreat, "_on", late)
    run.fine("destroy")
    assert not any(agents(there.hosts.inventory(name)) for name in there.hosts.ports)
    assert "ReconnectHost_Task" in there.writes()


def _anew(run: InventoryRun, there: VCenter) -> None:
    """Puts another vCenter in the place of the one that the hosts have left."""
    run.vcenter = there
    run.anchors["vmca"] = there.root


def test_hosts_that_have_left_are_taken_in_by_the_vcenter_that_stands_anew_and_by_no_stranger(
    tmp_path: Path,
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    with hosts(tmp_path, "esx-01", "esx-02") as running:
        with vcenter(tmp_path, running) as first:
            run = InventoryRun(with_pool(site_of(running, tmp_path)), first, tmp_path)
            run.fine()
            run.fine("destroy")
        for name, port in running.ports.items():
            run.anchors[shown_certificate(name)] = ssl.get_server_certificate((HOSTS_AT, port))
        with run.someone_else("esx-01") as session:
            assert session.one("HostSystem", ("summary.managementServerIp",))[1]["summary.managementServerIp"]
        with vcenter(again, running) as second:
            _anew(run, second)
            run.changed[HOST] = {"vcenter": "10.20.0.99"}
            failed = dict(run.apply().failed)
            assert "another vCenter manages the host" in str(getattr(failed[run.id(HOST)], "why", ""))
            run.changed.clear()
            run.fine()
            assert second.inventory()["entities"]["/north/host/compute/esx-01.north.example"]


def test_a_vcenter_9_takes_hosts_in_by_their_certificates(tmp_path: Path) -> None:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running, "9.0.0") as newer:
        run = InventoryRun(with_pool(site_of(running, tmp_path)), newer, tmp_path)
        run.fine()
        assert newer.writes().count("AddHost_Task") == len(running.ports)
        assert pending(run.plan()) == {}


def _renamed(type_name: str, name: str) -> Callable[[Any], None]:
    def act(session: Any) -> None:
        session.task(entity(session, type_name, name), "Rename_Task", newName="another")

    return act


def _without_ha(session: Any) -> None:
    spec = new(
        "ClusterConfigSpecEx",
        drsConfig=new("ClusterDrsConfigInfo", enabled=False),
        dasConfig=new("ClusterDasConfigInfo", enabled=True),
    )
    cluster = entity(session, "ClusterComputeResource", "compute")
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _advising(session: Any) -> None:
    drs = new("ClusterDrsConfigInfo", enabled=True, defaultVmBehavior="manual")
    cluster = entity(session, "ClusterComputeResource", "compute")
    spec = new("ClusterConfigSpecEx", drsConfig=drs)
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _spread_by_hand(session: Any) -> None:
    drs = new("ClusterDrsConfigInfo", enabled=True, defaultVmBehavior="partiallyAutomated")
    ha = new("ClusterDasConfigInfo", enabled=True)
    cluster = entity(session, "ClusterComputeResource", "compute")
    spec = new("ClusterConfigSpecEx", drsConfig=drs, dasConfig=ha)
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _in_retreat(session: Any) -> None:
    retreat.switch(session, entity(session, "ClusterComputeResource", "compute"), on=True)


def _in_retreat_by_the_client(session: Any) -> None:
    spec = new(
        "ClusterConfigSpecEx", systemVMsConfig=new("ClusterSystemVMsConfigSpec", deploymentMode="ABSENT")
    )
    cluster = entity(session, "ClusterComputeResource", "compute")
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _disconnected(session: Any) -> None:
    session.task(entity(session, "HostSystem", "esx-01.north.example"), "DisconnectHost_Task")


def _all_disconnected(session: Any) -> None:
    for host in every(session, "HostSystem"):
        session.task(host.ref, "DisconnectHost_Task")


def _taken_out(session: Any) -> None:
    host = entity(session, "HostSystem", "esx-01.north.example")
    session.task(host, "DisconnectHost_Task")
    session.task(host, "Destroy_Task")


def _folder_gone(session: Any) -> None:
    session.task(entity(session, "Folder", "BOSH_Templates"), "Destroy_Task")


def _disks_gone(session: Any) -> None:
    session.datastore_delete("datastore1", "BOSH_Disks", entity(session, "Datacenter", "north"))


def _fewer_rights(session: Any) -> None:
    manager = session.content.authorizationManager
    role = next(one for one in session.value(manager, "roleList") if one.name == "paver-north-cpi-root")
    session.call(
        manager,
        "UpdateAuthorizationRole",
        roleId=role.roleId,
        newName=role.name,
        privIds=["Global.ManageCustomFields", "Host.Inventory.AddHostToCluster"],
    )


def _everywhere(session: Any) -> None:
    manager, root = session.content.authorizationManager, session.content.rootFolder
    role = next(one for one in session.value(manager, "roleList") if one.name == "paver-north-cpi-root")
    wide = new(
        "Permission", principal="bosh-cpi@vsphere.local", group=False, roleId=role.roleId, propagate=True
    )
    session.call(manager, "SetEntityPermissions", entity=root, permission=[wide])


def _not_permitted(session: Any) -> None:
    session.call(
        session.content.authorizationManager,
        "RemoveEntityPermission",
        entity=entity(session, "Folder", "BOSH_VMs"),
        user="VSPHERE.LOCAL\\bosh-cpi",
        isGroup=False,
    )


DRIFT: dict[str, tuple[Callable[[Any], None], dict[str, str]]] = {
    "a datacenter is renamed": (_renamed("Datacenter", "north"), {"vsphere.datacenter:north": "update"}),
    "a cluster is renamed": (
        _renamed("ClusterComputeResource", "compute"),
        {"vsphere.cluster:compute": "update"},
    ),
    "DRS and HA are switched": (_without_ha, {"vsphere.cluster:compute": "update"}),
    "a host is disconnected": (_disconnected, {HOST: "update"}),
    "all hosts are disconnected": (
        _all_disconnected,
        {HOST: "update", "vsphere.cluster-host:esx-02": "update"},
    ),
    "DRS only advises": (_advising, {"vsphere.cluster:compute": "update"}),
    "a cluster is left in retreat": (_in_retreat, {"vsphere.cluster:compute": "update"}),
    "a cluster is left in retreat by vCenter's client": (
        _in_retreat_by_the_client,
        {"vsphere.cluster:compute": "update"},
    ),
    "a host is taken out": (_taken_out, {HOST: "create"}),
    "a folder is renamed": (_renamed("Folder", "BOSH_VMs"), {"vsphere.folder:BOSH_VMs": "update"}),
    "a pool is renamed": (_renamed("ResourcePool", "bosh"), {"vsphere.resource-pool:compute/bosh": "update"}),
    "a folder is gone": (
        _folder_gone,
        {
            "vsphere.folder:BOSH_Templates": "create",
            "vsphere.permission:north/vm/BOSH_Templates": "create",
        },
    ),
    "the folder of disks is gone": (
        _disks_gone,
        {"vsphere.disk-folder:north/datastore1/BOSH_Disks": "update"},
    ),
    "a role has other rights": (_fewer_rights, {"vsphere.role:cpi-root": "update"}),
    "a permission is inherited": (_everywhere, {"vsphere.permission:/": "update"}),
    "a permission is gone": (_not_permitted, {"vsphere.permission:north/vm/BOSH_VMs": "create"}),
}


def _another_of_the_name(session: Any) -> None:
    """Renames the role of BOSH's folders, and makes another one in its stead."""
    manager = session.content.authorizationManager
    [role] = [one for one in session.value(manager, "roleList") if one.name == "paver-north-cpi-folder"]
    privileges = [one for one in role.privilege if not one.startswith("System.")]
    more = {"roleId": role.roleId, "newName": "theirs", "privIds": ["Authorization.ModifyRoles"]}
    session.call(manager, "UpdateAuthorizationRole", **more)
    session.call(manager, "AddAuthorizationRole", name="paver-north-cpi-folder", privIds=privileges)


def test_an_account_gets_the_role_that_has_its_name_when_it_gets_it_and_not_when_that_was_planned(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    with run.administrator() as session:
        _not_permitted(session)

    def planned(world: World) -> Plan:
        plan = run.plan_in(world)
        assert pending(plan) == {"vsphere.permission:north/vm/BOSH_VMs": "create"}
        with run.administrator() as session:
            _another_of_the_name(session)
        return plan

    outcome = run._carry(planned)
    assert not outcome.failed
    assert outcome.acted == {"vsphere.permission:north/vm/BOSH_VMs"}
    with run.administrator() as session:
        manager = session.content.authorizationManager
        names = {one.roleId: one.name for one in session.value(manager, "roleList")}
        folder = entity(session, "Folder", "BOSH_VMs")
        granted = session.query(manager, "RetrieveEntityPermissions", entity=folder, inherited=False)
    assert [names[one.roleId] for one in granted] == ["paver-north-cpi-folder"]
    assert there.writes().count("SetEntityPermissions") == 8


@pytest.mark.parametrize("drift", DRIFT)
def test_what_somebody_changed_in_vcenter_is_named_and_repaired(standing: Made, drift: str) -> None:
    (run, there), (act, named) = standing, DRIFT[drift]
    made = there.inventory()
    with run.administrator() as session:
        act(session)
    planned = pending(run.plan())
    assert named.items() <= planned.items()
    assert set(planned.values()) <= {"create", "update"}
    run.fine()
    assert pending(run.plan()) == {}
    assert _but_actions(there.inventory()) == _but_actions(made)


def test_what_drs_does_by_itself_is_its_owners_where_only_high_availability_differs(standing: Made) -> None:
    run, there = standing
    with run.administrator() as session:
        _spread_by_hand(session)
    assert pending(run.plan()) == {"vsphere.cluster:compute": "update"}
    run.fine()
    assert there.inventory()["entities"]["/north/host/compute"]["ha"] is False
    with run.administrator() as session:
        config = session.value(
            entity(session, "ClusterComputeResource", "compute"), "configurationEx", fresh=True
        )
    assert config.drsConfig.enabled
    assert config.drsConfig.defaultVmBehavior == "partiallyAutomated"


def _but_actions(inventory: Any) -> Any:
    """Marks say by which action, and slots of the ledger have no order."""
    inventory = but_agents(inventory)
    found = {**inventory, "permissions": sorted(inventory["permissions"], key=str)}
    found["attributes"] = len(inventory["attributes"])
    found["entities"] = {
        path: {key: value for key, value in one.items() if key != "attributes"}
        for path, one in inventory["entities"].items()
    }
    return found


EXCLUDED = {"vsphere.jumpbox:jumpbox": "paver-jumpbox", "vsphere.appliance:vcenter": "vcsa"}
OVERRIDES = {"vsphere.vm-override:jumpbox", "vsphere.vm-override:vcenter"}


def overrides(there: VCenter, cluster: str = "compute") -> Any:
    """Returns what DRS may do with single VMs of a cluster: False where it leaves one alone."""
    return there.inventory()["entities"][f"/north/host/{cluster}"].get("drs_overrides", {})


def overridden(session: Any, operation: str, name: str = "paver-jumpbox", **settings: Any) -> None:
    """Changes an override, as somebody might."""
    vm = next(ref for ref, values in session.objects("VirtualMachine") if values["name"] == name)
    change = new("ClusterDrsVmConfigSpec", operation=operation)
    if operation == "remove":
        change.removeKey = vm
    else:
        change.info = new("ClusterDrsVmConfigInfo", key=vm, **settings)
    spec = new("ClusterConfigSpecEx", drsVmConfigSpec=[change])
    cluster = entity(session, "ClusterComputeResource", "compute")
    session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def config_of(session: Any) -> Any:
    return session.value(entity(session, "ClusterComputeResource", "compute"), "configurationEx", fresh=True)


def test_drs_leaves_vcenter_and_the_jumpbox_where_they_are_before_it_has_a_second_host_and_until_it_has_none(
    run: InventoryRun, there: VCenter
) -> None:
    for machine_of, name in EXCLUDED.items():
        run.place(machine_of, name)
    start = there.inventory()
    planned = run.plan()
    assert {action.resource for action in planned.pending} >= OVERRIDES
    run.fine()
    assert overrides(there) == {f"/north/vm/{name}": False for name in EXCLUDED.values()}
    assert pending(run.plan()) == {}
    done = [call for call in there.writes() if call in {"AddHost_Task", "ReconfigureComputeResource_Task"}]
    assert done[-4:] == ["AddHost_Task", *["ReconfigureComputeResource_Task"] * 2, "AddHost_Task"]

    since = len(there.writes())
    with run.administrator() as session:
        names = {one.ref._moId: one.values["name"] for one in every(session, "HostSystem")}
    run.fine("destroy")
    assert there.inventory() == start
    # They go with the host, the last one: taken away before that, DRS would be free to move them.
    assert "ReconfigureComputeResource_Task" not in there.writes()[since:]
    left = [names[call["target"]] for call in there.trace() if call["method"] == "DisconnectHost_Task"]
    assert left == ["esx-02.north.example", "esx-01.north.example"]


def test_an_override_that_somebody_takes_away_or_changes_is_named_and_repaired_and_its_level_stays(
    run: InventoryRun, there: VCenter
) -> None:
    for machine_of, name in EXCLUDED.items():
        run.place(machine_of, name)
    run.fine()
    made = overrides(there)
    with run.administrator() as session:
        overridden(session, "remove", "vcsa")
        overridden(session, "edit", enabled=True, behavior="partiallyAutomated")
    assert pending(run.plan()) == {
        "vsphere.vm-override:vcenter": "create",
        "vsphere.vm-override:jumpbox": "update",
    }
    run.fine()
    assert pending(run.plan()) == {}
    assert overrides(there) == made
    with run.administrator() as session:
        levels = {one.behavior for one in config_of(session).drsVmConfig}
    assert levels == {None, "partiallyAutomated"}


def test_overrides_that_a_cluster_does_not_go_by_count_as_none(run: InventoryRun) -> None:
    run.place("vsphere.jumpbox:jumpbox", "paver-jumpbox")
    run.fine()
    with run.administrator() as session:
        drs = new("ClusterDrsConfigInfo", enableVmBehaviorOverrides=False)
        cluster = entity(session, "ClusterComputeResource", "compute")
        spec = new("ClusterConfigSpecEx", drsConfig=drs)
        session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)
    (action,) = run.plan().pending
    assert (action.resource, action.verb.value) == ("vsphere.vm-override:jumpbox", "update")
    assert action.reason == "switches the cluster's VM overrides on, of all its VMs"
    run.fine()
    assert pending(run.plan()) == {}
    with run.administrator() as session:
        config = config_of(session)
    assert config.drsConfig.enableVmBehaviorOverrides
    assert (config.drsConfig.enabled, config.drsConfig.defaultVmBehavior) == (True, "fullyAutomated")


def test_an_override_of_somebodys_that_does_the_same_is_taken_as_it_is(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    run.place("vsphere.jumpbox:jumpbox", "paver-jumpbox")
    with run.administrator() as session:
        overridden(session, "add", enabled=False, behavior="manual")
    assert pending(run.plan()) == {}
    assert overrides(there) == {"/north/vm/paver-jumpbox": False}


def test_without_drs_an_override_is_planned_to_go(run: InventoryRun, there: VCenter, tmp_path: Path) -> None:
    run.site = site_of(there.hosts, tmp_path)
    run.place("vsphere.jumpbox:jumpbox", "paver-jumpbox")
    run.fine()
    text = text_of(list(there.hosts.pins.values())).replace(
        "{hosts: [esx-01, esx-02]}", "{hosts: [esx-01, esx-02], drs: false}"
    )
    run.site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    assert pending(run.plan()) == {
        "vsphere.cluster:compute": "update",
        "vsphere.vm-override:jumpbox": "delete",
    }
    run.fine()
    assert pending(run.plan()) == {}
    assert overrides(there) == {}


def test_a_machine_that_vcenter_does_not_show_on_the_cluster_is_told_as_one(run: InventoryRun) -> None:
    run.placed = frozenset({"vsphere.jumpbox:jumpbox"})
    run.changed["vsphere.vm-override:jumpbox"] = {"patience": 1}
    ((resource, error),) = run.apply().failed
    assert resource == "vsphere.vm-override:jumpbox"
    assert isinstance(error, PaverError)
    assert "shows no paver-jumpbox on esx-01.north.example in the cluster compute" in error.what


def test_a_machine_of_before_that_a_lost_host_still_shows_is_not_taken_for_the_one_that_is_placed(
    run: InventoryRun, there: VCenter
) -> None:
    run.place("vsphere.jumpbox:jumpbox", "of-before", "esx-02")
    run.placed = frozenset()
    run.fine()
    with run.administrator() as session:
        overridden(session, "add", "of-before", enabled=False)
    run.place("vsphere.jumpbox:jumpbox", "paver-jumpbox")
    assert pending(run.plan()) == {"vsphere.vm-override:jumpbox": "create"}
    run.fine()
    assert pending(run.plan()) == {}
    assert overrides(there) == {"/north/vm/of-before": False, "/north/vm/paver-jumpbox": False}


def test_another_sites_machines_are_none_of_this_ones(
    run: InventoryRun, there: VCenter, tmp_path: Path
) -> None:
    run.fine()
    other = tmp_path / "south"
    other.mkdir()
    south = InventoryRun(site_of(there.hosts, tmp_path, name="south"), there, other)
    south.place("vsphere.jumpbox:jumpbox", "south-jumpbox")
    with run.administrator() as session:
        overridden(session, "add", "south-jumpbox", enabled=False)
    assert pending(run.plan()) == {}
    run.placed = south.placed
    assert pending(run.plan()) == {"vsphere.vm-override:jumpbox": "create"}


def test_a_new_password_is_set_and_the_old_one_no_longer_logs_in(run: InventoryRun) -> None:
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    run.versions[CPI] = "another version"
    run.secrets[CPI] = "Paver-Cpi-2!"
    assert pending(run.plan()) == {"vsphere.account:cpi": "update"}
    run.fine()
    assert pending(run.plan()) == {}
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-2!"):
        pass
    with (
        pytest.raises(PaverError, match="refuses the login of bosh-cpi"),
        run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!"),
    ):
        pass


def test_a_wrong_password_of_the_administrator_is_sent_once_though_two_endpoints_log_in_with_it(
    run: InventoryRun,
) -> None:
    run.fine()
    before = len(run.vcenter.trace())
    run.secrets["vcenter-administrator"] = "Not-The-Right-1!"
    with run.world() as world:
        for endpoint in ("vcenter-appliance", "vcenter", "vcenter-sso") * 2:
            with pytest.raises(LoginError, match="refuses the login of administrator@") as told:
                world.connections.get(endpoint).reader().get(expiry.ROOT)
    tried = [line["method"] for line in run.vcenter.trace()[before:]]
    logins = ("Login", "RequestSecurityToken", "POST /api/session")
    assert sum(tried.count(method) for method in logins) == 1
    assert "five wrong ones within three minutes lock it for five minutes" in told.value.why
    assert "another administrator unlocks it" in told.value.do


def test_the_appliance_tells_how_long_roots_password_holds_and_is_left_without_a_session(
    run: InventoryRun,
) -> None:
    with run.world() as world:
        session = world.connections.get("vcenter-appliance").reader()
        root = session.get(expiry.ROOT).json()
        assert expiry.check("vcsa", "vcenter-root", root, dt.datetime.now(dt.UTC)).seen.endswith("89 days")
    calls = [line["method"] for line in run.vcenter.trace() if line["kind"] == "http"]
    assert calls == ["POST /api/session", f"GET {expiry.ROOT}", "DELETE /api/session"]


def test_a_vcenter_that_is_too_old_for_the_appliances_api_is_told_to_be_that(tmp_path: Path) -> None:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running, "7.0.1") as older:
        run = InventoryRun(site_of(running, tmp_path), older, tmp_path)
        with run.world() as world, pytest.raises(Unobservable, match="/api/session is not there") as told:
            world.connections.get("vcenter-appliance").reader().get(expiry.ROOT)
    assert "from 7.0 U2" in told.value.why
    assert "upgrade it to 7.0 U2" in told.value.do


def test_a_password_that_is_reset_leaves_an_account_otherwise_as_it_is(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as accounts:
        before = accounts.user("bosh-cpi")
        for number in range(8):
            accounts.set_password("bosh-cpi", f"Paver-Cpi-{number}!")
            assert accounts.user("bosh-cpi") == before


def test_a_deleted_account_is_made_again(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as accounts:
        accounts.delete("bosh-cpi")
    assert pending(run.plan()) == {"vsphere.account:cpi": "create"}
    run.fine()
    assert pending(run.plan()) == {}


def test_foreign_things_of_the_same_names_block_until_the_site_adopts_them(run: InventoryRun) -> None:
    with run.administrator() as session:
        session.call(session.content.rootFolder, "CreateDatacenter", name="north")
        north = session.one("Datacenter", ("vmFolder", "hostFolder"))[1]
        session.call(north["vmFolder"], "CreateFolder", name="BOSH_VMs")
        session.call(north["hostFolder"], "CreateClusterEx", name="compute", spec=new("ClusterConfigSpecEx"))
        manager = session.content.authorizationManager
        session.call(manager, "AddAuthorizationRole", name="paver-north-cpi-root", privIds=[])
    with run.sso() as accounts:
        accounts.create("bosh-cpi", "Some-Password-1", "for something else")
    planned = pending(run.plan())
    blocked = {id_ for id_, verb in planned.items() if verb == "blocked"}
    assert blocked == {
        "vsphere.account:cpi",
        "vsphere.cluster:compute",
        "vsphere.datacenter:north",
        "vsphere.folder:BOSH_VMs",
        "vsphere.role:cpi-root",
    }
    for id_ in blocked:
        run.changed[id_] = {"adopt": True}
    planned = pending(run.plan())
    assert {id_ for id_, verb in planned.items() if verb == "adopt"} == blocked
    run.fine()
    assert pending(run.plan()) == {}
    run.fine("destroy")
    with run.administrator() as session:
        assert not session.objects("Datacenter")


def test_a_name_that_differs_in_case_is_the_name_of_something_else(run: InventoryRun) -> None:
    with run.administrator() as session:
        session.call(session.content.rootFolder, "CreateDatacenter", name="North")
        other = session.one("Datacenter", ("vmFolder",))[1]
        session.call(other["vmFolder"], "CreateFolder", name="bosh_vms")
        manager = session.content.authorizationManager
        session.call(manager, "AddAuthorizationRole", name="Paver-North-CPI-Root", privIds=[])
    assert set(pending(run.plan()).values()) == {"create"}
    run.fine()
    assert pending(run.plan()) == {}
    run.fine("destroy")
    with run.administrator() as session:
        assert [values["name"] for _, values in session.objects("Datacenter")] == ["North"]
        assert entity(session, "Folder", "bosh_vms")


def test_another_site_in_the_same_vcenter_blocks_and_is_left_alone(
    run: InventoryRun, there: VCenter, tmp_path: Path
) -> None:
    run.fine()
    made = but_agents(there.inventory())
    south = tmp_path / "south"
    south.mkdir()
    other = InventoryRun(site_of(there.hosts, tmp_path, name="south"), there, south)
    planned = pending(other.plan())
    assert planned["vsphere.datacenter:north"] == "blocked"
    assert planned[HOST] == "blocked"
    assert planned["vsphere.role:cpi-root"] == "create"
    assert pending(other.plan("destroy")) == {}
    assert but_agents(there.inventory()) == made


def test_what_the_site_file_no_longer_names_goes(run: InventoryRun, there: VCenter, tmp_path: Path) -> None:
    run.fine()
    run.site = site_of(there.hosts, tmp_path)
    assert pending(run.plan()) == {
        "vsphere.permission:north/host/compute": "create",
        "vsphere.permission:north/host/compute/Resources/bosh": "delete",
        "vsphere.resource-pool:compute/bosh": "delete",
    }
    run.fine()
    assert pending(run.plan()) == {}
    assert "/north/host/compute/Resources/bosh" not in there.inventory()["entities"]


def test_a_wrong_password_of_a_host_is_told_as_one(run: InventoryRun) -> None:
    run.secrets["wrong"] = "Not-The-Password-1"
    run.changed[HOST] = {"password": Secret("wrong")}
    ((resource, error),) = run.apply().failed
    assert resource == HOST
    assert isinstance(error, PaverError)
    assert "vCenter cannot add esx-01" in error.what
    assert "refuses user or password" in error.why
    del run.changed[HOST]
    run.fine()
    assert pending(run.plan()) == {}


def test_a_host_that_shows_vcenter_another_certificate_is_not_added(
    run: InventoryRun, there: VCenter
) -> None:
    run.changed[HOST] = {"port": there.hosts.ports["esx-02"]}
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert "another certificate under that name" in error.why
    assert "/north/host/compute/esx-01.north.example" not in there.inventory()["entities"]


def test_a_host_that_vcenter_does_not_reach_is_told_as_one(run: InventoryRun) -> None:
    run.changed[HOST] = {"name": "esx-01.elsewhere.example"}
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert "does not reach the host" in error.why
    assert "DNS" in error.do


def test_after_it_was_added_a_host_is_trusted_by_vcenters_authority_and_no_longer_by_its_pin(
    run: InventoryRun,
) -> None:
    run.fine()
    with run.someone_else("esx-01") as session:
        assert session.one("HostSystem") is not None
    connector: Any = run.paved().connectors["host:esx-01"]
    with pytest.raises(TrustError, match="another certificate than the one that is pinned"):
        connector.connect(Wire(reveal=lambda secret: run.secrets[secret.name]))


def test_a_connection_to_a_host_outlives_its_new_certificate(run: InventoryRun) -> None:
    with run.someone_else("esx-01") as session:
        before = session.value(session.one("HostSystem")[0], "name", fresh=True)
        run.fine()
        assert session.value(session.one("HostSystem")[0], "name", fresh=True) == before
        machine(session, "made-afterwards")


def test_vms_in_boshs_folder_stop_destroy_before_anything_of_it_is_lost(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    with run.administrator() as session:
        pool = entity(session, "ResourcePool", "bosh")
        folder = entity(session, "Folder", "BOSH_VMs")
        session.task(folder, "CreateVM_Task", config=small("vm-1"), pool=pool)
    errors = dict(run.apply("destroy").failed)
    assert errors
    assert all(isinstance(error, Refused) for error in errors.values())
    assert "vm-1" in there.hosts.inventory("esx-01")["virtual_machines"]
    with run.administrator() as session:
        session.task(entity(session, "VirtualMachine", "vm-1"), "Destroy_Task")
    run.fine("destroy")
    assert there.inventory()["entities"] == {}


def test_the_empty_folders_that_boshs_cpi_makes_for_its_directors_go_along(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    director = "b9f1f3a2-5d0c-4c43-6a2e-0d1c7c0f5a11"
    with run.administrator() as session:
        for parent in ("BOSH_VMs", "BOSH_Templates"):
            session.call(entity(session, "Folder", parent), "CreateFolder", name=director)
        own = next(
            one.ref
            for one in every(session, "Folder")
            if one.values["name"] == director
            and describe(one.values["parent"]) == describe(entity(session, "Folder", "BOSH_VMs"))
        )
        pool = entity(session, "ResourcePool", "bosh")
        session.task(own, "CreateVM_Task", config=small("vm-1"), pool=pool)
    errors = [error for _, error in run.apply("destroy").failed]
    assert any(isinstance(error, Refused) and "vm-1" in error.seen for error in errors)
    with run.administrator() as session:
        session.task(entity(session, "VirtualMachine", "vm-1"), "Destroy_Task")
        # One that bears another name is somebody's.
        session.call(entity(session, "Folder", "BOSH_VMs"), "CreateFolder", name="backups")
    errors = [error for _, error in run.apply("destroy").failed]
    assert any(isinstance(error, Refused) and error.seen == "backups" for error in errors)
    with run.administrator() as session:
        session.task(entity(session, "Folder", "backups"), "Destroy_Task")
    run.fine("destroy")
    assert there.inventory()["entities"] == {}


def test_disks_in_boshs_folder_stop_destroy(run: InventoryRun) -> None:
    run.fine()
    with run.administrator() as session:
        datacenter = entity(session, "Datacenter", "north")
        session.datastore_mkdir("datastore1", "BOSH_Disks/disk-1", datacenter)
    errors = [error for _, error in run.apply("destroy").failed]
    assert any(isinstance(error, Refused) and "BOSH's persistent disks" in error.why for error in errors)
    with run.administrator() as session:
        session.datastore_delete("datastore1", "BOSH_Disks/disk-1", entity(session, "Datacenter", "north"))
    run.fine("destroy")


def test_boshs_account_may_do_what_its_cpi_does(run: InventoryRun) -> None:
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!") as cpi:
        north = entity(cpi, "Datacenter", "north")
        pool = entity(cpi, "ResourcePool", "bosh")
        vms = entity(cpi, "Folder", "BOSH_VMs")
        fields, disks = cpi.content.customFieldsManager, cpi.content.virtualDiskManager
        field = cpi.call(fields, "AddCustomFieldDef", name="deployment", moType=None)
        nested = cpi.call(vms, "CreateFolder", name="nested")
        cpi.task(nested, "Destroy_Task")
        cpi.task(vms, "CreateVM_Task", config=small("vm-1"), pool=pool)
        vm = entity(cpi, "VirtualMachine", "vm-1")
        cpi.call(fields, "SetField", entity=vm, key=field.key, value="registry")
        # As the CPI does for the attribute by which it groups VMs for DRS.
        tags = {
            f"{verb.lower()}Privilege": f"InventoryService.Tagging.{verb}Tag" for verb in ("Create", "Delete")
        }
        policy = new(
            "PrivilegePolicyDef",
            readPrivilege="System.Read",
            updatePrivilege="InventoryService.Tagging.EditTag",
            **tags,
        )
        rules = cpi.call(
            fields, "AddCustomFieldDef", name="drs", moType=None, fieldDefPolicy=policy, fieldPolicy=policy
        )
        cpi.call(fields, "SetField", entity=vm, key=rules.key, value="apart")
        cpi.task(vm, "ReconfigVM_Task", spec=new("VirtualMachineConfigSpec", numCPUs=2, memoryMB=256))
        cpi.task(vm, "PowerOnVM_Task")
        cpi.task(vm, "PowerOffVM_Task")
        cpi.task(vm, "Destroy_Task")
        spec = new("FileBackedVirtualDiskSpec", diskType="thin", adapterType="lsiLogic", capacityKb=1024)
        disk = "[datastore1] BOSH_Disks/disk-1.vmdk"
        cpi.task(disks, "CreateVirtualDisk_Task", name=disk, datacenter=north, spec=spec)
        cpi.task(disks, "DeleteVirtualDisk_Task", name=disk, datacenter=north)


def test_vcenter_tells_until_when_boshs_password_holds(run: InventoryRun) -> None:
    run.fine()
    with run.sso() as session:
        assert session.password_days() == 90
        (wish,) = (one for one in run.paved().resources if isinstance(one, Account))
        found = session.user(wish.user)
        world: Any = SimpleNamespace(session=lambda _: session)
        (check,) = wish.checks(world, AccountFacts())
    today = json.loads(found.description)["since"]
    assert check.ok
    assert check.seen.endswith(f"(90 days from {today})")


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


def test_a_licence_that_is_added_to_vcenter_takes_its_evaluations_place_once_it_is_assigned(
    run: InventoryRun,
) -> None:
    key = "VCSTD-VCSTD-VCSTD-VCSTD-VCSTD"
    with run.administrator() as session:
        manager, own = session.content.licenseManager, session.content.about.instanceUuid
        assigner = session.value(manager, "licenseAssignmentManager")

        def assign(key: str) -> None:
            session.call(assigner, "UpdateAssignedLicense", entity=own, licenseKey=key)

        assert session.call(manager, "AddLicense", licenseKey=key).editionKey == "vc.standard.instance"
        assert key in {one.licenseKey for one in session.value(manager, "licenses")}
        assert evaluation.of_vcenter(session)
        assign(key)
        assert not evaluation.of_vcenter(session)
        assign(evaluation.KEY)
        assert evaluation.of_vcenter(session)


def test_a_licence_that_a_site_gets_once_vcenter_has_its_hosts_is_assigned_in_vcenter_and_stays(
    run: InventoryRun, there: VCenter, tmp_path: Path
) -> None:
    run.site = site_of(there.hosts, tmp_path)
    run.fine()
    text = text_of(list(there.hosts.pins.values()))
    text = text.replace("login: secret:esx-root", "login: secret:esx-root\n      licence: secret:esx-licence")
    run.site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    of_inventory = run._keep
    run._keep = lambda resource: of_inventory(resource) or resource.kind == "vsphere.licence"
    run.secrets["esx-licence"] = "EPLUS-EPLUS-EPLUS-EPLUS-EPLUS"
    names = ("esx-01", "esx-02")
    assert pending(run.plan()) == {
        **{f"vsphere.licence:{name}": "update" for name in names},
        **{f"vsphere.cluster-host:{name}": "update" for name in names},
    }

    def licensed() -> dict[str, Any]:
        # It looks after its hosts whenever somebody reads.
        there.inventory()
        return {name: there.hosts.inventory(name)["licence"] for name in names}

    run.fine()
    assert licensed() == dict.fromkeys(names, "enterprise-plus")
    assert pending(run.plan()) == {}

    with run.administrator() as session:
        manager = session.content.licenseManager
        assigner = session.value(manager, "licenseAssignmentManager")
        host = entity(session, "HostSystem", "esx-01.north.example")._moId
        session.call(assigner, "UpdateAssignedLicense", entity=host, licenseKey=evaluation.KEY)
    assert licensed()["esx-01"] == "evaluation"
    assert pending(run.plan()) == {HOST: "update"}
    run.fine()
    assert licensed() == dict.fromkeys(names, "enterprise-plus")

    run.secrets["esx-licence"] = "STD00-STD00-STD00-STD00-STD00"
    run.versions["esx-licence"] = "another"
    run.fine()
    assert licensed() == dict.fromkeys(names, "standard")
    run.fine("destroy")
    assert {name: there.hosts.inventory(name)["licence"] for name in names} == dict.fromkeys(
        names, "evaluation"
    )


def test_bosh_may_place_vms_and_disks_in_each_zone_where_every_host_has_a_datastore_of_its_own(
    there: VCenter, tmp_path: Path
) -> None:
    site = in_two_zones(there, tmp_path)
    run = InventoryRun(site, there, tmp_path)
    run.secrets[CPI] = "Paver-Cpi-1!"
    bare = state(there.hosts)
    run.fine()
    assert pending(run.plan()) == {}
    pattern = re.compile(bosh.cpi_values(site)["vcenter_ds"].replace(r"\z", r"\Z"))
    used = []
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!") as cpi:
        vms, north = entity(cpi, "Folder", "BOSH_VMs"), entity(cpi, "Datacenter", "north")
        disks = cpi.content.virtualDiskManager
        names = {describe(one.ref): one.values["name"] for one in every(cpi, "Datastore")}
        for zone in every(cpi, "ClusterComputeResource", ("datastore", "resourcePool")):
            reached = [names[describe(one)] for one in zone.values["datastore"]]
            (store,) = [name for name in reached if pattern.search(name)]
            used.append(store)
            vm = small(f"vm-{zone.values['name']}")
            vm.files.vmPathName = f"[{store}]"
            cpi.task(vms, "CreateVM_Task", config=vm, pool=zone.values["resourcePool"])
            cpi.task(entity(cpi, "VirtualMachine", vm.name), "Destroy_Task")
            disk = f"[{store}] BOSH_Disks/disk-1.vmdk"
            spec = new("FileBackedVirtualDiskSpec", diskType="thin", adapterType="lsiLogic", capacityKb=1024)
            cpi.task(disks, "CreateVirtualDisk_Task", name=disk, datacenter=north, spec=spec)
    assert sorted(used) == ["datastore1", "datastore1 (1)"]
    errors = [error for _, error in run.apply("destroy").failed]
    assert any(isinstance(error, Refused) and "BOSH's persistent disks" in error.why for error in errors)
    run.fine()
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!") as cpi:
        north = entity(cpi, "Datacenter", "north")
        for store in used:
            disk = f"[{store}] BOSH_Disks/disk-1.vmdk"
            cpi.task(cpi.content.virtualDiskManager, "DeleteVirtualDisk_Task", name=disk, datacenter=north)
    run.fine("destroy")
    assert state(there.hosts) == bare


def test_a_host_that_is_added_later_gets_what_bosh_needs_on_its_datastore(
    there: VCenter, tmp_path: Path
) -> None:
    run = InventoryRun(site_of(there.hosts, tmp_path), there, tmp_path)
    whole = run.site
    iaas: Any = whole.iaas
    alone = iaas.inventory.clusters["compute"].model_copy(update={"hosts": ("esx-01",)})
    smaller = iaas.inventory.model_copy(update={"clusters": {"compute": alone}})
    run.site = dataclasses.replace(whole, iaas=iaas.model_copy(update={"inventory": smaller}))
    run.fine()
    assert pending(run.plan()) == {}
    run.site = whole
    planned = pending(run.plan())
    assert planned["vsphere.disk-folder:north/datastore1/BOSH_Disks"] == "update"
    assert planned["vsphere.permission:north/datastore/datastore1"] == "update"
    run.fine()
    assert pending(run.plan()) == {}
    with run.administrator() as session:
        north = entity(session, "Datacenter", "north")
        session.datastore_delete("datastore1 (1)", "BOSH_Disks", north)


def test_what_bosh_may_make_lies_below_its_folders_and_all_else_is_seen_around_it(
    run: InventoryRun,
) -> None:
    run.fine()
    around = surroundings.of(run.site)

    def seen() -> frozenset[str]:
        with run.world() as world:
            return around.look(ReadingWorld(run.site.name, world.connections, world.version))

    def machines() -> set[str]:
        with run.world() as world:
            there = around.machines(ReadingWorld(run.site.name, world.connections, world.version))
            return {name.rpartition("/")[2] for name in there}

    def undeclared(names: frozenset[str]) -> set[str]:
        return {name for name in names if not any(fnmatch.fnmatchcase(name, one) for one in around.makes)}

    before = seen()
    carried(run.vcenter.hosts)
    assert seen() == before
    with run.administrator() as session:
        pool, vms = entity(session, "ResourcePool", "bosh"), entity(session, "Folder", "BOSH_VMs")
        own = session.call(vms, "CreateFolder", name="director")
        session.task(own, "CreateVM_Task", config=small("vm-1"), pool=pool)
    made = seen() - before
    assert {name.rpartition("/")[2] for name in made} == {"director", "vm-1"}
    assert undeclared(made) == set()
    assert machines() == {"vm-1"}
    with run.administrator() as session:
        above = session.one("Datacenter", ("vmFolder",))[1]["vmFolder"]
        session.call(above, "CreateFolder", name="BOSH_VMs_of_another")
        session.task(above, "CreateVM_Task", config=small("miner"), pool=pool)
        session.task(entity(session, "ResourcePool", "bosh"), "Rename_Task", newName="ours")
    elsewhere = undeclared(seen() ^ before)
    assert {name.partition(" /")[0] + " " + name.rpartition("/")[2] for name in elsewhere} == {
        "VM miner",
        "folder BOSH_VMs_of_another",
        "resource pool bosh",
        "resource pool ours",
    }


def test_the_disks_that_bosh_keeps_are_known_on_all_its_datastores_and_one_that_nobody_sees_is_not_taken_for_empty(
    there: VCenter, tmp_path: Path
) -> None:
    run = InventoryRun(in_two_zones(there, tmp_path), there, tmp_path)
    run.fine()
    around = surroundings.of(run.site)

    def disks() -> frozenset[str]:
        with run.world() as world:
            return around.disks(ReadingWorld(run.site.name, world.connections, world.version))

    assert disks() == frozenset()
    kept = ("[datastore1] BOSH_Disks/disk-1", "[datastore1 (1)] BOSH_Disks/disk-2")
    with run.administrator() as session:
        north = entity(session, "Datacenter", "north")
        for name in (*kept, "[datastore1] disk-3"):
            spec = new("FileBackedVirtualDiskSpec", diskType="thin", adapterType="lsiLogic", capacityKb=1024)
            session.task(
                session.content.virtualDiskManager,
                "CreateVirtualDisk_Task",
                name=f"{name}.vmdk",
                datacenter=north,
                spec=spec,
            )
        assert disks() == frozenset(kept), "and not one that lies elsewhere"
        session.task(entity(session, "HostSystem", "esx-02.north.example"), "DisconnectHost_Task")
    hidden = "[datastore1 (1)] BOSH_Disks: no host shows it at the moment"
    assert disks() == {kept[0], hidden}


def test_boshs_account_may_do_nothing_else(run: InventoryRun) -> None:
    with run.someone_else("esx-01") as session:
        machine(session, "jumpbox")
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    with run.account("bosh-cpi@vsphere.local", "Paver-Cpi-1!") as cpi:
        jumpbox = entity(cpi, "VirtualMachine", "jumpbox")
        north = entity(cpi, "Datacenter", "north")
        above = cpi.value(north, "vmFolder")
        root = entity(cpi, "ResourcePool", "Resources")
        fields = cpi.content.customFieldsManager
        field = cpi.call(fields, "AddCustomFieldDef", name="deployment", moType=None)
        tries: list[Callable[[], object]] = [
            lambda: cpi.task(jumpbox, "PowerOnVM_Task"),
            lambda: cpi.task(jumpbox, "Destroy_Task"),
            lambda: cpi.task(jumpbox, "ReconfigVM_Task", spec=new("VirtualMachineConfigSpec", memoryMB=256)),
            lambda: cpi.call(fields, "SetField", entity=jumpbox, key=field.key, value="ours"),
            lambda: cpi.call(above, "CreateFolder", name="elsewhere"),
            lambda: cpi.task(above, "CreateVM_Task", config=small("elsewhere"), pool=root),
            lambda: cpi.task(root, "Destroy_Task"),
            lambda: cpi.call(cpi.content.rootFolder, "CreateDatacenter", name="elsewhere"),
            lambda: cpi.task(entity(cpi, "HostSystem", "esx-01.north.example"), "DisconnectHost_Task"),
            lambda: cpi.call(
                cpi.content.authorizationManager, "AddAuthorizationRole", name="mine", privIds=[]
            ),
            lambda: cpi.task(north, "Destroy_Task"),
        ]
        for attempt in tries:
            with pytest.raises(VsphereFault) as refused:
                attempt()
            assert refused.value.fault == "NoPermission"


@dataclasses.dataclass
class Deaths:
    """Ends a run before a write of this number leaves, as a killed paver would; of some calls' writes where they are named."""

    at: int
    of: frozenset[str] | None = None
    seen: int = 0

    def gate(self, inner: Gate) -> Gate:
        def gate(call: str, target: str = "", detail: Any = None) -> None:
            self.seen += self.of is None or call in self.of
            if self.seen == self.at:
                raise KeyboardInterrupt
            inner(call, target, detail)

        return gate


class Mortal:
    """A connector whose writing faces die."""

    def __init__(self, inner: Any, deaths: Deaths) -> None:
        self._inner, self._deaths = inner, deaths

    def connect(self, context: Any) -> Any:
        connection, deaths = self._inner.connect(context), self._deaths

        class Connection:
            reader, forget, close = connection.reader, connection.forget, connection.close

            def writer(self, gate: Gate) -> Any:
                return connection.writer(deaths.gate(gate))

        return Connection()


def test_wherever_it_is_killed_the_next_run_ends_the_same(run: InventoryRun, there: VCenter) -> None:
    for machine_of, name in EXCLUDED.items():
        run.place(machine_of, name)
    start = there.inventory()
    run.fine()
    made = _but_actions(there.inventory())
    run.fine("destroy")
    writes, at = 10**6, 1
    while at < writes:
        deaths = Deaths(at)
        ends = {name: Mortal(run.paved().connectors[name], deaths) for name in ("vcenter", "vcenter-sso")}
        run.connectors = dict(ends)
        failed = run.apply().failed
        run.connectors = {}
        assert failed or deaths.seen < at
        run.fine()
        assert pending(run.plan()) == {}
        assert _but_actions(there.inventory()) == made

        deaths = Deaths(at)
        run.connectors = {
            name: Mortal(run.paved().connectors[name], deaths) for name in ("vcenter", "vcenter-sso")
        }
        run.apply("destroy")
        run.connectors = {}
        run.fine("destroy")
        assert there.inventory() == start
        writes = deaths.seen if deaths.seen < at else writes
        at += 17


def test_a_destroy_that_dies_between_the_parts_of_a_thing_goes_on_by_the_same_plan(
    there: VCenter, tmp_path: Path
) -> None:
    """What lies on the datastores of several hosts goes from one after the other: then it is not what was planned."""
    run = InventoryRun(in_two_zones(there, tmp_path), there, tmp_path)
    bare = state(there.hosts)
    run.fine()
    planned = run.plan("destroy")
    died = 0
    while True:
        deaths = Deaths(2, of=frozenset({"DeleteDatastoreFile_Task", "RemoveEntityPermission"}))
        run.connectors = {"vcenter": Mortal(run.paved().connectors["vcenter"], deaths)}
        failed = run.act(planned).failed
        run.connectors = {}
        if deaths.seen < deaths.at:
            break
        assert [type(error) for _, error in failed] == [KeyboardInterrupt]
        died += 1
    assert not failed
    assert died >= 3, "of both kinds some have two parts"
    assert state(there.hosts) == bare


def test_facts_that_are_read_hold_no_password(run: InventoryRun) -> None:
    run.secrets[CPI] = "Paver-Cpi-1!"
    run.fine()
    with run.world() as world:
        run.plan_in(world)
        seen: list[Facts | None] = [world.board.facts(resource.id) for resource in world.paved.resources]
    assert "Paver-Cpi-1!" not in repr(seen)
    assert any(isinstance(resource, ClusterHost) for resource in run.paved().resources)


def test_a_cluster_that_would_get_another_name_is_blocked(run: InventoryRun) -> None:
    run.fine()
    iaas: Any = run.site.iaas
    clusters = {"north-1": iaas.inventory.clusters["compute"]}
    inventory_of = iaas.inventory.model_copy(update={"clusters": clusters})
    run.site = dataclasses.replace(
        run.site,
        iaas=iaas.model_copy(update={"inventory": inventory_of}),
        moved={"vsphere.cluster:compute": "vsphere.cluster:north-1"},
    )
    planned = run.plan()
    reasons = {str(action.resource): action.reason for action in planned.blocked}
    assert "its own name (compute) would change" in reasons["vsphere.cluster:north-1"]
    assert HOST not in pending(planned), "its hosts are not taken out of it"


@contextlib.contextmanager
def dying_after(call: str) -> Iterator[None]:
    """Has a run die once it has asked for a task of this name, as a killed paver would: nobody sees the task's end."""
    finished = VsphereReader._finished

    def died(self: VsphereReader, task: Any, method: str, *more: Any) -> Any:
        if method == call:
            raise KeyboardInterrupt
        return finished(self, task, method, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VsphereReader, "_finished", died)
        yield


@contextlib.contextmanager
def held(there: VCenter, call: str) -> Iterator[list[str]]:
    """Has vCenter's next task of this name change nothing before somebody has asked for the recent tasks; yields those asked for."""
    control.call(there.control, "POST", "/fault", {"server": FQDN, "method": call, "task_ms": 600_000})
    recent, seen = VsphereReader.recent_tasks, list[str]()

    def asked(self: VsphereReader) -> list[Any]:
        found = recent(self)
        running = [values["info.name"] for _, values in found if values["info.state"] == "running"]
        if running:
            seen.extend(running)
            # Whoever asked takes it up in the meantime.
            threading.Timer(0.5, control.call, (there.control, "DELETE", "/faults")).start()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VsphereReader, "recent_tasks", asked)
        yield seen


def test_a_host_that_vcenter_adds_still_for_a_run_that_was_killed_is_waited_for_and_added_once(
    run: InventoryRun, there: VCenter
) -> None:
    with held(there, "AddHost_Task") as waited:
        with dying_after("AddHost_Task"):
            assert run.apply().failed
        run.fine()
    assert waited == ["AddHost_Task"]
    assert pending(run.plan()) == {}
    wished = [one for one in run.paved().resources if isinstance(one, ClusterHost)]
    assert there.writes().count("AddHost_Task") == len(wished) > 1


def test_what_vcenter_removes_still_for_a_run_that_was_killed_does_not_count_as_made(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    made = _but_actions(there.inventory())
    with held(there, "Destroy_Task") as waited:
        with dying_after("Destroy_Task"):
            assert run.apply("destroy").failed
        run.fine()
    assert waited == ["Destroy_Task"]
    assert pending(run.plan()) == {}
    assert _but_actions(there.inventory()) == made
