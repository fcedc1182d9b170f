from __future__ import annotations

import functools
import hashlib
import io
import itertools
import os
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax import saxutils

import defusedxml.ElementTree
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.ovf import data_disk, descriptor, manifest, shares, tar
from paver.ovf import ova as archive
from paver.ovf.model import Disk, Network, Product, Property
from paver.ovf.names import member_name
from paver.ovf.ova import Ova
from paver.ovf.write import make_ova

Members = dict[str, bytes]
OVF, MF, DISK = "box.ovf", "box.mf", "box-disk1.vmdk"


@functools.cache
def _good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box.ova"
        make_ova(path, name="box", disk=b"content" * 9000, capacity=8 * 2**20, networks=["mgmt"])
        return path.read_bytes()


def _members() -> Members:
    with tarfile.open(fileobj=io.BytesIO(_good())) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def _pack(path: Path, members: Members, form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _signed(members: Members, algorithm: str = "SHA256") -> Members:
    """Returns the members with a manifest that fits."""
    lines = [
        f"{algorithm}({name})= {hashlib.new(algorithm.lower(), data).hexdigest()}\n"
        for name, data in members.items()
        if name != MF
    ]
    return members | {MF: "".join(lines).encode()}


def _verify(path: Path) -> None:
    with Ova(path) as ova:
        ova.verify()


def test_a_good_ova_is_verified_with_every_file_it_holds(tmp_path: Path) -> None:
    path = _pack(tmp_path / "box.ova", _members())
    with Ova(path) as ova:
        verified = ova.verify(also=["sha1"])
        assert [file.name for file in verified.files] == [OVF, DISK]
        for file in verified.files:
            data = _members()[file.name]
            assert file.digests == {
                "sha256": hashlib.sha256(data).hexdigest(),
                "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            }
        assert ova.check_disks()[DISK].capacity == 8 * 2**20


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_ovas_of_others_are_verified_in_any_tar_format_and_digest(
    tmp_path: Path, form: int, algorithm: str
) -> None:
    members = {f"./{name}": data for name, data in _signed(_members(), algorithm).items()}
    _verify(_pack(tmp_path / "box.ova", members, form))


def test_a_name_in_an_extended_header_is_read(tmp_path: Path) -> None:
    members = _members()
    long = "ö" * 100 + ".vmdk"
    members = {OVF: members[OVF].replace(DISK.encode(), long.encode()), MF: b"", long: members[DISK]}
    _verify(_pack(tmp_path / "box.ova", _signed(members), tarfile.PAX_FORMAT))


def test_a_window_shows_its_member_only_and_seeks_like_a_file(tmp_path: Path) -> None:
    members = _members()
    with Ova(_pack(tmp_path / "box.ova", members)) as ova:
        one, two = ova.member(DISK), ova.member(DISK)
        assert one.read(4) == b"KDMV"
        assert two.read() == members[DISK]
        assert one.read() == members[DISK][4:]
        assert one.read(10) == b""
        assert one.seek(-3, os.SEEK_END) == len(members[DISK]) - 3
        assert one.seek(1) == one.tell() == 1


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=6))
def test_a_window_fills_buffers_with_the_bytes_that_it_would_return(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box.ova"
        path.write_bytes(_good())
        with Ova(path) as ova:
            one, other = ova.member(DISK), ova.member(DISK)
            for size in sizes:
                buffer = memoryview(bytearray(size))
                count = one.readinto(buffer)
                assert bytes(buffer[:count]) == other.read(size)
                assert one.tell() == other.tell()


def test_a_window_is_a_file_that_hashlib_digests(tmp_path: Path) -> None:
    members = _members()
    with Ova(_pack(tmp_path / "box.ova", members)) as ova:
        digest = hashlib.file_digest(ova.member(DISK), "sha256")
    assert digest.digest() == hashlib.sha256(members[DISK]).digest()


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        Ova(_pack(tmp_path / "box.ova", _members())) as ova,
        pytest.raises(BadInput, match=r"lacks the file other\.vmdk"),
    ):
        ova.member("other.vmdk")


def _flip(members: Members, name: str) -> Members:
    data = bytearray(members[name])
    data[-700] ^= 1
    return members | {name: bytes(data)}


def _edit(old: bytes, new: bytes) -> Callable[[Members], Members]:
    return lambda members: _signed(members | {OVF: members[OVF].replace(old, new)})


def _raise_capacity(members: Members) -> Members:
    data = bytearray(members[DISK])
    data[12:20] = (2**30).to_bytes(8, "little")
    return _signed(members | {DISK: bytes(data)})


def _as(members: Members, name: str) -> Members:
    """Returns the members with the disk under a name that the manifest need not list for a file that no disk is in."""
    renamed = {
        OVF: members[OVF].replace(DISK.encode(), name.encode()),
        MF: members[MF],
        name: members[DISK],
    }
    lines = _signed(renamed)[MF].splitlines()
    return renamed | {MF: b"\n".join(line for line in lines if name.encode() not in line)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: _as(m, "box-disk1.cert"), "does not list box-disk1.cert"),
        (lambda m: _as(m, "box-disk1.CERT"), "does not list box-disk1.CERT"),
        (lambda m: _flip(m, DISK), "not what its manifest promises"),
        (
            lambda m: m | {OVF: m[OVF].replace(b"virtual CPU", b"Virtual CPU")},
            "not what its manifest promises",
        ),
        (lambda m: {k: v for k, v in m.items() if k != DISK}, "lacks the file box-disk1.vmdk"),
        (lambda m: {k: v for k, v in m.items() if k != MF}, "0 manifests"),
        (lambda m: {k: v for k, v in m.items() if k != OVF}, "0 OVF descriptors"),
        (lambda m: m | {"two.ovf": m[OVF]}, "2 OVF descriptors"),
        (lambda m: {DISK: m[DISK], OVF: m[OVF], MF: m[MF]}, "starts with its descriptor"),
        (lambda m: m | {MF: b"garbage"}, "line 1 is not a digest"),
        (lambda m: m | {MF: b"SHA256(box.ovf)= 12"}, "line 1 is not a digest"),
        (lambda m: m | {MF: b"\xff\xfe"}, "is not text"),
        (lambda m: m | {MF: b"\n"}, "is empty"),
        (lambda m: m | {MF: m[MF] + m[MF]}, "a second time"),
        (lambda m: m | {MF: m[MF].splitlines()[0]}, "does not list box-disk1.vmdk"),
        (lambda m: m | {MF: m[MF] + m[MF].splitlines()[0].replace(b"box", b"fox")}, "lacks fox.ovf"),
        (lambda m: m | {MF: m[MF].replace(b"box.ovf", b"../box.ovf")}, "outside of its folder"),
        (lambda m: m | {"more.vmdk": b"x"}, "does not list more.vmdk"),
        (_edit(b'ovf:size="', b'ovf:size="1'), "its descriptor says 1"),
        (_edit(DISK.encode(), b"../../disk.vmdk"), "outside of its folder"),
        (_edit(DISK.encode(), b"/etc/disk.vmdk"), "outside of its folder"),
        (lambda m: m | {OVF: b"garbage"}, "is not XML"),
        (
            lambda m: m | {OVF: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'},
            "entities",
        ),
        (lambda m: _signed(m | {DISK: b"x" * len(m[DISK])}), "signature"),
        (_raise_capacity, "a disk of"),
        (lambda m: m | {"../../etc/cron.d/x": b"x"}, "outside of its folder"),
        (lambda m: m | {"/etc/passwd": b"x"}, "outside of its folder"),
        (lambda m: m | {"a/../b": b"x"}, "outside of its folder"),
        (lambda m: m | {"a\\b": b"x"}, "not a name"),
        (lambda m: m | {"./" + OVF: b"x"}, "box.ovf twice"),
    ],
)
def test_an_ova_that_is_not_whole_is_refused(
    tmp_path: Path, change: Callable[[Members], Members], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        _verify(_pack(tmp_path / "box.ova", change(_members())))
    assert "box.ova" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["box.ova"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_only_files_may_be_in_an_ova(tmp_path: Path, kind: bytes) -> None:
    path = _pack(tmp_path / "box.ova", _members())
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("link")
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(BadInput, match="where only files may be"):
        Ova(path)


def test_several_disks_are_fine(tmp_path: Path) -> None:
    members = _members()
    text = members[OVF]
    file = b'<File ovf:href="second.vmdk" ovf:id="file2"/>'
    disk = b'<Disk ovf:capacity="8" ovf:capacityAllocationUnits="MegaBytes" ovf:diskId="d2" ovf:fileRef="file2" ovf:format="vmdk"/>'
    text = text.replace(b"</References>", file + b"</References>").replace(
        b"</DiskSection>", disk + b"</DiskSection>"
    )
    with Ova(
        _pack(tmp_path / "box.ova", _signed(members | {OVF: text, "second.vmdk": members[DISK]}))
    ) as ova:
        assert len(ova.verify().files) == 3
        assert set(ova.check_disks()) == {DISK, "second.vmdk"}


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(512), bytes(10240), b"not a tar at all" * 100, b"PK\3\4" + bytes(999)]
)
def test_what_is_no_ova_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "box.ova").write_bytes(data)
    with pytest.raises(BadInput, match=r"box\.ova"):
        Ova(tmp_path / "box.ova")


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(BadInput):
            Ova(path)


@given(st.floats(0, 0.999))
@settings(max_examples=100, deadline=None)
def test_an_ova_cut_anywhere_is_refused(share: float) -> None:
    # Behind the last member's blocks only padding of the archive follows.
    data = _good().rstrip(b"\0")
    _refused(data[: int(len(data) * share)])


_NUMBERS = st.integers(0, 2**31)


@given(st.lists(st.tuples(_NUMBERS, st.integers(1, 255)), min_size=1, max_size=6), st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_mutated_ova_is_whole_or_refused(changes: list[tuple[int, int]], near_the_start: bool) -> None:
    data = bytearray(_good())
    reach = 6000 if near_the_start else len(data)
    for at, change in changes:
        data[at % reach] ^= change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box.ova"
        path.write_bytes(data)
        try:
            with Ova(path) as ova:
                for file in ova.verify().files:
                    assert ova.member(file.name).read() == _members()[file.name]
        except BadInput:
            pass
        assert os.listdir(folder) == ["box.ova"]  # noqa: PTH208


def _refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box.ova"
        path.write_bytes(data)
        with pytest.raises(BadInput):
            _verify(path)


def test_a_size_of_exabytes_is_refused_at_once(tmp_path: Path) -> None:
    info = tarfile.TarInfo(OVF)
    info.size = 2**62
    (tmp_path / "box.ova").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(BadInput, match="cut short"):
        Ova(tmp_path / "box.ova")


def test_a_huge_extended_header_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 2**33 - 1
    (tmp_path / "box.ova").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2048))
    with pytest.raises(BadInput, match="extended header of"):
        Ova(tmp_path / "box.ova")


def test_thousands_of_members_are_refused(tmp_path: Path) -> None:
    path = _pack(tmp_path / "box.ova", {OVF: b"x"} | {f"f{number}": b"" for number in range(1100)})
    with pytest.raises(BadInput, match="more than 1000 files"):
        Ova(path)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_manifest_are_read_or_refused(data: bytes) -> None:
    try:
        entries = manifest.parse(data, where="x.mf")
    except BadInput:
        return
    assert entries


def test_the_listing_gives_order_and_places(tmp_path: Path) -> None:
    path = _pack(tmp_path / "box.ova", _members())
    with path.open("rb") as file:
        members = tar.members(file.fileno(), name="box.ova")
    assert [member.name for member in members] == [OVF, MF, DISK]
    assert all(one.offset + one.size < two.offset for one, two in itertools.pairwise(members))


def test_making_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [
        make_ova(tmp_path / name, name="box", disk=b"x" * 100_000, capacity=2**30, networks=["a", "b"])
        for name in ("one.ova", "two.ova")
    ]
    assert made[0].sha256 == made[1].sha256 == hashlib.sha256((tmp_path / "one.ova").read_bytes()).hexdigest()
    assert (tmp_path / "one.ova").stat().st_mode & 0o777 == 0o644


@given(
    st.binary(min_size=1, max_size=70_000),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
        .map(str.strip)
        .filter(bool),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=30),
    st.integers(1, 64),
)
@settings(max_examples=40, deadline=None)
def test_what_is_made_is_read_back(disk: bytes, networks: list[str], value: str, cpus: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ova"
        wish = Property(key="guestinfo.x", value=value, label=value or "l", description=value, password=True)
        product = Product(name="paver", vendor="iaas-paver", version="1.4.0")
        make_ova(path, name="x", disk=disk, cpus=cpus, networks=networks, properties=[wish], product=product)
        with Ova(path) as ova:
            found = ova.verify().descriptor
        assert found.networks == tuple(Network(name=name, description=name) for name in networks)
        assert found.properties == (wish,)
        assert found.hardware == ("vmx-17",)
        root = defusedxml.ElementTree.fromstring(found.text)
        assert [each.text for each in root.iterfind(".//{*}ProductSection/{*}Version")] == ["1.4.0"]
        assert next(each.text for each in root.iterfind(".//{*}Item/{*}VirtualQuantity")) == str(cpus)


def test_the_descriptor_has_the_order_of_dmtfs_schema_and_what_hosts_insist_on() -> None:
    root = defusedxml.ElementTree.fromstring(_members()[OVF])
    [hardware] = root.iterfind("{*}VirtualSystem/{*}VirtualHardwareSection")
    items = [[child.tag.partition("}")[2] for child in item] for item in hardware.iterfind("{*}Item")]
    # CPU, memory, controller, disk, network card: elements of the schema in alphabetical order.
    assert len(items) == 5
    assert items == [sorted(item) for item in items]
    numbers = [each.text for each in hardware.iterfind("{*}Item/{*}InstanceID")]
    assert len(set(numbers)) == len(numbers)
    subtypes = [each.text for each in hardware.iterfind("{*}Item/{*}ResourceSubType")]
    assert subtypes == ["VirtualSCSI", "VmxNet3"]
    # Of `default` a host says that it could not acquire a lease.
    vmware = "{http://www.vmware.com/schema/ovf}"
    told = {
        each.get(f"{vmware}key"): each.get(f"{vmware}value") for each in hardware.iterfind(f"{vmware}Config")
    }
    assert told == {"firmware": "bios", "powerOpInfo.powerOffType": "preset"}


def test_a_data_disk_is_declared_empty_behind_the_first_one_its_size_a_property(tmp_path: Path) -> None:
    made = make_ova(tmp_path / "box.ova", name="box", disk=b"x", networks=["a", "b"], data_disk_gb=100)
    with Ova(made.path) as ova:
        assert [file.name for file in ova.verify().files] == [OVF, DISK]
        found = ova.descriptor
    assert found.disks[1] == Disk(id="vmdisk2", capacity=100 * 2**30, sized_by="data_disk_gb")
    assert data_disk.of(found, "box.ova") == data_disk.DataDisk(capacity=100 * 2**30, unit=1)
    assert found.properties == (data_disk.wish(100),)
    assert "transport" not in found.text
    root = defusedxml.ElementTree.fromstring(found.text)
    ovf = "{http://schemas.dmtf.org/ovf/envelope/1}"
    first, second = root.iter(f"{ovf}Disk")
    assert first.get(f"{ovf}capacity") == str(made.disk.capacity)
    assert (second.get(f"{ovf}capacity"), second.get(f"{ovf}fileRef")) == ("${data_disk_gb}", None)
    assert second.get(f"{ovf}capacityAllocationUnits") == "byte * 2^30"
    items = [{child.tag.partition("}")[2]: child.text for child in item} for item in root.iter(f"{ovf}Item")]
    disks = [(item["Parent"], item["AddressOnParent"]) for item in items if item["ResourceType"] == "17"]
    assert disks == [("3", "0"), ("3", "1")]
    assert [item["ResourceSubType"] for item in items if item["InstanceID"] == "3"] == ["VirtualSCSI"]
    assert len({item["InstanceID"] for item in items}) == len(items)
    assert all(list(item) == sorted(item) for item in items)
    assert [each.get(f"{ovf}required") for each in root.iter(f"{ovf}ProductSection")] == ["false"]
    [property_] = root.iter(f"{ovf}Property")
    assert property_.get(f"{ovf}qualifiers") == "MinValue(8),MaxValue(4096)"


def test_a_descriptor_can_be_had_with_numbers_alone(tmp_path: Path) -> None:
    make_ova(tmp_path / "box.ova", name="box", disk=b"x", data_disk_gb=64)
    with Ova(tmp_path / "box.ova") as ova:
        text = data_disk.literal(ova.descriptor)
        assert "${" in ova.descriptor.text
    assert "${" not in text
    assert "<Property" not in text
    assert descriptor.parse(text.encode(), where="x").disks[1].capacity == 64 * 2**30


@pytest.mark.parametrize("prefix", ["rasd:", "", "ns-1:"])
@pytest.mark.parametrize("name", ["Reservation", "Limit", "Weight"])
def test_shares_reservations_and_limits_are_taken_out_and_nothing_else(
    tmp_path: Path, prefix: str, name: str
) -> None:
    make_ova(tmp_path / "box.ova", name="box", disk=b"x")
    with Ova(tmp_path / "box.ova") as ova:
        text = ova.descriptor.text
    assert shares.without(text) == text
    asked = f'\n        <{prefix}{name} ovf:required="false">64</{prefix}{name}>'
    at = text.index("<rasd:ResourceType>4<")
    place = text.rindex("\n", 0, at)
    assert shares.without(text[:place] + asked + text[place:]) == text


_EMPTY = '<Disk ovf:capacity="${data_disk_gb}"'
_AT = "<rasd:AddressOnParent>{}</rasd:AddressOnParent>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Several disks with files; one that the machine does not have; a third; the empty one first.
        (_EMPTY, '<Disk ovf:fileRef="file1" ovf:capacity="${data_disk_gb}"'),
        ("ovf:/disk/vmdisk2", "ovf:/disk/vmdisk1"),
        (_EMPTY, f'<Disk ovf:capacity="9" ovf:diskId="vmdisk3"/>{_EMPTY}'),
        ("<rasd:ResourceType>17</rasd:ResourceType>", "<rasd:ResourceType>15</rasd:ResourceType>"),
        (' ovf:fileRef="file1"', ""),
        # The empty one before it by its place, on another controller, in the same place, in none.
        (_AT.format(0), _AT.format(2)),
        ("<rasd:Parent>3</rasd:Parent>", "<rasd:Parent>9</rasd:Parent>"),
        (_AT.format(1), _AT.format(0)),
        (_AT.format(1), _AT.format("first")),
        # A disk of hardware alone.
        ("<rasd:HostResource>ovf:/disk/vmdisk2</rasd:HostResource>", ""),
    ],
)
def test_an_appliance_has_one_disk_with_a_file_and_at_most_an_empty_one_behind_it(
    tmp_path: Path, old: str, new: str
) -> None:
    make_ova(tmp_path / "box.ova", name="box", disk=b"x", data_disk_gb=64)
    with Ova(tmp_path / "box.ova") as ova:
        text = ova.descriptor.text
    assert old in text
    changed = descriptor.parse(text.replace(old, new, 1).encode(), where="x")
    with pytest.raises(BadInput, match="does not have the disks of an appliance"):
        data_disk.of(changed, "box.ova")


def test_which_disk_is_the_first_one_their_units_say_and_not_their_order() -> None:
    text = _with_data_disk()
    first, second = re.findall(r"<Item>(?:(?!</Item>).)*<rasd:ResourceType>17.*?</Item>", text, re.DOTALL)
    turned = text.replace(first, "@").replace(second, first).replace("@", second)
    assert turned != text
    found = data_disk.of(descriptor.parse(turned.encode(), where="x"), "x")
    assert found == data_disk.DataDisk(capacity=100 * 2**30, unit=1)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-16"])
def test_a_descriptor_that_is_not_utf_8_is_refused(encoding: str) -> None:
    text = _with_data_disk().replace("UTF-8", encoding).replace("<Name>box</Name>", "<Name>büro</Name>")
    assert "büro" in text
    with pytest.raises(BadInput, match="is not UTF-8"):
        descriptor.parse(text.encode(encoding), where="x")


def test_a_descriptor_that_says_it_is_in_another_encoding_than_it_is_is_refused() -> None:
    text = _with_data_disk().replace("UTF-8", "ISO-8859-1").replace("<Name>box</Name>", "<Name>büro</Name>")
    with pytest.raises(BadInput, match="is not UTF-8") as refusal:
        descriptor.parse(text.encode(), where="x")
    assert refusal.value.seen == "it says that it is ISO-8859-1"


def test_a_property_that_is_described_twice_is_refused() -> None:
    text = _with_data_disk()
    once = re.search(r"<Property .*?</Property>", text, re.DOTALL)
    assert once is not None
    twice = text.replace(once[0], once[0] + once[0].replace('"100"', '"200"'))
    with pytest.raises(BadInput, match="the property 'data_disk_gb' twice"):
        descriptor.parse(twice.encode(), where="x")


def test_with_numbers_alone_only_the_property_of_the_size_is_taken_out() -> None:
    text = _with_data_disk()
    at = text.index("<Property ")
    end = text.index("</Property>") + len("</Property>")
    for mine in (text[at:end], re.sub(r">\s*<Label>.*</Property>", "/>", text[at:end], flags=re.DOTALL)):
        other = mine.replace("data_disk_gb", "other")
        found = descriptor.parse((text[:at] + mine + other + text[end:]).encode(), where="x")
        left = descriptor.parse(data_disk.literal(found).encode(), where="x")
        assert [each.key for each in left.properties] == ["other"]


@given(st.one_of(st.integers(-(2**70), 2**70).map(str), st.text(st.characters(codec="ascii"), max_size=30)))
@settings(max_examples=200, deadline=None)
def test_any_default_of_the_data_disks_size_is_within_its_bounds_or_refused(value: str) -> None:
    text = _with_data_disk().replace('ovf:value="100"', f"ovf:value={saxutils.quoteattr(value)}")
    try:
        disk = data_disk.of(descriptor.parse(text.encode(), where="x"), "x")
    except BadInput:
        return
    assert disk is not None
    assert 8 <= disk.capacity // 2**30 == int(value) <= 4096


@functools.cache
def _with_data_disk() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box.ova"
        make_ova(path, name="box", disk=b"x", data_disk_gb=100)
        with Ova(path) as ova:
            return ova.descriptor.text


def test_an_ova_that_was_changed_while_it_was_verified_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "box.ova"
    path.write_bytes(_good())
    digests = archive._digests

    def slowly(*arguments: Any) -> dict[str, str]:
        found = digests(*arguments)
        with path.open("ab") as file:
            file.write(bytes(512))
        return found

    monkeypatch.setattr(archive, "_digests", slowly)
    with Ova(path) as ova, pytest.raises(BadInput, match="was changed while it was verified"):
        ova.verify()


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 81, "a/b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be the name"):
        make_ova(tmp_path / "x.ova", name=name, disk=b"x")


def test_an_ova_that_could_not_be_made_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x.ova").write_text("old")
    with pytest.raises(BadInput):
        make_ova(tmp_path / "x.ova", name="x", disk=bytes(2**21), capacity=2**20)
    assert (tmp_path / "x.ova").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.ova"]


def test_whoever_computes_while_an_ova_is_digested_lets_go_of_the_interpreter_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = sys.getswitchinterval()
    seen: list[float] = []
    digest = archive._digests

    def watched(*arguments: Any) -> Any:
        seen.append(sys.getswitchinterval())
        return digest(*arguments)

    monkeypatch.setattr(archive, "_digests", watched)
    path = _pack(tmp_path / "box.ova", _members())
    with Ova(path) as opened:
        opened.verify()
    assert seen
    assert max(seen) < usual / 2
    assert sys.getswitchinterval() == usual


def test_a_name_of_more_bytes_than_a_file_system_takes_is_refused() -> None:
    assert member_name("\u00e9" * 127, where="x")
    with pytest.raises(BadInput, match="not a name"):
        member_name("\u00e9" * 128, where="x")
