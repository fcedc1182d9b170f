"""What several of the CPI's calls need: devices of a VM, its agent's settings, files behind datastore paths."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paver.lab.standins.cpi_errors import VMNotFoundError
from paver.lab.standins.cpi_vcenter import Cloud
from paver.lab.standins.soap import vim

AGENT_KEY = "guestinfo.bosh.env"


def host_file(store: Any, path: str) -> Path | None:
    """Returns the file behind "[store] path" where the simulator keeps datastores as folders, else None."""
    url = str(store.info.url)
    folder = url.removeprefix("file://") if url.startswith(("/", "file://")) else None
    return Path(folder) / path.partition("] ")[2] if folder else None


def option(settings: dict[str, Any]) -> Any:
    """Returns the extraConfig entry that carries an agent's settings."""
    value = base64.b64encode(json.dumps(settings).encode()).decode()
    return vim.option.OptionValue(key=AGENT_KEY, value=value)


def change_settings(cloud: Cloud, vm: Any, disks: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrites what an agent's settings say of its persistent disks: id → hint."""
    for entry in vm.config.extraConfig:
        if entry.key == AGENT_KEY:
            settings = json.loads(base64.b64decode(entry.value))
            settings["disks"]["persistent"] = disks(settings["disks"]["persistent"])
            cloud.wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option(settings)])))
            return


def change(operation: str, device: Any, file: str | None = None) -> Any:
    """Returns a change of one device: operation "add" or "remove"; `file` "create" makes a disk's file."""
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device, fileOperation=file)


def vm_of(cloud: Cloud, cid: str) -> Any:
    """Returns the VM of that id; raises VMNotFoundError."""
    found = cloud.find_vm(cid)
    if found is None:
        raise VMNotFoundError(f"VM '{cid}' not found in datacenter '{cloud.settings['name']}'")
    return found


def disks_of(vm: Any) -> list[Any]:
    """Returns the VM's disks."""
    return [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]


def is_persistent(cloud: Cloud, disk: Any) -> bool:
    """Whether a disk is one that create_disk made."""
    return f"] {cloud.settings['disk_path']}/disk-" in disk.backing.fileName


def nic(network: Any, key: int) -> Any:
    """Returns a card on a network."""
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


def noted(cloud: Cloud, vm: Any, operation: str, disk: Any, cid: str) -> None:
    """Notes a persistent disk in the VM's vApp properties, or takes the note back, as the real CPI finds moved disks by."""
    info = vim.vApp.PropertyInfo(
        key=disk.key,
        id=cid,
        label=cid,
        category="BOSH Persistent Disks",
        type="string",
        value=disk.backing.fileName,
        description="Used by BOSH to track persistent disks. Change at your own risk.",
        userConfigurable=True,
    )
    which: Any = {"info": info} if operation == "add" else {"removeKey": disk.key}
    spec = vim.vApp.PropertySpec(operation=operation, **which)
    wanted = vim.vm.ConfigSpec(vAppConfig=vim.vApp.VmConfigSpec(property=[spec]))
    cloud.wait(vm.ReconfigVM_Task(wanted))
