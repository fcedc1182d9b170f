"""The CPI's calls for persistent disks; a disk's file has a folder beside it that holds what the agent mounts.

A disk is made where its VM's host reaches it, in whatever cluster; it is found again on the datastores of the clusters that
the CPI was given alone, unless the VM is told, too (bosh-vsphere-cpi-release 98.0.9, lib/cloud/vsphere/cloud.rb,
resources/datacenter.rb).
"""

from __future__ import annotations

import shutil
import uuid
from typing import Any

from paver.lab.standins import cpi_devices
from paver.lab.standins.cpi_errors import CloudError, DiskNotAttachedError, DiskNotFoundError
from paver.lab.standins.cpi_paths import DATA_SUFFIX
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim

_PATTERN = "persistent_datastore_pattern"


def create_disk(cloud: Cloud, megabytes: int, _properties: Any, vm_cid: str | None = None) -> str:
    """Makes an empty disk in the disks' folder of a datastore that the VM's host reaches, and returns its id."""
    vm = cpi_devices.vm_of(cloud, vm_cid) if vm_cid else None
    stores = cloud.matching(cloud.accessible() if vm is None else _reached_by(vm), _PATTERN)
    if not stores:
        raise CloudError(
            "Unable to create disk on any storage entity provided. Possible errors can be no free space, "
            "datastore in maintenance mode or datastores are not accessible by any host"
        )
    store = stores[0]
    folder = f"[{store.name}] {cloud.settings['disk_path']}"
    cid = f"disk-{uuid.uuid4()}"
    if not _folder_exists(cloud, store, cloud.settings["disk_path"]):
        cloud.content.fileManager.MakeDirectory(folder, cloud.datacenter, True)
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType=cloud.disk_type, adapterType="lsiLogic", capacityKb=megabytes * 1024
    )
    cloud.wait(
        cloud.content.virtualDiskManager.CreateVirtualDisk_Task(
            f"{folder}/{cid}.vmdk", cloud.datacenter, spec
        )
    )
    return cid


def delete_disk(cloud: Cloud, cid: str) -> None:
    """Deletes the disk, and what the agent kept on it."""
    store, path = find_disk(cloud, cid)
    cloud.wait(cloud.content.virtualDiskManager.DeleteVirtualDisk_Task(path, cloud.datacenter))
    file = cpi_devices.host_file(store, path)
    if file is not None and file.with_name(file.name + DATA_SUFFIX).is_dir():
        shutil.rmtree(file.with_name(file.name + DATA_SUFFIX))


def has_disk(cloud: Cloud, cid: str) -> bool:
    """Whether the disk is there."""
    try:
        find_disk(cloud, cid)
    except DiskNotFoundError:
        return False
    return True


def attach_disk(cloud: Cloud, vm_cid: str, disk_cid: str) -> dict[str, Any]:
    """Attaches the disk, and returns the hint by which the agent finds it."""
    vm = cpi_devices.vm_of(cloud, vm_cid)
    store, path = find_disk(cloud, disk_cid, vm)
    if path not in [disk.backing.fileName for disk in cpi_devices.disks_of(vm)]:
        controller = next(
            device
            for device in vm.config.hardware.device
            if isinstance(device, vim.vm.device.VirtualSCSIController)
        )
        taken = {
            device.unitNumber for device in cpi_devices.disks_of(vm) if device.controllerKey == controller.key
        }
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName=path, diskMode="independent_persistent", datastore=store
        )
        disk = vim.vm.device.VirtualDisk(
            key=-1,
            backing=backing,
            controllerKey=controller.key,
            unitNumber=min(unit for unit in range(16) if unit != 7 and unit not in taken),
        )
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[cpi_devices.change("add", disk)])))
        [attached] = [disk for disk in cpi_devices.disks_of(vm) if disk.backing.fileName == path]
        cpi_devices.noted(cloud, vm, "add", attached, disk_cid)
    file = cpi_devices.host_file(store, path)
    hint = {"id": disk_cid, "path": path, "file": str(file) if file else ""}
    cpi_devices.change_settings(cloud, vm, lambda disks: {**disks, disk_cid: hint})
    return hint


def detach_disk(cloud: Cloud, vm_cid: str, disk_cid: str) -> None:
    """Detaches the disk; its file stays."""
    vm = cpi_devices.vm_of(cloud, vm_cid)
    attached = [disk for disk in cpi_devices.disks_of(vm) if _cid_of(disk) == disk_cid]
    if not attached:
        raise DiskNotAttachedError(f"Disk '{disk_cid}' is not attached to VM '{vm_cid}'")
    for disk in attached:
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[cpi_devices.change("remove", disk)])))
        cpi_devices.noted(cloud, vm, "remove", disk, disk_cid)
    cpi_devices.change_settings(
        cloud, vm, lambda disks: {cid: hint for cid, hint in disks.items() if cid != disk_cid}
    )


def get_disks(cloud: Cloud, cid: str) -> list[str]:
    """The ids of the VM's persistent disks."""
    disks = [
        disk
        for disk in cpi_devices.disks_of(cpi_devices.vm_of(cloud, cid))
        if cpi_devices.is_persistent(cloud, disk)
    ]
    return [_cid_of(disk) for disk in disks]


def find_disk(cloud: Cloud, cid: str, vm: Any = None) -> tuple[Any, str]:
    """Returns the disk's datastore and path: one of the configured clusters', or if `vm` is given, one that its host reaches.

    Raises:
        DiskNotFoundError: it is on none of them.
    """
    known = cloud.accessible()
    likely = cloud.matching(known, _PATTERN)
    others = [store for store in known if store not in likely]
    for store in (*likely, *others, *(_reached_by(vm) if vm is not None else ())):
        folder = f"[{store.name}] {cloud.settings['disk_path']}"
        spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[f"{cid}.vmdk"])
        try:
            result = cloud.wait(store.browser.SearchDatastore_Task(folder, spec))
        except (vim.fault.FileNotFound, vim.fault.NoPermission):
            # The real one takes either for a datastore without the disk.
            continue
        if result.file:
            return store, f"{folder}/{cid}.vmdk"
    raise DiskNotFoundError(f"Could not find disk with id '{cid}'")


def _reached_by(vm: Any) -> list[Any]:
    """The datastores that the VM's host reaches."""
    return [store for store in vm.runtime.host.datastore if store.summary.accessible]


def _cid_of(disk: Any) -> str:
    return str(disk.backing.fileName.rpartition("/")[2].removesuffix(".vmdk"))


def _folder_exists(cloud: Cloud, store: Any, path: str) -> bool:
    try:
        cloud.wait(
            store.browser.SearchDatastore_Task(
                f"[{store.name}] {path}", vim.host.DatastoreBrowser.SearchSpec()
            )
        )
    except vim.fault.FileNotFound:
        return False
    return True
