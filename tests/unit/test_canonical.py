"""Canonical JSON: the RFC's own examples, round trips, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.signing import canonical

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


def test_keys_sort_by_utf_16_code_units_as_in_the_rfc() -> None:
    # RFC 8785, 3.2.3, the example and its expected order.
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical.dumps(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_are_escaped_as_in_the_rfc() -> None:
    # RFC 8785, 3.2.2: the string of the example, and the bytes of 3.2.4.
    value = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    assert canonical.dumps(value) == (
        '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    )


def test_every_control_character_has_its_one_escape() -> None:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
    for code in range(0x20):
        expected = short.get(code, f"\\u{code:04x}")
        assert canonical.dumps(chr(code)) == f'"{expected}"'.encode()
    assert canonical.dumps("\x7f/\u2028") == '"\x7f/\u2028"'.encode()


def test_a_tuple_is_written_as_a_list() -> None:
    assert canonical.dumps((1, (2,))) == b"[1,[2]]"


def test_the_digest_is_the_sha256_of_the_canonical_bytes() -> None:
    assert canonical.digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(VALUES)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    written = canonical.dumps(value)
    assert canonical.loads(written) == value
    assert canonical.loads_exact(written) == value
    assert json.loads(written) == value


@given(VALUES)
def test_the_order_of_keys_in_the_source_changes_nothing(value: Any) -> None:
    shuffled = json.loads(json.dumps(value), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical.dumps(shuffled) == canonical.dumps(value)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_input_is_read_or_refused_with_our_error(data: bytes | str) -> None:
    try:
        value = canonical.loads(data)
    except canonical.CanonicalError:
        return
    assert canonical.loads(canonical.dumps(value)) == value


class _Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        {1: "a"},
        {None: 1},
        b"bytes",
        {"a"},
        "\ud800",
        {"\udc00": 1},
        _Name("a subclass"),
        pytest.param(object(), id="an object"),
        {"a": [1, {"b": 1.5}]},
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(canonical.CanonicalError):
        canonical.dumps(value)


def test_a_circular_value_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(canonical.CanonicalError, match="nested deeper"):
        canonical.dumps(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"a":1}', "twice"),
        ('[{"a":1,"\\u0061":1}]', "twice"),
        ("1.0", "floats"),
        ("1e3", "floats"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("9007199254740992", "beyond"),
        ("9" * 100_000, "beyond"),
        ("[" * 100_000, "deeper"),
        ("[" * 66 + "]" * 66, "deeper"),
        ('"\\ud800"', "surrogate"),
        ("", "line 1, column 1"),
        ("\ufeff{}", "not JSON"),
        ("[1] 2", "Extra data"),
        (b'"\xff"', "UTF-8"),
        ('"\x01"', "control character"),
    ],
)
def test_text_that_two_readers_might_read_differently_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(canonical.CanonicalError, match=says):
        canonical.loads(text)


def test_a_text_over_the_size_limit_is_refused_unread() -> None:
    with pytest.raises(canonical.CanonicalError, match="11 bytes"):
        canonical.loads("[1,2,3,4,5]", max_bytes=10)


@pytest.mark.parametrize("text", [b'{"b":1,"a":2}', b"[1, 2]", b'"\\u00e9"', b"[]\n", b"-0", b'"\\/"'])
def test_exact_reading_refuses_bytes_that_are_not_canonical(text: bytes) -> None:
    canonical.loads(text)
    with pytest.raises(canonical.CanonicalError, match="canonical form"):
        canonical.loads_exact(text)


def test_errors_show_the_place_and_never_the_value() -> None:
    with pytest.raises(canonical.CanonicalError) as caught:
        canonical.dumps({"a": [{"b": "hunter2\ud800"}]})
    assert "$.a[0].b" in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    with pytest.raises(canonical.CanonicalError) as caught:
        canonical.loads('{"password":"hunter2')
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
