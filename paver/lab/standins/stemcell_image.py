"""The smallest image that a vSphere CPI can import: an OVF and a streamOptimized VMDK, gzipped in a tar.

The disk carries one line of text, which is how the lab's machines know what boots. VMDK layout: VMware's
"Virtual Disk Format 5.0", section "Stream-Optimized Compressed Sparse Extents".
"""

from __future__ import annotations

import json
import struct
import zlib

from paver.lab.standins import tarballs

_SECTOR = 512
_GRAIN_SECTORS = 128
_TABLE_ENTRIES = 512
_DISK_MEGABYTES = 8
_FLAGS = 0x30001  # valid newline test, compressed grains, markers
_AT_END = 0xFFFFFFFFFFFFFFFF
_MARKER_END, _MARKER_TABLE, _MARKER_DIRECTORY, _MARKER_FOOTER = 0, 1, 2, 3

_OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
 <References><File ovf:href="image-disk1.vmdk" ovf:id="file1" ovf:size="{size}"/></References>
 <DiskSection><Info>Virtual disks</Info>
  <Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1"
   ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
 </DiskSection>
 <NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"><Description>VM Network</Description></Network></NetworkSection>
 <VirtualSystem ovf:id="bosh-stemcell"><Info>A BOSH stemcell</Info><Name>bosh-stemcell</Name>
  <OperatingSystemSection ovf:id="94"><Info>Guest</Info></OperatingSystemSection>
  <VirtualHardwareSection><Info>Hardware</Info>
   <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemIdentifier>bosh-stemcell</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
   <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>1 virtual CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>512MB of memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI Controller 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>Hard disk 1</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>Network adapter 1</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


def image(operating_system: str, version: str) -> bytes:
    """Returns a stemcell's `image` whose disk boots as a BOSH stemcell in the lab."""
    line = json.dumps({"paver-lab-boot": "bosh-stemcell", "os": operating_system, "version": version}) + "\n"
    disk = stream_optimized(line.encode(), _DISK_MEGABYTES)
    ovf = _OVF.format(size=len(disk), capacity=_DISK_MEGABYTES).encode()
    return tarballs.pack({"image.ovf": (ovf, False), "image-disk1.vmdk": (disk, False)})


def stream_optimized(content: bytes, megabytes: int) -> bytes:
    """Returns a streamOptimized VMDK of `megabytes` whose first grain holds `content`, the rest being unwritten."""
    grain = _GRAIN_SECTORS * _SECTOR
    if len(content) > grain:
        raise ValueError(f"at most {grain} bytes fit the first grain")
    capacity = megabytes * 2048
    descriptor = _descriptor(capacity)
    tables = -(-capacity // (_GRAIN_SECTORS * _TABLE_ENTRIES))
    out = bytearray(_header(capacity, directory=_AT_END) + descriptor.ljust(20 * _SECTOR, b"\0"))
    out += b"\0" * (_GRAIN_SECTORS * _SECTOR - len(out))
    grain_at = len(out) // _SECTOR
    packed = zlib.compress(content.ljust(grain, b"\0"))
    out += _padded(struct.pack("<QI", 0, len(packed)) + packed)
    table_at: list[int] = []
    for index in range(tables):
        out += _marker(_TABLE_ENTRIES * 4 // _SECTOR, _MARKER_TABLE)
        table_at.append(len(out) // _SECTOR)
        entries = [grain_at if index == 0 else 0] + [0] * (_TABLE_ENTRIES - 1)
        out += struct.pack(f"<{_TABLE_ENTRIES}I", *entries)
    directory = _padded(struct.pack(f"<{tables}I", *table_at))
    out += _marker(len(directory) // _SECTOR, _MARKER_DIRECTORY)
    directory_at = len(out) // _SECTOR
    out += directory
    out += _marker(1, _MARKER_FOOTER) + _header(capacity, directory=directory_at)
    out += _marker(0, _MARKER_END)
    return bytes(out)


def _descriptor(capacity: int) -> bytes:
    cylinders = max(capacity // (255 * 63), 1)
    return (
        "# Disk DescriptorFile\nversion=1\nCID=7e5700d1\nparentCID=ffffffff\n"
        'createType="streamOptimized"\n\n# Extent description\n'
        f'RDONLY {capacity} SPARSE "image-disk1.vmdk"\n\n# The Disk Data Base\n'
        'ddb.adapterType = "lsilogic"\n'
        f'ddb.geometry.cylinders = "{cylinders}"\nddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\n'
        'ddb.virtualHWVersion = "13"\n'
    ).encode()


def _header(capacity: int, *, directory: int) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQB4sH433x",
        b"KDMV",
        3,
        _FLAGS,
        capacity,
        _GRAIN_SECTORS,
        1,
        20,
        _TABLE_ENTRIES,
        0,
        directory,
        _GRAIN_SECTORS,
        0,
        b"\n \r\n",
        1,
    )


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(_SECTOR, b"\0")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _SECTOR)
