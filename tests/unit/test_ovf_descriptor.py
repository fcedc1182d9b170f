from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.ovf import descriptor
from paver.ovf.model import Disk, File, Network

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<ovf:Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="My%20disk.vmdk" ovf:id="file1" ovf:size="4096"/>
    <File ovf:href="data.vmdk" ovf:id="file2"/>
  </References>
  <DiskSection><Info/>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="48" ovf:capacityAllocationUnits="byte * 2^30"
      ovf:populatedSize="10" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
    <Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="${disk.size}" ovf:capacityAllocationUnits="GigaBytes"/>
    <Disk ovf:diskId="disk3" ovf:capacity="1024"/>
  </DiskSection>
  <NetworkSection><Info/><Network ovf:name="Network 1"><Description>the network</Description></Network></NetworkSection>
  <DeploymentOptionSection><Info/>
    <Configuration ovf:id="tiny"><Label>Tiny</Label><Description>d</Description></Configuration>
    <Configuration ovf:id="small" ovf:default="true"><Label>Small</Label><Description>d</Description></Configuration>
  </DeploymentOptionSection>
  <VirtualSystem ovf:id="vm">
    <Info/><Name>appliance</Name>
    <ProductSection ovf:class="guestinfo">
      <Info/><Product>Appliance</Product><Vendor>Someone</Vendor><Version>8.0.3</Version>
      <FullVersion>8.0.3 build 1</FullVersion>
      <Property ovf:key="net.addr" ovf:type="string" ovf:userConfigurable="true"><Label>Address</Label></Property>
      <Property ovf:key="root" ovf:type="string" ovf:password="true" ovf:userConfigurable="true"/>
    </ProductSection>
    <ProductSection><Info/><Property ovf:key="disk.size" ovf:type="uint32" ovf:value="12"/></ProductSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo iso"><Info/>
      <System><vssd:VirtualSystemType>vmx-13 vmx-17</vssd:VirtualSystemType></System>
      <Item configuration="tiny"><rasd:ElementName>2 CPUs</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item ovf:configuration="small"><rasd:ElementName>4 CPUs</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>
      <Item configuration="tiny"><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>tiny memory</rasd:ElementName><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>14336</rasd:VirtualQuantity></Item>
      <Item configuration="small"><rasd:AllocationUnits>GigaBytes</rasd:AllocationUnits>
        <rasd:ElementName>small memory</rasd:ElementName><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>21</rasd:VirtualQuantity></Item>
      <Item><rasd:ElementName>disk</rasd:ElementName><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:ElementName>nic</rasd:ElementName><rasd:Connection>Network 1</rasd:Connection>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</ovf:Envelope>
"""
GIB = 2**30


def _changed(old: str, new: str) -> bytes:
    assert old in OVF
    return OVF.replace(old, new).encode()


def test_a_descriptor_is_read_as_data() -> None:
    found = descriptor.parse(OVF.encode(), where="x.ovf")
    assert found.name == "appliance"
    assert found.text == OVF
    assert found.hardware == ("vmx-13", "vmx-17")
    assert found.networks == (Network(name="Network 1", description="the network"),)
    assert found.files == (
        File(id="file1", href="My disk.vmdk", size=4096),
        File(id="file2", href="data.vmdk"),
    )
    assert [disk.capacity for disk in found.disks] == [48 * GIB, 12 * GIB, 1024]
    assert found.disks[2] == Disk(id="disk3", capacity=1024, format="")
    assert [disk.sized_by for disk in found.disks] == ["", "disk.size", ""]
    assert [each.key for each in found.properties] == ["guestinfo.net.addr", "guestinfo.root", "disk.size"]
    assert [each.password for each in found.properties] == [False, True, False]


def named(text: str) -> list[str]:
    """Returns the hardware of the default configuration, by name."""
    return [item.name for item in descriptor.items_of(descriptor.parse(text.encode(), where="x.ovf"))]


def test_sizes_are_kept_apart_whether_their_attribute_has_a_prefix_or_not() -> None:
    assert named(OVF) == ["4 CPUs", "small memory", "disk", "nic"]
    tiny = OVF.replace(' ovf:default="true"', "").replace('ovf:id="tiny"', 'ovf:id="tiny" ovf:default="true"')
    assert named(tiny) == ["2 CPUs", "tiny memory", "disk", "nic"]


def test_where_no_configuration_is_marked_the_first_one_is_the_default() -> None:
    assert named(OVF.replace(' ovf:default="true"', ""))[:2] == ["2 CPUs", "tiny memory"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("My%20disk.vmdk", "../../etc/passwd", "outside of its folder"),
        ("My%20disk.vmdk", "%2e%2e/disk.vmdk", "outside of its folder"),
        ("My%20disk.vmdk", "/etc/passwd", "outside of its folder"),
        ("My%20disk.vmdk", "http://example.com/disk.vmdk", "outside of its folder"),
        ("My%20disk.vmdk", "", "not a name"),
        ('ovf:fileRef="file1"', 'ovf:fileRef="file9"', "not listed"),
        ("ovf:/disk/disk1", "ovf:/disk/disk9", "not described"),
        (">Network 1</rasd:Connection>", ">Network 9</rasd:Connection>", "not described"),
        ('Item configuration="tiny"', 'Item configuration="huge"', "no deployment configuration"),
        ('ovf:capacity="48"', 'ovf:capacity="much"', "not a number"),
        ('ovf:capacity="48"', 'ovf:capacity="-1"', "not a number"),
        ('ovf:capacity="48"', f'ovf:capacity="{62 * 1024 + 1}"', "more than the"),
        ('"byte * 2^30"', '"byte * 1024^99"', "more than the"),
        ('ovf:capacity="1024"', 'ovf:capacity="0"', "neither room nor a file"),
        ("${disk.size}", "${disk.length}", "the property 'disk.length', which is not described"),
        ("${disk.size}", "${}", "is not a number"),
        ('ovf:value="12"', 'ovf:value="-12"', "the property 'disk.size': '-12' is not a number"),
        ('ovf:value="12"', 'ovf:value="a dozen"', "is not a number"),
        ('ovf:value="12"', 'ovf:value=""', "is not a number"),
        ('ovf:value="12"', f'ovf:value="{10**19}"', "is not a number"),
        ('ovf:value="12"', f'ovf:value="{10**18}"', "more than the"),
        ('ovf:value="12"', 'ovf:value="7" ovf:qualifiers="MinValue(8),MaxValue(99)"', r"MinValue\(8\)"),
        ('ovf:value="12"', 'ovf:value="100" ovf:qualifiers="MinValue(8) MaxValue(99)"', r"MaxValue\(99\)"),
        ('"byte * 2^30"', '"byte * 2^999"', "not a unit"),
        ('"byte * 2^30"', '"furlong"', "not a unit"),
        ('diskId="disk3"', 'diskId="disk1"', "same id"),
        ('ovf:id="file2"', 'ovf:id="file2" ovf:compression="gzip"', "compression"),
        ('ovf:id="file2"', 'ovf:id="file2" ovf:chunkSize="7"', "chunkSize"),
        ("VirtualSystem", "VirtualSystemCollection", "several machines"),
        ("ovf:Envelope", "ovf:Envelop", "not an OVF descriptor"),
        ("</ovf:Envelope>", "", "not XML"),
        ('encoding="UTF-8"', 'encoding="UTF-99"', "not UTF-8"),
    ],
)
def test_a_descriptor_that_contradicts_itself_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        descriptor.parse(_changed(old, new), where="x.ovf")


@pytest.mark.parametrize(
    ("after", "row", "message"),
    [
        ("<References>", '<File ovf:href="f{0}" ovf:id="f{0}"/>', "lists 1001 files"),
        ("<DiskSection><Info/>", '<Disk ovf:diskId="d{0}" ovf:capacity="1"/>', "lists 1001 disks"),
    ],
)
def test_more_files_or_disks_than_an_archive_holds_are_refused(after: str, row: str, message: str) -> None:
    # Of both there are two or three in it already.
    known = OVF.count("<File ") if "File" in row else OVF.count("<Disk ")
    many = "".join(row.format(number) for number in range(1000 - known))
    parsed = descriptor.parse(_changed(after, after + many), where="x.ovf")
    assert 1000 in {len(parsed.files), len(parsed.disks)}
    with pytest.raises(BadInput, match=message):
        descriptor.parse(_changed(after, after + many + row.format("more")), where="x.ovf")


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>',
        '<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>',
        "<!DOCTYPE a><a/>",
    ],
)
def test_entities_and_document_types_are_refused(prologue: str) -> None:
    with pytest.raises(BadInput, match="document type or entities"):
        descriptor.parse(prologue.encode(), where="x.ovf")


@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"<", b"\xff\xfe\x00", b"<a/>", "ß".encode("latin-1")])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        descriptor.parse(data, where="x.ovf")


def test_a_descriptor_of_endless_depth_is_refused() -> None:
    with pytest.raises(BadInput):
        descriptor.parse(b"<a>" * 1_000_000, where="x.ovf")
    with pytest.raises(BadInput):
        descriptor.parse(b"<a>" * 500_000 + b"</a>" * 500_000, where="x.ovf")


def test_a_descriptor_too_large_to_be_one_is_refused() -> None:
    with pytest.raises(BadInput, match="at most"):
        descriptor.parse(b" " * (descriptor.LONGEST + 1), where="x.ovf")


@given(
    st.lists(
        st.tuples(st.integers(0, len(OVF) - 1), st.integers(0, 30), st.text(max_size=8)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300)
def test_a_mutated_descriptor_is_read_or_refused(changes: list[tuple[int, int, str]]) -> None:
    text = OVF
    for at, length, new in changes:
        text = text[:at] + new + text[at + length :]
    data = text.encode(errors="replace")
    with contextlib.suppress(BadInput):
        assert descriptor.parse(data, where="x.ovf").text
