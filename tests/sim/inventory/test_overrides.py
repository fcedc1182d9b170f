"""DRS leaves vCenter and the jumpbox where they are: overrides of a cluster, ours and somebody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paver.driver import PaverError
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.inventory.entity import every
from paver.sitefile.load import loads
from paver.transport.vsphere import new
from tests.support.inventory import (
    EXCLUDED,
    entity,
)
from tests.support.vcenter_lab import InventoryRun, VCenter
from tests.support.vsphere_lab import pending, site_of, text_of

pytestmark = pytest.mark.lab


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
