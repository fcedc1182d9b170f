"""The hash chain: what it holds together, and what breaks it where."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.signing import canonical, chain


def written(*records: dict[str, Any]) -> tuple[bytes, chain.Head]:
    head = chain.Head()
    data = b""
    for record in records:
        line, head = chain.link(record, head)
        data += line
    return data, head


def events(count: int) -> list[dict[str, Any]]:
    return [{"event": "call", "number": number} for number in range(1, count + 1)]


def test_a_line_is_canonical_json_that_names_the_digest_of_the_raw_line_before_it() -> None:
    data, head = written({"b": 1, "a": "x"}, {"c": None})
    first, second = data.splitlines()
    assert first == b'{"a":"x","b":1,"prev":"' + b"0" * 64 + b'"}'
    assert second == b'{"c":null,"prev":"' + hashlib.sha256(first).hexdigest().encode() + b'"}'
    assert head == chain.Head(2, hashlib.sha256(second).hexdigest())


def test_an_empty_journal_holds() -> None:
    assert chain.verify(b"") == chain.Head()


def test_records_come_back_with_the_head_after_each() -> None:
    data, head = written(*events(3))
    read = list(chain.records(data.splitlines(keepends=True)))
    assert [record["number"] for record, _ in read] == [1, 2, 3]
    assert read[-1][1] == head == chain.verify(data)


def test_a_record_may_not_set_its_own_link() -> None:
    with pytest.raises(ValueError, match="prev"):
        chain.link({"prev": "0" * 64}, chain.Head())


def test_an_altered_line_is_named_by_the_line_after_it() -> None:
    data, _ = written(*events(4))
    with pytest.raises(chain.ChainError) as caught:
        chain.verify(data.replace(b'"number":2', b'"number":9'))
    assert caught.value.line == 3
    assert "line 2 was altered" in caught.value.why


def test_a_line_that_is_no_longer_canonical_is_named_itself() -> None:
    data, _ = written(*events(4))
    with pytest.raises(chain.ChainError) as caught:
        chain.verify(data.replace(b'"number":2', b'"number": 2'))
    assert caught.value.line == 2


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_removed_line_is_found_where_the_next_one_stands(gone: int) -> None:
    data, _ = written(*events(4))
    lines = data.splitlines(keepends=True)
    with pytest.raises(chain.ChainError) as caught:
        chain.verify(b"".join(lines[:gone] + lines[gone + 1 :]))
    assert caught.value.line == gone + 1


def test_a_torn_last_line_says_how_much_holds() -> None:
    data, head = written(*events(3))
    torn = data + b'{"event":"call","num'
    with pytest.raises(chain.TornLineError) as caught:
        chain.verify(torn)
    assert caught.value.line == 4
    assert caught.value.head == head
    assert torn[: caught.value.kept] == data


def test_a_whole_last_line_without_its_newline_counts_as_torn() -> None:
    data, _ = written(*events(2))
    with pytest.raises(chain.TornLineError):
        chain.verify(data[:-1])


def test_a_missing_tail_is_seen_only_by_a_head_known_from_elsewhere() -> None:
    data, head = written(*events(3))
    cut = b"".join(data.splitlines(keepends=True)[:2])
    assert chain.verify(cut).lines == 2
    with pytest.raises(chain.ChainError, match="3 lines were attested"):
        chain.verify(cut, expected=head)


def test_a_journal_that_went_on_after_its_attested_head_holds() -> None:
    _, early = written(*events(2))
    data, late = written(*events(5))
    assert chain.verify(data, expected=early) == late


def test_a_journal_written_anew_does_not_pass_through_the_attested_head() -> None:
    _, head = written(*events(2))
    other, _ = written({"event": "other"}, {"event": "other"}, {"event": "other"})
    with pytest.raises(chain.ChainError, match="attested") as caught:
        chain.verify(other, expected=head)
    assert caught.value.line == 2


@pytest.mark.parametrize("line", [b"[]\n", b"1\n", b"\n", b"{}\n", b'{"prev":null}\n'])
def test_a_line_that_is_no_record_breaks_the_chain(line: bytes) -> None:
    with pytest.raises(chain.ChainError) as caught:
        chain.verify(line)
    assert caught.value.line == 1


@given(st.integers(2, 6), st.data())
def test_any_changed_byte_before_the_last_line_is_found(count: int, data: st.DataObject) -> None:
    raw, _ = written(*events(count))
    inner = len(raw) - len(raw.splitlines(keepends=True)[-1])
    place = data.draw(st.integers(0, inner - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    with pytest.raises(chain.ChainError):
        chain.verify(raw[:place] + bytes([value]) + raw[place + 1 :])


@given(st.integers(1, 6), st.data())
def test_cut_anywhere_it_is_torn_or_a_shorter_chain(count: int, data: st.DataObject) -> None:
    raw, _ = written(*events(count))
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    kept = len(cut)
    try:
        chain.verify(cut)
    except chain.TornLineError as torn:
        kept = torn.kept
    assert chain.verify(cut[:kept]).lines == cut.count(b"\n")


def test_the_line_is_what_canonical_dumps_writes() -> None:
    line, _ = chain.link({"z": "é", "a": [1]}, chain.Head())
    assert canonical.loads_exact(line[:-1]) == {"z": "é", "a": [1], "prev": chain.GENESIS}
