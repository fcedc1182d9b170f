"""What the tests of the simulator wish for: machines, port groups, OVF descriptors; and how they ask for it."""

from __future__ import annotations

import hashlib
import http.client
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.vsim import Site, trusting, vim, wait
from tests.support.waiting import until


def compute(content: Any) -> Any:
    """The one host of a host's own inventory."""
    return content.rootFolder.childEntity[0].hostFolder.childEntity[0].host[0]


def pool(content: Any) -> Any:
    """The root pool of a host's own inventory."""
    return content.rootFolder.childEntity[0].hostFolder.childEntity[0].resourcePool


def vm_folder(content: Any) -> Any:
    """The folder of its machines."""
    return content.rootFolder.childEntity[0].vmFolder


def but_agents(found: Iterable[Any]) -> list[Any]:
    """What there is but for the agents of a vCenter's clusters, and their folder: those come and go by themselves."""
    return [one for one in found if not one.name.startswith("vCLS")]


def agents(site: Site) -> dict[str, list[str]]:
    """The agents of clusters by the hosts that carry them, as these tell it themselves."""
    found = {name: site.steer(f"/inventory?server={name}")["virtual_machines"] for name in site.hosts}
    return {name: sorted(vm for vm in machines if vm.startswith("vCLS-")) for name, machines in found.items()}


def retreat(site: Site, cluster: Any, *, on: bool) -> None:
    """Has a cluster do without its agents, or with them again."""
    key = f"config.vcls.clusters.{cluster._moId}.enabled"
    option = vim.option.OptionValue(key=key, value="false" if on else "true")
    site.center().setting.UpdateOptions([option])


def machine_spec(name: str, *, network: str = "", disk_kb: int = 0, thin: bool = True, **changes: Any) -> Any:
    """What a machine is to be like, with a card and a disk where asked for."""
    devices = []
    if network:
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
        devices.append(change(vim.vm.device.VirtualVmxnet3(key=-1, backing=backing)))
    if disk_kb:
        controller = vim.vm.device.ParaVirtualSCSIController(key=-2, busNumber=0, sharedBus="noSharing")
        flat = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="", diskMode="persistent", thinProvisioned=thin
        )
        disk = vim.vm.device.VirtualDisk(
            key=-3, controllerKey=-2, unitNumber=0, capacityInKB=disk_kb, backing=flat
        )
        devices += [change(controller), change(disk, fileOperation="create")]
    wanted = {
        "name": name,
        "numCPUs": 1,
        "memoryMB": 64,
        "guestId": "otherGuest",
        "files": vim.vm.FileInfo(vmPathName="[datastore1]"),
        "deviceChange": devices,
    }
    return vim.vm.ConfigSpec(**{**wanted, **changes})


def change(device: Any, operation: str = "add", **more: Any) -> Any:
    """A device to add, or to treat otherwise."""
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device, **more)


def new_vm(content: Any, name: str = "vm-1", **wish: Any) -> Any:
    """Makes a machine on a bare host."""
    return wait(vm_folder(content).CreateVM_Task(machine_spec(name, **wish), pool(content)))


def group(name: str, vlan: int = 0, switch: str = "vSwitch0") -> Any:
    """What a port group is to be like."""
    return vim.host.PortGroup.Specification(
        name=name, vlanId=vlan, vswitchName=switch, policy=vim.host.NetworkPolicy()
    )


def request(
    where: tuple[str, int], method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """A plain HTTPS request: status and body."""
    connection = http.client.HTTPSConnection(*where, context=trusting(), timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def cookie(content: Any) -> dict[str, str]:
    """The header by which a request belongs to a session."""
    return {"Cookie": content.rootFolder._stub.cookie}


DISK = b"KDMV" + bytes(range(256)) * 64


def ova(disk: bytes = DISK, *, image: bool = False, replaced: Mapping[str, str] | None = None) -> str:
    """An OVF descriptor with one disk, an image in a drive where asked for; pieces of its text replaced."""
    text = (Path(__file__).parent / "machine.ovf").read_text()
    if not image:
        start, end = text.index("<!--image-->"), text.index("<!--/image-->")
        text = text[:start] + text[end:]
        text = text.replace('<File ovf:href="tools.iso" ovf:id="image" ovf:size="4"/>', "")
    text = text.replace("DISK_SIZE", str(len(disk)))
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    return text


def sized_by(value: str, qualifiers: str = "", *, settable: bool = True) -> Mapping[str, str]:
    """What is to be replaced in the descriptor for its empty disk to have its size by the property `data`."""
    property_ = (
        f'<ProductSection><Info/><Property ovf:key="data" ovf:type="uint32" ovf:qualifiers="{qualifiers}"'
        f' ovf:userConfigurable="{str(settable).lower()}" ovf:value="{value}"/></ProductSection>'
    )
    hardware = "<VirtualHardwareSection>"
    return {'ovf:capacity="2"': 'ovf:capacity="${data}"', hardware: property_ + hardware}


def archive(disk: bytes = DISK) -> bytes:
    """The OVA of that descriptor, with a manifest."""
    members = {"machine.ovf": ova(disk).encode(), "disk.vmdk": disk}
    manifest = "".join(
        f"SHA1({n})= {hashlib.sha1(b, usedforsecurity=False).hexdigest()}\n" for n, b in members.items()
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in (
            ("machine.ovf", members["machine.ovf"]),
            ("machine.mf", manifest.encode()),
            ("disk.vmdk", disk),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def import_spec(content: Any, descriptor: str, name: str = "imported", **options: Any) -> Any:
    """What OvfManager makes of a descriptor on a bare host."""
    parameters = vim.OvfManager.CreateImportSpecParams(
        entityName=name, locale="", deploymentOption="", diskProvisioning="thin", **options
    )
    store = content.rootFolder.childEntity[0].datastore[0]
    return content.ovfManager.CreateImportSpec(descriptor, pool(content), store, parameters)


def lease_of(content: Any, spec: Any) -> Any:
    """A lease that is ready for uploads, or has failed."""
    lease = pool(content).ImportVApp(spec, None, None)
    until(lambda: lease.state != "initializing", "the lease is made")
    return lease


def upload_path(url: str) -> str:
    """The path of an upload; the host in it is "*"."""
    return urlsplit(url).path
