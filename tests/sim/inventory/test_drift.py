"""What somebody changed in vCenter is named and repaired; what is vCenter's own to change is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from paver.drivers.vsphere.inventory import retreat
from paver.drivers.vsphere.inventory.entity import every
from paver.transport.vsphere import new
from tests.support.inventory import (
    HOST,
    but_actions,
    entity,
    not_permitted,
)
from tests.support.vcenter_lab import InventoryRun, VCenter, vcenter, with_pool
from tests.support.vsphere_lab import hosts, pending, site_of

pytestmark = pytest.mark.lab


Made = tuple[InventoryRun, VCenter]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """An inventory that stands; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("standing")
    with hosts(folder, "esx-01", "esx-02") as running, vcenter(folder, running) as started:
        run = InventoryRun(with_pool(site_of(running, folder)), started, folder)
        run.fine()
        yield run, started


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
    "a permission is gone": (not_permitted, {"vsphere.permission:north/vm/BOSH_VMs": "create"}),
}


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
    assert but_actions(there.inventory()) == but_actions(made)


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
