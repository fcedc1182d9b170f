"""What stands in vCenter and is not this site's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from paver.transport.vsphere import new
from tests.support.inventory import (
    HOST,
    entity,
)
from tests.support.left import but_agents
from tests.support.vcenter_lab import InventoryRun, VCenter
from tests.support.vsphere_lab import pending, site_of

pytestmark = pytest.mark.lab


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
