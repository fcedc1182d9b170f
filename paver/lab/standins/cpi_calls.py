"""The CPI's calls, each on a connected `Cloud`.

What survives what: `delete_vm` lets go of the persistent disks first, for a recreate never calls
`detach_disk`; a disk's file has a folder beside it that holds what the VM's agent mounts.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import tarfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pyVmomi import vim

from paver.lab.standins.cpi_errors import (
    CloudError,
    DiskNotFoundError,
    StemcellNotFoundError,
    VMNotFoundError,
)
from paver.lab.standins.cpi_paths import DATA_SUFFIX
from paver.lab.standins.cpi_vcenter import Cloud

AGENT_KEY = "guestinfo.bosh.env"


def create_stemcell(cloud: Cloud, image: str, _properties: Any) -> str:
    """Imports the image's OVF as a template; its disk goes to the host that the lease names."""
    store, pool = cloud.datastores()[0], cloud.resource_pool
    folder = cloud.folder(cloud.settings["template_folder"])
    name = f"sc-{uuid.uuid4()}"
    with tarfile.open(image, "r:gz") as tar:
        files = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
        ovf = next((member for file, member in files.items() if file.endswith(".ovf")), None)
        if ovf is None:
            raise CloudError(f"Missing OVF for stemcell '{image}'")
        descriptor = _extracted(tar, ovf).read().decode()
        parameters = vim.OvfManager.CreateImportSpecParams(
            entityName=name, locale="US", deploymentOption="", diskProvisioning="thin"
        )
        result = cloud.content.ovfManager.CreateImportSpec(descriptor, pool, store, parameters)
        if result.importSpec is None:
            raise CloudError(f"Corrupt image '{image}', import_ovf_result: {result.error}")
        lease = pool.ImportVApp(result.importSpec, folder)
        vm = _upload(cloud, lease, tar, files, {item.deviceId: item for item in result.fileItem})
    nics = [
        device
        for device in vm.config.hardware.device
        if isinstance(device, vim.vm.device.VirtualEthernetCard)
    ]
    if nics:
        cloud.wait(
            vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[_change("remove", nic) for nic in nics]))
        )
    vm.MarkAsTemplate()
    return name


def delete_stemcell(cloud: Cloud, cid: str) -> None:
    """Destroys the template."""
    template = cloud.find_vm(cid, "template_folder")
    if template is not None:
        cloud.wait(template.Destroy_Task())


def create_vm(
    cloud: Cloud,
    agent_id: str,
    stemcell: str,
    properties: dict[str, Any],
    networks: dict[str, Any],
    _disks: Any = None,
    env: dict[str, Any] | None = None,
) -> list[Any]:
    """Clones the template, puts the NICs on their port groups, hands over the agent's settings, powers on."""
    missing = [key for key in ("cpu", "ram", "disk") if key not in properties]
    if missing:
        raise CloudError(f"Missing VM cloud properties: {', '.join(map(repr, missing))}")
    template = cloud.find_vm(stemcell, "template_folder")
    if template is None:
        raise StemcellNotFoundError(f"Could not find VM for stemcell '{stemcell}'")
    store, pool = cloud.datastores()[0], cloud.resource_pool
    found = {
        name: cloud.network((spec.get("cloud_properties") or {}).get("name", ""))
        for name, spec in networks.items()
    }
    folder = cloud.folder(cloud.settings["vm_folder"])
    cid = f"vm-{uuid.uuid4()}"
    clone = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(datastore=store, pool=pool), powerOn=False, template=False
    )
    vm = cloud.wait(template.CloneVM_Task(folder, cid, clone))
    settings = _agent_settings(cloud, agent_id, cid, networks, env or {})
    cloud.wait(
        vm.ReconfigVM_Task(
            vim.vm.ConfigSpec(
                numCPUs=int(properties["cpu"]),
                memoryMB=int(properties["ram"]),
                deviceChange=[
                    _change("add", _nic(network, key))
                    for key, network in enumerate(found.values(), start=-100)
                ],
                extraConfig=[_option(settings)],
            )
        )
    )
    cloud.wait(vm.PowerOnVM_Task(None))
    return [cid, networks]


def delete_vm(cloud: Cloud, cid: str) -> None:
    """Destroys the VM, but none of its persistent disks."""
    vm = _vm(cloud, cid)
    if vm.runtime.powerState != vim.VirtualMachine.PowerState.poweredOff:
        cloud.wait(vm.PowerOffVM_Task())
    kept = [_change("remove", disk) for disk in _disks_of(vm) if _is_persistent(cloud, disk)]
    if kept:
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=kept)))
    cloud.wait(vm.Destroy_Task())


def has_vm(cloud: Cloud, cid: str) -> bool:
    """Whether the VM is there."""
    return cloud.find_vm(cid) is not None


def reboot_vm(cloud: Cloud, cid: str) -> None:
    """Resets the VM."""
    cloud.wait(_vm(cloud, cid).ResetVM_Task())


def set_vm_metadata(cloud: Cloud, cid: str, metadata: Mapping[str, Any]) -> None:
    """Writes the metadata into custom attributes, as the real CPI does."""
    vm, manager = _vm(cloud, cid), cloud.content.customFieldsManager
    known = {field.name: field.key for field in manager.field}
    for name, value in metadata.items():
        if name not in known:
            known[name] = manager.AddCustomFieldDef(name, vim.VirtualMachine, None, None).key
        manager.SetField(vm, known[name], str(value))


def create_disk(cloud: Cloud, megabytes: int, _properties: Any, _vm_cid: Any = None) -> str:
    """Makes an empty thin disk in the disks' folder and returns its id."""
    store = cloud.datastores("persistent_datastore_pattern")[0]
    folder = f"[{store.name}] {cloud.settings['disk_path']}"
    cid = f"disk-{uuid.uuid4()}"
    if not _folder_exists(cloud, store, cloud.settings["disk_path"]):
        cloud.content.fileManager.MakeDirectory(folder, cloud.datacenter, True)
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType="thin", adapterType="lsiLogic", capacityKb=megabytes * 1024
    )
    cloud.wait(
        cloud.content.virtualDiskManager.CreateVirtualDisk_Task(
            f"{folder}/{cid}.vmdk", cloud.datacenter, spec
        )
    )
    return cid


def delete_disk(cloud: Cloud, cid: str) -> None:
    """Deletes the disk, and what the agent kept on it."""
    store, path = _find_disk(cloud, cid)
    cloud.wait(cloud.content.virtualDiskManager.DeleteVirtualDisk_Task(path, cloud.datacenter))
    file = host_file(store, path)
    if file is not None and file.with_name(file.name + DATA_SUFFIX).is_dir():
        shutil.rmtree(file.with_name(file.name + DATA_SUFFIX))


def has_disk(cloud: Cloud, cid: str) -> bool:
    """Whether the disk is there."""
    try:
        _find_disk(cloud, cid)
    except DiskNotFoundError:
        return False
    return True


def attach_disk(cloud: Cloud, vm_cid: str, disk_cid: str) -> dict[str, Any]:
    """Attaches the disk, and returns the hint by which the agent finds it."""
    vm = _vm(cloud, vm_cid)
    store, path = _find_disk(cloud, disk_cid)
    if path not in [disk.backing.fileName for disk in _disks_of(vm)]:
        controller = next(
            device
            for device in vm.config.hardware.device
            if isinstance(device, vim.vm.device.VirtualSCSIController)
        )
        taken = {device.unitNumber for device in _disks_of(vm) if device.controllerKey == controller.key}
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName=path, diskMode="independent_persistent", datastore=store
        )
        disk = vim.vm.device.VirtualDisk(
            key=-1,
            backing=backing,
            controllerKey=controller.key,
            unitNumber=min(unit for unit in range(16) if unit != 7 and unit not in taken),
        )
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[_change("add", disk)])))
    file = host_file(store, path)
    hint = {"id": disk_cid, "path": path, "file": str(file) if file else ""}
    _change_settings(cloud, vm, lambda disks: {**disks, disk_cid: hint})
    return hint


def detach_disk(cloud: Cloud, vm_cid: str, disk_cid: str) -> None:
    """Detaches the disk; its file stays."""
    vm = _vm(cloud, vm_cid)
    _, path = _find_disk(cloud, disk_cid)
    for disk in _disks_of(vm):
        if disk.backing.fileName == path:
            cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[_change("remove", disk)])))
    _change_settings(cloud, vm, lambda disks: {cid: hint for cid, hint in disks.items() if cid != disk_cid})


def get_disks(cloud: Cloud, cid: str) -> list[str]:
    """The ids of the VM's persistent disks."""
    disks = [disk for disk in _disks_of(_vm(cloud, cid)) if _is_persistent(cloud, disk)]
    return [disk.backing.fileName.rpartition("/")[2].removesuffix(".vmdk") for disk in disks]


CALLS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        call.__name__: call
        for call in (
            create_stemcell,
            delete_stemcell,
            create_vm,
            delete_vm,
            has_vm,
            reboot_vm,
            set_vm_metadata,
            create_disk,
            delete_disk,
            has_disk,
            attach_disk,
            detach_disk,
            get_disks,
        )
    }
)


def host_file(store: Any, path: str) -> Path | None:
    """Returns the file behind "[store] path" where the simulator keeps datastores as folders, else None."""
    url = str(store.info.url)
    folder = url.removeprefix("file://") if url.startswith(("/", "file://")) else None
    return Path(folder) / path.partition("] ")[2] if folder else None


def _upload(
    cloud: Cloud,
    lease: Any,
    tar: tarfile.TarFile,
    files: Mapping[str, tarfile.TarInfo],
    items: Mapping[str, Any],
) -> Any:
    while (state := lease.state) == vim.HttpNfcLease.State.initializing:
        continue
    if state != vim.HttpNfcLease.State.ready:
        raise CloudError(f"Could not acquire HTTP NFC lease: {lease.error.msg}")
    info = lease.info
    try:
        for url in info.deviceUrl:
            item = items[url.importKey]
            member = files.get(item.path)
            if member is None:
                raise CloudError(f"Missing file '{item.path}' in the stemcell's image")
            _send(cloud, url.url, _extracted(tar, member), member.size)
        lease.HttpNfcLeaseProgress(100)
        lease.HttpNfcLeaseComplete()
    except Exception:
        lease.HttpNfcLeaseAbort(None)
        raise
    return info.entity


def _send(cloud: Cloud, url: str, file: Any, size: int) -> None:
    parts = urlsplit(url)
    # A standalone host answers with "*" for itself; vCenter names the host, which has to resolve.
    host = cloud.host.partition(":")[0] if parts.hostname == "*" else str(parts.hostname)
    connection = http.client.HTTPSConnection(host, parts.port or 443, context=cloud.context, timeout=300)
    try:
        connection.request(
            "POST",
            parts.path + (f"?{parts.query}" if parts.query else ""),
            body=file,
            headers={"Content-Type": "application/x-vnd.vmware-streamVmdk", "Content-Length": str(size)},
        )
        response = connection.getresponse()
        text = response.read()
        if response.status not in (200, 201):
            raise CloudError(
                f"Failed to upload the stemcell's disk to {host}: {response.status} {text[:200]!r}"
            )
    finally:
        connection.close()


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = tar.extractfile(member)
    if file is None:
        raise CloudError(f"Corrupt image: '{member.name}' is no file")
    return file


def _agent_settings(
    cloud: Cloud, agent_id: str, cid: str, networks: dict[str, Any], env: dict[str, Any]
) -> dict[str, Any]:
    bosh = env.get("bosh") or {}
    urls = (bosh.get("mbus") or {}).get("urls")
    return {
        "agent_id": agent_id,
        "vm": {"name": cid, "id": cid},
        "mbus": urls[0] if urls else cloud.agent.get("mbus", ""),
        "ntp": bosh.get("ntp") or cloud.agent.get("ntp", []),
        "blobstores": bosh.get("blobstores", []),
        "networks": networks,
        "disks": {"system": 0, "ephemeral": 1, "persistent": {}},
        "env": env,
    }


def _option(settings: dict[str, Any]) -> Any:
    value = base64.b64encode(json.dumps(settings).encode()).decode()
    return vim.option.OptionValue(key=AGENT_KEY, value=value)


def _change_settings(cloud: Cloud, vm: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for option in vm.config.extraConfig:
        if option.key == AGENT_KEY:
            settings = json.loads(base64.b64decode(option.value))
            settings["disks"]["persistent"] = change(settings["disks"]["persistent"])
            cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[_option(settings)])))
            return


def _nic(network: Any, key: int) -> Any:
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        port = vim.dvs.PortConnection(
            portgroupKey=network.key, switchUuid=network.config.distributedVirtualSwitch.uuid
        )
        backing: Any = vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    else:
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(
            deviceName=network.name, network=network
        )
    connect = vim.vm.device.VirtualDevice.ConnectInfo(
        startConnected=True, allowGuestControl=True, connected=True
    )
    return vim.vm.device.VirtualVmxnet3(key=key, backing=backing, connectable=connect, addressType="assigned")


def _change(operation: str, device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)


def _vm(cloud: Cloud, cid: str) -> Any:
    found = cloud.find_vm(cid)
    if found is None:
        raise VMNotFoundError(f"VM '{cid}' not found in datacenter '{cloud.settings['name']}'")
    return found


def _disks_of(vm: Any) -> list[Any]:
    return [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]


def _is_persistent(cloud: Cloud, disk: Any) -> bool:
    return f"] {cloud.settings['disk_path']}/disk-" in disk.backing.fileName


def _find_disk(cloud: Cloud, cid: str) -> tuple[Any, str]:
    for store in cloud.datastores("persistent_datastore_pattern"):
        folder = f"[{store.name}] {cloud.settings['disk_path']}"
        spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[f"{cid}.vmdk"])
        try:
            result = cloud.wait(store.browser.SearchDatastore_Task(folder, spec))
        except vim.fault.FileNotFound:
            continue
        if result.file:
            return store, f"{folder}/{cid}.vmdk"
    raise DiskNotFoundError(f"Could not find disk with id '{cid}'")


def _folder_exists(cloud: Cloud, store: Any, path: str) -> bool:
    try:
        cloud.wait(store.browser.SearchDatastore_Task(f"[{store.name}] {path}", vim.host.DatastoreBrowser.SearchSpec()))
    except vim.fault.FileNotFound:
        return False
    return True
