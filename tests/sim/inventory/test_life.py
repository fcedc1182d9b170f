"""Phase `inventory` against a simulated vCenter that dials simulated hosts: there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.inventory import (
    carried,
    machine,
    state,
)
from tests.support.vcenter_lab import InventoryRun, VCenter
from tests.support.vsphere_lab import pending, site_of

pytestmark = pytest.mark.lab


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
