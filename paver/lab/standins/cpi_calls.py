"""The CPI's calls for VMs, and the table of all calls; each acts on a connected `Cloud`.

`delete_vm` lets go of the persistent disks first, for a recreate never calls `detach_disk`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from paver.lab.standins import cpi_devices, cpi_disks, cpi_stemcells
from paver.lab.standins.cpi_errors import CloudError, StemcellNotFoundError
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim


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
    zone = cloud.within(properties.get("datacenters"))
    store, pool = zone.datastores()[0], zone.resource_pool
    found = {
        name: cloud.network((spec.get("cloud_properties") or {}).get("name", ""))
        for name, spec in networks.items()
    }
    folder = cloud.folder("vm_folder")
    cid = f"vm-{uuid.uuid4()}"
    clone = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(datastore=store, pool=pool), powerOn=False, template=False
    )
    vm = cloud.wait(template.CloneVM_Task(folder, cid, clone))
    settings = _agent_settings(cloud, agent_id, cid, networks, env or {})
    change = vim.vm.ConfigSpec(
        numCPUs=int(properties["cpu"]),
        memoryMB=int(properties["ram"]),
        deviceChange=[
            cpi_devices.change("add", _nic(network, key))
            for key, network in enumerate(found.values(), start=-100)
        ],
        extraConfig=[cpi_devices.option(settings)],
    )
    try:
        cloud.wait(vm.ReconfigVM_Task(change))
        cloud.wait(vm.PowerOnVM_Task(None))
    except Exception:
        # Nobody learns the id of a VM whose create_vm fails.
        cloud.wait(vm.Destroy_Task())
        raise
    return [cid, networks]


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
    """Writes the metadata into custom attributes, as the real CPI does."""
    vm, manager = cpi_devices.vm_of(cloud, cid), cloud.content.customFieldsManager
    known = {field.name: field.key for field in manager.field}
    for name, value in metadata.items():
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
