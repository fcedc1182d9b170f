"""The appliance's own resolver: answers in, records out, and nothing a server says breaks it."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.lab.room import resolver

A, PTR = 1, 12


def answer(question: bytes, kind: int, data: bytes, *, flags: int = 0x8580) -> bytes:
    number = struct.unpack_from(">H", question)[0]
    head = struct.pack(">6H", number, flags, 1, 1, 0, 0)
    # The name of the record points back to the one of the question, as every server writes it.
    return head + question[12:] + b"\xc0\x0c" + struct.pack(">2HIH", kind, 1, 60, len(data)) + data


def test_an_address_is_read() -> None:
    question = resolver.question("vcsa.north.example", A, 7)
    assert resolver.records(answer(question, A, bytes([10, 20, 0, 20])), A, 7) == [bytes([10, 20, 0, 20])]


def test_a_compressed_name_is_read_whole() -> None:
    question = resolver.question("20.0.20.10.in-addr.arpa", PTR, 7)
    (found,) = resolver.records(answer(question, PTR, b"\x04vcsa\xc0\x0c"), PTR, 7)
    assert found == b"\x04vcsa\x0220\x010\x0220\x0210\x07in-addr\x04arpa\x00"


@pytest.mark.parametrize(
    ("number", "flags"), [(8, 0x8580), (7, 0x0580), (7, 0x8583)], ids=["another's", "a question", "NXDOMAIN"]
)
def test_what_is_no_answer_is_refused(number: int, flags: int) -> None:
    question = resolver.question("vcsa.north.example", A, 7)
    with pytest.raises(ValueError, match="no answer"):
        resolver.records(answer(question, A, bytes(4), flags=flags), A, number)


def test_a_name_that_points_to_itself_ends() -> None:
    with pytest.raises(ValueError, match="circles"):
        resolver.records(struct.pack(">6H", 7, 0x8580, 1, 0, 0, 0) + b"\xc0\x0c" + bytes(4), A, 7)


@given(st.binary(max_size=80), st.sampled_from([A, PTR]))
def test_any_bytes_are_an_answer_or_a_value_error(tail: bytes, kind: int) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(resolver.records(struct.pack(">6H", 7, 0x8580, 1, 1, 0, 0) + tail, kind, 7), list)
