"""The text of an OVF descriptor for a virtual machine with one disk, and perhaps an empty one for its data. Pure.

Elements stand in the order of DMTF's schema (DSP8023), `rasd` ones in alphabetical order, which it insists on.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator

from paver.errors import BadInput
from paver.ovf import data_disk
from paver.ovf.model import STREAM_OPTIMIZED, Network, Product, Property
from paver.ovf.vmdk_write import Written

HARDWARE = "vmx-17"
"""That of ESXi 7.0. It has to know the guest: `debian12_64Guest`, for one, came with ESXi 8.0 (vmx-20)."""

_OS_IDS = {
    "debian11_64Guest": 96,
    "other3xLinux64Guest": 101,
    "other5xLinux64Guest": 101,
}
_LINUX_64 = 101
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACES = {
    "xmlns": "http://schemas.dmtf.org/ovf/envelope/1",
    "xmlns:ovf": "http://schemas.dmtf.org/ovf/envelope/1",
    "xmlns:rasd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
    "xmlns:vmw": "http://www.vmware.com/schema/ovf",
    "xmlns:vssd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A virtual machine as `write.make_ova` was asked for."""

    name: str
    memory_mb: int
    cpus: int
    networks: tuple[Network, ...]
    properties: tuple[Property, ...]
    product: Product | None
    guest: str
    data_disk_gb: int | None = None


def check_name(name: str) -> None:
    """Refuses a name that can't be a member's in an archive.

    Raises:
        BadInput: it has other characters than letters, digits, `.`, `_` and `-`, or more than 80.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of an OVA's virtual machine",
            do="use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 80",
        )


def render(system: System, disk_name: str, disk: Written) -> bytes:
    """Returns the descriptor of `system` with its disk in the file `disk_name`."""
    attributes = " ".join(f'{key}="{value}"' for key, value in _NAMESPACES.items())
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<Envelope {attributes}>"]
    lines += ["  <References>"]
    lines += [f'    <File ovf:href="{disk_name}" ovf:id="file1" ovf:size="{disk.size}"/>']
    lines += ["  </References>", "  <DiskSection>", "    <Info>Virtual disks</Info>"]
    capacity = f'ovf:capacity="{disk.capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1"'
    content = f'ovf:fileRef="file1" ovf:format="{STREAM_OPTIMIZED}" ovf:populatedSize="{disk.populated}"'
    lines += [f"    <Disk {capacity} {content}/>"]
    if system.data_disk_gb is not None:
        capacity = f'ovf:capacity="${{{data_disk.KEY}}}" ovf:capacityAllocationUnits="{data_disk.UNIT}"'
        lines += [f'    <Disk {capacity} ovf:diskId="{data_disk.ID}" ovf:format="{STREAM_OPTIMIZED}"/>']
    lines += ["  </DiskSection>", "  <NetworkSection>", "    <Info>Networks</Info>"]
    for network in system.networks:
        lines += [f'    <Network ovf:name="{_text(network.name)}">']
        lines += [
            f"      <Description>{_text(network.description or network.name)}</Description>",
            "    </Network>",
        ]
    lines += ["  </NetworkSection>", f'  <VirtualSystem ovf:id="{system.name}">']
    lines += ["    <Info>A virtual machine</Info>", f"    <Name>{system.name}</Name>"]
    os_id = _OS_IDS.get(system.guest, _LINUX_64)
    lines += [f'    <OperatingSystemSection ovf:id="{os_id}" vmw:osType="{_text(system.guest)}">']
    lines += ["      <Info>The guest operating system</Info>", "    </OperatingSystemSection>"]
    lines += [f"    {line}" for line in _hardware(system)]
    if system.product or system.properties or system.data_disk_gb is not None:
        lines += [f"    {line}" for line in _product(system)]
    lines += ["  </VirtualSystem>", "</Envelope>", ""]
    return "\n".join(lines).encode()


def _hardware(system: System) -> Iterator[str]:
    # How large its data disk is concerns the host: the machine sees that by itself.
    transport = ' ovf:transport="com.vmware.guestInfo"' if system.properties else ""
    yield f"<VirtualHardwareSection{transport}>"
    yield "  <Info>Virtual hardware</Info>"
    yield "  <System>"
    yield "    <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>"
    yield "    <vssd:InstanceID>0</vssd:InstanceID>"
    yield f"    <vssd:VirtualSystemIdentifier>{system.name}</vssd:VirtualSystemIdentifier>"
    yield f"    <vssd:VirtualSystemType>{HARDWARE}</vssd:VirtualSystemType>"
    yield "  </System>"
    items: list[dict[str, object]] = [
        {"AllocationUnits": "hertz * 10^6", "ElementName": f"{system.cpus} virtual CPU(s)", "InstanceID": 1}
        | {"ResourceType": 3, "VirtualQuantity": system.cpus},
        {"AllocationUnits": "byte * 2^20", "ElementName": f"{system.memory_mb}MB of memory", "InstanceID": 2}
        | {"ResourceType": 4, "VirtualQuantity": system.memory_mb},
        {"Address": 0, "ElementName": "SCSI controller 0", "InstanceID": 3}
        | {"ResourceSubType": "VirtualSCSI", "ResourceType": 6},
        {"AddressOnParent": 0, "ElementName": "Hard disk 1", "HostResource": "ovf:/disk/vmdisk1"}
        | {"InstanceID": 4, "Parent": 3, "ResourceType": 17},
    ]
    if system.data_disk_gb is not None:
        items += [
            {"AddressOnParent": 1, "ElementName": "Hard disk 2", "HostResource": f"ovf:/disk/{data_disk.ID}"}
            | {"InstanceID": 5 + len(system.networks), "Parent": 3, "ResourceType": 17},
        ]
    items += [
        {"AddressOnParent": 7 + index, "AutomaticAllocation": "true", "Connection": network.name}
        | {"ElementName": f"Network adapter {index + 1}", "InstanceID": 5 + index}
        | {"ResourceSubType": "VmxNet3", "ResourceType": 10}
        for index, network in enumerate(system.networks)
    ]
    for item in items:
        yield "  <Item>"
        for key in sorted(item):
            yield f"    <rasd:{key}>{_text(str(item[key]))}</rasd:{key}>"
        yield "  </Item>"
    yield '  <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>'
    # `preset`, not `default`: ESXi answers the latter with "could not acquire HTTP NFC lease".
    yield '  <vmw:Config ovf:required="false" vmw:key="powerOpInfo.powerOffType" vmw:value="preset"/>'
    yield "</VirtualHardwareSection>"


def _product(system: System) -> Iterator[str]:
    product = system.product or Product()
    # Not required: a host that knows no properties may pass over it, and refuses a required section that it does not know.
    yield '<ProductSection ovf:required="false">'
    yield "  <Info>The product</Info>"
    named = (
        ("Product", product.name),
        ("Vendor", product.vendor),
        ("Version", product.version),
        ("FullVersion", product.full_version),
    )
    for element, value in named:
        if value:
            yield f"  <{element}>{_text(value)}</{element}>"
    size = () if system.data_disk_gb is None else (data_disk.wish(system.data_disk_gb),)
    for each in (*system.properties, *size):
        bounds = f' ovf:qualifiers="{_text(each.qualifiers)}"' if each.qualifiers else ""
        hidden = ' ovf:password="true"' if each.password else ""
        shown = str(each.user_configurable).lower()
        yield (
            f'  <Property ovf:key="{_text(each.key)}"{hidden}{bounds} ovf:type="{_text(each.type)}" '
            f'ovf:userConfigurable="{shown}" ovf:value="{_text(each.value)}">'
        )
        yield f"    <Label>{_text(each.label or each.key)}</Label>"
        if each.description:
            yield f"    <Description>{_text(each.description)}</Description>"
        yield "  </Property>"
    yield "</ProductSection>"


def _text(value: str) -> str:
    """Escapes `value` for an attribute or a text.

    Raises:
        BadInput: it has a character that XML 1.0 cannot carry.
    """
    if _NO_XML.search(value):
        raise BadInput(
            f"{value!r} has a character that an OVF cannot carry", do="leave out control characters"
        )
    return html.escape(value, quote=True)
