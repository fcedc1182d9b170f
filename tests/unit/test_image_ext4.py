"""Files are read out of a file system that mke2fs made, and out of the VMDK that it lies in, at any place."""

from __future__ import annotations

import gzip
import io
import random
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from paver.errors import BadInput
from paver.image import diff, ext4, inside
from paver.image.ext4 import Ext4
from paver.ovf.vmdk import write_vmdk
from paver.ovf.vmdk_random import Disk
from tests.support import small_image
from tests.support.small_image import GRAIN


class Memory:
    """Bytes as a disk."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, size: int) -> bytes:
        if offset + size > len(self.data):
            raise BadInput("the disk ends before")
        return self.data[offset : offset + size]


@pytest.fixture(scope="module")
def data() -> bytes:
    return gzip.decompress((Path(__file__).parents[1] / "support" / "small_root.ext4.gz").read_bytes())


@pytest.fixture
def system(data: bytes) -> Ext4:
    return Ext4(Memory(data), 0, name="x")


def test_a_file_is_read_by_its_path_and_through_links(system: Ext4) -> None:
    program = small_image.go_program()
    for path in ("/usr/local/bin/tool", "/etc/relative/tool", "/etc/absolute"):
        assert system.read(path, 10_000) == program


def test_a_folder_of_many_names_is_listed_whole(system: Ext4) -> None:
    names = {name for name in system.names("/many") if name not in {".", ".."}}
    assert names == {f"a-file-with-a-rather-long-name-{number}" for number in range(60)}


def test_holes_are_zeros(system: Ext4) -> None:
    assert system.read("/holes", 10**6) == bytes(200_000) + b"end"


def test_all_files_are_found_once(system: Ext4) -> None:
    found = dict(system.files())
    assert len(found) == 60 + 8
    assert stat.S_ISLNK(found["/etc/loop"].mode)
    assert found["/holes"].size == 200_003


def test_a_file_of_zeros_without_end_is_refused(data: bytes) -> None:
    # The inode of /holes is the one with its size.
    changed = data.replace((200_003).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    assert changed != data
    with pytest.raises(BadInput, match="larger than itself"):
        Ext4(Memory(changed), 0, name="x").read("/holes", 2**40)


class Counting(Memory):
    """Says how often it is read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        assert self.reads < 10_000, "it is read without end"
        return super().read(offset, size)


def test_tables_of_extents_that_are_shared_are_not_read_again_and_again(data: bytes) -> None:
    # Five levels, in each of which all entries lead to one block of the next: 84 to the fifth ways to a file's end.
    count, block = (1024 - 12) // 12, 1024
    first = len(data) // block
    tables = []
    for level in (4, 3, 2, 1, 0):
        below = first + 5 - level
        row = struct.pack("<IIHH", 0, below, 0, 0) if level else struct.pack("<IHHI", 2**20, 1, 0, 1)
        tables.append(
            (struct.pack("<HHHHI", 0xF30A, count, count, level, 0) + row * count).ljust(block, b"\0")
        )
    root = struct.pack("<HHHHI", 0xF30A, 4, 4, 5, 0) + struct.pack("<IIHH", 0, first, 0, 0) * 4
    inode = data.index((200_003).to_bytes(4, "little")) - 4
    disk = Counting(data[: inode + 0x28] + root + data[inode + 0x28 + len(root) :] + b"".join(tables))
    assert Ext4(disk, 0, name="x").read("/holes", 10**6) == bytes(200_003)
    assert disk.reads < 30


def test_holes_in_a_file_system_that_claims_to_be_huge_are_not_read_for_days(data: bytes) -> None:
    changed = bytearray(data)
    inode = data.index((200_003).to_bytes(4, "little")) - 4
    changed[inode + 0x6C : inode + 0x70] = (2**9).to_bytes(4, "little")  # 2 TiB
    changed[1024 + 4 : 1024 + 8] = b"\xff" * 4
    system = Ext4(Memory(bytes(changed)), 0, name="x")
    with pytest.raises(BadInput, match="takes more reading than any image"):
        _through(system.content(system.node("/holes")))


def _through(pieces: Iterable[bytes]) -> None:
    read = 0
    for piece in pieces:
        read += len(piece)
        assert read <= ext4.MOST


def test_a_name_that_is_looked_up_in_a_huge_folder_again_and_again_is_refused(data: bytes) -> None:
    system = Ext4(Counting(data), 0, name="x", most=2**27)
    with pytest.raises(BadInput, match="takes more reading than any image"):
        _looked_up(system, 10_000)


def _looked_up(system: Ext4, times: int) -> None:
    for _ in range(times):
        system.node("/many/a-file-with-a-rather-long-name-1")


def test_what_is_not_there_what_is_too_large_and_links_in_a_circle_are_told(system: Ext4) -> None:
    with pytest.raises(FileNotFoundError):
        system.read("/usr/none", 1)
    with pytest.raises(BadInput, match="more than 10"):
        system.read("/holes", 10)
    with pytest.raises(BadInput, match="leads nowhere"):
        system.read("/etc/loop", 10)


@pytest.mark.parametrize("name", ["empty", "journal", "feature"])
def test_a_file_system_that_this_does_not_read_is_refused(data: bytes, name: str) -> None:
    changed = bytearray(data)
    if name == "empty":
        changed[1024:2048] = bytes(1024)
    elif name == "journal":
        changed[1024 + 0x60] |= 4
    else:
        changed[1024 + 0x61] |= 0x80
    with pytest.raises(BadInput, match=r"no ext4|not unmounted cleanly|has features"):
        Ext4(Memory(bytes(changed)), 0, name="x")


def test_a_damaged_file_system_is_read_or_refused(data: bytes) -> None:
    refused = 0
    for seed in range(400):
        random_ = random.Random(seed)  # noqa: S311 - the same every time
        changed = bytearray(data)
        for _ in range(random_.randint(1, 6)):
            at = random_.choice(
                (1024 + random_.randrange(256), 2048 + random_.randrange(64), random_.randrange(60_000))
            )
            changed[at] = random_.choice((0, 255, random_.randrange(256)))
        try:
            found = Ext4(Memory(bytes(changed)), 0, name="x")
            for path, node in list(found.files())[:300]:
                if stat.S_ISREG(node.mode) and node.size < 10**6:
                    found.read(path, 10**6)
        except (BadInput, FileNotFoundError):
            refused += 1
    assert refused > 50


def test_any_place_of_a_vmdk_is_read_as_it_was_written(data: bytes) -> None:
    raw = data + bytes(3 * GRAIN) + b"end" * 40_000
    packed = io.BytesIO()
    written = write_vmdk(raw, packed, capacity=600 * 2**20)
    disk = Disk(packed)
    whole = raw.ljust(written.capacity, b"\0")
    random_ = random.Random(1)  # noqa: S311 - the same every time
    for _ in range(60):
        at = random_.choice((random_.randrange(len(raw)), random_.randrange(written.capacity)))
        size = min(random_.randrange(3 * GRAIN), written.capacity - at)
        assert disk.read(at, size) == whole[at : at + size]
    with pytest.raises(BadInput, match="outside of the disk"):
        disk.read(written.capacity - 1, 2)


def test_a_disk_without_a_root_partition_is_refused() -> None:
    with pytest.raises(BadInput, match="no table of partitions"):
        inside.root(Memory(bytes(8192)), "x")
    without = bytearray(small_image.root())
    without[1024:2048] = bytes(1024)
    with pytest.raises(BadInput, match="no partition with a root"):
        inside.root(Memory(bytes(without)), "x")


def compared(data: bytes, changed: bytes) -> list[str]:
    found = diff.files(Ext4(Memory(data), 0, name="x"), Ext4(Memory(changed), 0, name="y"))
    return [file.line for file in found if not file.time_alone]


def test_files_of_the_same_bytes_and_rights_do_not_differ(data: bytes) -> None:
    assert compared(data, data) == []


def test_a_file_that_only_one_of_two_has_is_named(data: bytes) -> None:
    assert compared(data, data.replace(b"holes", b"moles")) == ["- /holes", "+ /moles"]


def test_a_file_of_other_content_is_named(data: bytes) -> None:
    changed = data.replace(b"end" + bytes(500), b"END" + bytes(500))
    assert changed != data
    assert compared(data, changed) == ["~ /holes  content"]


def test_of_a_file_that_has_another_mode_owner_or_time_that_is_told(data: bytes, system: Ext4) -> None:
    holes = system.node("/holes")
    inode = data.index(holes.block) - 0x28
    changed = bytearray(data)
    struct.pack_into("<HH", changed, inode, stat.S_IFREG | 0o640, 7)
    struct.pack_into("<I", changed, inode + 0x10, holes.changed + 60)
    before = stat.filemode(holes.mode)
    assert compared(data, bytes(changed)) == [
        f"~ /holes  mode {before} → -rw-r-----, owner 0:0 → 7:0, time {holes.changed} → {holes.changed + 60}"
    ]


def test_a_file_that_differs_by_its_time_alone_is_told_apart(data: bytes, system: Ext4) -> None:
    holes = system.node("/holes")
    changed = bytearray(data)
    struct.pack_into("<I", changed, data.index(holes.block) - 0x28 + 0x10, holes.changed + 60)
    [found] = diff.files(system, Ext4(Memory(bytes(changed)), 0, name="y"))
    assert found == (f"~ /holes  time {holes.changed} → {holes.changed + 60}", True)


def test_where_a_link_leads_is_its_content(data: bytes) -> None:
    assert compared(data, data.replace(b"../usr/local/bin", b"../usr/LOCAL/bin")) == [
        "~ /etc/relative  content"
    ]
