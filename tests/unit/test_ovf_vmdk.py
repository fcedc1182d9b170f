from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.ovf import vmdk
from paver.ovf import vmdk_layout as layout

MIB = 2**20
_EXTENTS = st.lists(st.tuples(st.integers(0, 3 * MIB), st.binary(min_size=1, max_size=3000)), max_size=6)


def _disk(extents: list[tuple[int, bytes]]) -> bytes:
    raw = bytearray(max((offset + len(data) for offset, data in extents), default=1))
    for offset, data in extents:
        raw[offset : offset + len(data)] = data
    return bytes(raw)


def _packed(disk: Path | bytes, capacity: int | None = None) -> bytes:
    target = io.BytesIO()
    written = vmdk.write_vmdk(disk, target, capacity=capacity)
    assert written.size == len(target.getvalue())
    return target.getvalue()


GOOD = _packed(b"boot sector".ljust(200_000, b"x") + bytes(900_000) + b"the end", 40 * MIB)


@given(_EXTENTS)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(extents: list[tuple[int, bytes]]) -> None:
    raw = _disk(extents)
    reader = vmdk.Reader(io.BytesIO(_packed(raw)))
    found = bytearray(reader.capacity)
    for offset, grain in reader.grains():
        found[offset : offset + len(grain)] = grain
    assert found == raw.ljust(reader.capacity, b"\0")
    assert reader.checked is not None
    assert reader.checked.tables


@given(_EXTENTS)
@settings(max_examples=20, deadline=None)
def test_the_same_disk_gives_the_same_bytes(extents: list[tuple[int, bytes]]) -> None:
    raw = _disk(extents)
    assert _packed(raw) == _packed(raw)


def test_a_sparse_file_gives_the_same_bytes_as_its_content(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(b"first")
        file.seek(9 * MIB + 5)
        file.write(b"second")
        file.truncate(20 * MIB)
    assert _packed(path) == _packed(path.read_bytes())


def test_the_capacity_is_rounded_up_to_whole_mib() -> None:
    assert vmdk.check(io.BytesIO(_packed(b"x", 5 * MIB + 1))).capacity == 6 * MIB


def test_an_image_larger_than_its_disk_is_refused() -> None:
    with pytest.raises(BadInput, match="more than the 1048576"):
        vmdk.write_vmdk(bytes(MIB + 1), io.BytesIO(), capacity=MIB)


def test_head_reads_the_first_bytes_and_fills_up_with_zeros() -> None:
    assert vmdk.head(io.BytesIO(GOOD), 11) == b"boot sector"
    assert vmdk.head(io.BytesIO(_packed(b"", 2 * MIB)), 4) == bytes(4)


def test_head_of_a_disk_does_not_read_the_whole_file() -> None:
    source = io.BytesIO(GOOD)
    vmdk.head(source, 20)
    assert source.tell() < len(GOOD) - 4096


def test_decoding_gives_the_raw_disk(tmp_path: Path) -> None:
    checked = vmdk.decode(io.BytesIO(GOOD), tmp_path / "disk.raw")
    raw = (tmp_path / "disk.raw").read_bytes()
    assert raw.startswith(b"boot sectorxxx")
    assert len(raw) == checked.capacity == 40 * MIB


def test_a_bad_disk_leaves_no_decoded_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cut short"):
        vmdk.decode(io.BytesIO(GOOD[:-2000]), tmp_path / "disk.raw")
    assert not list(tmp_path.iterdir())


def test_decoding_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_text("mine")
    with pytest.raises(FileExistsError):
        vmdk.decode(io.BytesIO(GOOD), tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_text() == "mine"


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (0, "<I", 0x12345678, "signature"),
        (4, "<I", 9, "version 9"),
        (8, "<I", 1, "streamOptimized"),
        (12, "<Q", 2**50, "claims a capacity"),
        (12, "<Q", 0, "capacity of 0"),
        (20, "<Q", 2**40, "grains of"),
        (20, "<Q", 3, "grains of"),
        (36, "<Q", 2**40, "descriptor"),
        (44, "<I", 7, "entries"),
        (64, "<Q", 2**40, "cut short"),
        (73, "<4s", b"\n\n\n\n", "text mode"),
    ],
)
def test_a_header_that_lies_is_refused(offset: int, form: str, value: int | bytes, message: str) -> None:
    bad = bytearray(GOOD)
    struct.pack_into(form, bad, offset, value)
    with pytest.raises(BadInput, match=message):
        vmdk.check(io.BytesIO(bytes(bad)))


def _named(text: bytes, at: int, data: bytes = GOOD) -> bytes:
    return data[:at] + text + data[at + len(text) :]


_PARENT = b'parentCID=00000001\nparentFileNameHint="/etc/shadow"\n'


@pytest.mark.parametrize(
    ("text", "at"),
    [(_PARENT, 512), (_PARENT.upper(), 512), (_PARENT, 21 * 512 - len(_PARENT)), (_PARENT, 100 * 512)],
)
def test_a_disk_that_names_another_one_under_it_is_refused_wherever_the_name_stands(
    text: bytes, at: int
) -> None:
    with pytest.raises(BadInput, match="names another disk"):
        vmdk.check(io.BytesIO(_named(text, at)))


def test_a_name_of_another_disk_is_found_where_the_header_has_grains_already() -> None:
    # QEMU looks in the first 20 sectors behind the header, whatever the header says.
    short = bytearray(_named(_PARENT, 19 * 512))
    struct.pack_into("<QQ", short, 28, 1, 1)
    struct.pack_into("<Q", short, 64, 2)
    short[2 * 512 : 2 * 512 + layout.GRAIN_MARKER.size] = layout.GRAIN_MARKER.pack(0, 30 * 512)
    with pytest.raises(BadInput, match="names another disk"):
        vmdk.check(io.BytesIO(bytes(short)))


def test_a_name_of_another_disk_is_found_also_where_it_is_read_in_two_pieces() -> None:
    long = bytearray(GOOD[: layout.OVERHEAD * 512] + bytes(2 * MIB) + GOOD[layout.OVERHEAD * 512 :])
    struct.pack_into("<Q", long, 64, layout.OVERHEAD + 2 * MIB // 512)
    with pytest.raises(BadInput, match="names another disk"):
        vmdk.check(io.BytesIO(_named(_PARENT, 512 + MIB - 30, bytes(long))))


def _with_first_grain(marker: bytes, body: bytes) -> bytes:
    start = layout.OVERHEAD * layout.SECTOR
    return GOOD[:start] + layout.padded(marker + body) + GOOD[start:]


def test_a_grain_that_inflates_without_end_is_refused() -> None:
    bomb = zlib.compress(bytes(64 * MIB), 9)
    with pytest.raises(BadInput, match="wrong length"):
        vmdk.check(io.BytesIO(_with_first_grain(layout.GRAIN_MARKER.pack(0, len(bomb)), bomb)))


def test_a_packed_grain_larger_than_a_grain_is_refused() -> None:
    with pytest.raises(BadInput, match="more than it can unpack to"):
        vmdk.check(io.BytesIO(_with_first_grain(layout.GRAIN_MARKER.pack(0, 2**31), b"")))


def test_a_grain_outside_of_the_disk_is_refused() -> None:
    with pytest.raises(BadInput, match="outside of the disk"):
        vmdk.check(io.BytesIO(_with_first_grain(layout.GRAIN_MARKER.pack(2**40, 10), b"")))


def test_a_grain_that_comes_twice_is_refused() -> None:
    start = layout.OVERHEAD * layout.SECTOR
    size = layout.GRAIN_MARKER.unpack_from(GOOD, start)[1]
    first = GOOD[start : start + len(layout.padded(bytes(layout.GRAIN_MARKER.size + size)))]
    with pytest.raises(BadInput, match="twice or out of order"):
        vmdk.check(io.BytesIO(GOOD[:start] + first + GOOD[start:]))


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(BadInput, match="goes on"):
        vmdk.check(io.BytesIO(GOOD + b"\0"))


def test_a_table_that_names_other_places_is_refused() -> None:
    at = GOOD.index(layout.marker(layout.TABLE, 2048)) + layout.SECTOR
    bad = bytearray(GOOD)
    struct.pack_into("<I", bad, at + 8, 129)
    with pytest.raises(BadInput, match="grain table"):
        vmdk.check(io.BytesIO(bytes(bad)))


@given(st.integers(0, len(GOOD) - 1))
def test_a_disk_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BadInput):
        vmdk.check(io.BytesIO(GOOD[:length]))


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=400)
def test_a_mutated_disk_reads_the_same_or_is_refused(changes: list[tuple[int, int]]) -> None:
    bad = bytearray(GOOD)
    for at, value in changes:
        bad[at] = value
    try:
        found = list(vmdk.Reader(io.BytesIO(bytes(bad))).grains())
    except BadInput:
        return
    assert found == list(vmdk.Reader(io.BytesIO(GOOD)).grains())


def test_memory_stays_flat_while_a_large_disk_is_written_and_read() -> None:
    class Endless:
        """A file that is only as large as what was written last."""

        def __init__(self) -> None:
            self.size = 0

        def write(self, data: bytes, /) -> None:
            self.size += len(data)

    raw = os.urandom(32 * MIB)
    tracemalloc.start()
    vmdk.write_vmdk(raw, Endless())
    assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    tracemalloc.stop()
