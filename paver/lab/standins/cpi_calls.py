"""The CPI's calls for VMs, and the table of all calls; each acts on a connected `Cloud`.

`delete_vm` lets go of the persistent disks first, for a recreate never calls `detach_disk`.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from paver.lab.standins import cpi_devices, cpi_disks, cpi_stemcells
from paver.lab.standins.cpi_errors import CloudError
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim

_HARDWARE = 17
"""What VMs are upgraded to: the job's `vcenter.default_hw_version`, which bosh-deployment leaves as it is."""


def create_vm(
    cloud: Cloud,
    agent_id: str,
    stemcell: str,
    properties: dict[str, Any],
    networks: dict[str, Any],
    disks: list[str] | None = None,
    env: dict[str, Any] | None = None,
) -> list[Any]:
    """Makes a linked clone of the stemcell with its cards and ephemeral disk, hands over the agent's settings, powers on.

    The persistent disks that it is to get have to be found before, without it: on datastores of the configured clusters.
    """
    for key in ("cpu", "ram", "disk"):
        if properties.get(key) is None:
            raise CloudError(f"Must specify '{key}' in VM cloud properties.")
    if not cpi_stemcells.replicas(cloud, stemcell):
        raise CloudError(f"Could not find VM for stemcell '{stemcell}'")
    for disk in disks or []:
        cpi_disks.find_disk(cloud, disk)
    zone = cloud.within(properties.get("datacenters"))
    store, pool = zone.datastores()[0], zone.resource_pool
    source = cpi_stemcells.replica_on(zone, stemcell, store)
    cid = f"vm-{uuid.uuid4()}"
    clone = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(datastore=store, pool=pool, diskMoveType="createNewChildDiskBacking"),
        snapshot=source.snapshot.currentSnapshot,
        config=_config(cloud, source, store, cid, properties, networks),
        powerOn=False,
        template=False,
    )
    vm = cloud.wait(source.CloneVM_Task(cloud.folder("vm_folder"), cid, clone))
    try:
        settings = _agent_settings(cloud, agent_id, cid, networks, env or {})
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[cpi_devices.option(settings)])))
        with contextlib.suppress(vim.fault.AlreadyUpgraded):
            cloud.wait(vm.UpgradeVM_Task(f"vmx-{_HARDWARE}"))
        _power_on(cloud, vm)
    except Exception:
        # Nobody learns the id of a VM whose create_vm fails.
        cloud.wait(vm.Destroy_Task())
        raise
    set_vm_metadata(cloud, cid, {"cpi_metadata_version": 1})
    return [cid, networks]


def _config(
    cloud: Cloud, source: Any, store: Any, cid: str, properties: dict[str, Any], networks: dict[str, Any]
) -> Any:
    """What a VM is born with: all of it is asked for with the clone."""
    devices = source.config.hardware.device
    system = next(device for device in devices if isinstance(device, vim.vm.device.VirtualDisk))
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        datastore=store,
        fileName=f"[{store.name}] {cid}/ephemeral_disk.vmdk",
        diskMode="persistent",
        thinProvisioned=cloud.disk_type == "thin",
    )
    ephemeral = vim.vm.device.VirtualDisk(
        key=-1,
        controllerKey=system.controllerKey,
        unitNumber=system.unitNumber + 1,
        capacityInKB=int(properties["disk"]) * 1024,
        backing=backing,
    )
    cards = [
        cpi_devices.nic(cloud.network((spec.get("cloud_properties") or {}).get("name", "")), key)
        for key, spec in enumerate(networks.values(), start=-100)
    ]
    return vim.vm.ConfigSpec(
        numCPUs=int(properties["cpu"]),
        memoryMB=int(properties["ram"]),
        managedBy=cpi_stemcells.managed_by(cloud),
        deviceChange=[
            cpi_devices.change("add", ephemeral, file="create"),
            *(cpi_devices.change("add", card) for card in cards),
        ],
    )


def _power_on(cloud: Cloud, vm: Any) -> None:
    """Asks the datacenter, which DRS answers for; a real CPI gives up where that only advises."""
    result = cloud.wait(cloud.datacenter.PowerOnMultiVM_Task([vm], None))
    if result.recommendations:
        raise CloudError("Recommendations were detected, you may be running in Manual DRS mode. Aborting.")
    if not result.attempted:
        raise CloudError(f"Could not power on VM '{vm}'")
    cloud.wait(result.attempted[0].task)


def delete_vm(cloud: Cloud, cid: str) -> None:
    """Destroys the VM, but none of its persistent disks."""
    vm = cpi_devices.vm_of(cloud, cid)
    if vm.runtime.powerState != vim.VirtualMachine.PowerState.poweredOff:
        cloud.wait(vm.PowerOffVM_Task())
    kept = [
        cpi_devices.change("remove", disk)
        for disk in cpi_devices.disks_of(vm)
        if cpi_devices.is_persistent(cloud, disk)
    ]
    if kept:
        cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=kept)))
    cloud.wait(vm.Destroy_Task())


def has_vm(cloud: Cloud, cid: str) -> bool:
    """Whether the VM is there."""
    return cloud.find_vm(cid) is not None


def reboot_vm(cloud: Cloud, cid: str) -> None:
    """Resets the VM."""
    cloud.wait(cpi_devices.vm_of(cloud, cid).ResetVM_Task())


def set_vm_metadata(cloud: Cloud, cid: str, metadata: Mapping[str, Any]) -> None:
    """Writes the metadata into custom attributes; like the real CPI it goes on where it may not."""
    vm, manager = cpi_devices.vm_of(cloud, cid), cloud.content.customFieldsManager
    known = {field.name: field.key for field in manager.field}
    for name, value in metadata.items():
        with contextlib.suppress(vim.fault.NoPermission):
            if name not in known:
                known[name] = manager.AddCustomFieldDef(name, vim.VirtualMachine, None, None).key
            manager.SetField(vm, known[name], str(value))


CALLS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        call.__name__: call
        for call in (
            cpi_stemcells.create_stemcell,
            cpi_stemcells.delete_stemcell,
            create_vm,
            delete_vm,
            has_vm,
            reboot_vm,
            set_vm_metadata,
            cpi_disks.create_disk,
            cpi_disks.delete_disk,
            cpi_disks.has_disk,
            cpi_disks.attach_disk,
            cpi_disks.detach_disk,
            cpi_disks.get_disks,
        )
    }
)


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
