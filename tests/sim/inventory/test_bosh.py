"""What BOSH may make and do in vCenter, and what of it stops a destroy."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Refused
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.inventory import bosh, surroundings
from paver.drivers.vsphere.inventory.entity import every
from paver.engine.world import ReadingWorld
from paver.sitefile.load import loads
from paver.transport.vsphere import VsphereFault, describe, new
from tests.support.inventory import (
    carried,
    entity,
    in_two_zones,
    machine,
    small,
    state,
)
from tests.support.vcenter_lab import CPI, InventoryRun, VCenter
from tests.support.vsphere_lab import pending, site_of, text_of

pytestmark = pytest.mark.lab


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


def test_a_folder_and_a_pool_that_machines_are_in_stay_though_the_site_file_names_others(
    run: InventoryRun, there: VCenter
) -> None:
    run.fine()
    with run.administrator() as session:
        pool = entity(session, "ResourcePool", "bosh")
        folder = entity(session, "Folder", "BOSH_VMs")
        session.task(folder, "CreateVM_Task", config=small("vm-1"), pool=pool)
    text = text_of(list(there.hosts.pins.values()))
    text = text.replace("    datacenter: north\n", "    datacenter: north\n    folders: {vms: Others}\n")
    run.site = loads(text, {"vsphere": DRIVER}, file="site.yml", folder=run.site.folder)
    planned = run.plan()
    blocked = {str(one.resource): one.reason for one in planned.blocked}
    assert blocked.keys() == {"vsphere.folder:BOSH_VMs", "vsphere.resource-pool:compute/bosh"}
    assert all("machines are in it (vm-1)" in reason for reason in blocked.values())
    assert "vsphere.folder:BOSH_VMs" in pending(run.plan("destroy", allow=("*",)))
    run.fine(only=("vsphere.folder:*",))
    with run.administrator() as session:
        vm = entity(session, "VirtualMachine", "vm-1")
        session.task(entity(session, "Folder", "Others"), "MoveIntoFolder_Task", list=[vm])
    assert [one.resource for one in run.plan().blocked] == ["vsphere.resource-pool:compute/bosh"]
    with run.administrator() as session:
        session.task(entity(session, "VirtualMachine", "vm-1"), "Destroy_Task")
    run.fine()
    assert pending(run.plan()) == {}


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
