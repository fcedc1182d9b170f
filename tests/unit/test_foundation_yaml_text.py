"""YAML for tools of others: what is written is read again, and nothing but data is."""

from __future__ import annotations

from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paver.foundation import yaml_text

WORDS = st.text("abc äß:-#'\"\n\t%&*!|>?{}[],0123~")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_is_read_again_here_and_by_whoever_reads_yaml(value: object) -> None:
    text = yaml_text.dumps(value)
    assert yaml_text.loads(text) == value
    assert yaml.safe_load(text) == value


def test_a_certificate_keeps_every_line() -> None:
    pem = "-----BEGIN CERTIFICATE-----\n" + "MIIB\n" * 30 + "-----END CERTIFICATE-----\n"
    assert yaml_text.loads(yaml_text.dumps({"ca": pem})) == {"ca": pem}


def test_an_order_that_matters_is_kept() -> None:
    assert yaml_text.dumps({"b": 1, "a": 2}, sort_keys=False) == "b: 1\na: 2\n"


def test_nothing_but_data_is_made_of_a_text() -> None:
    with pytest.raises(yaml.YAMLError):
        yaml_text.loads("!!python/object/apply:os.getcwd []")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1:30", "1:30"),
        ("22:22", "22:22"),
        ("190:20:30", "190:20:30"),
        ("2026-11-29", "2026-11-29"),
        ("2026-11-29T10:00:00Z", "2026-11-29T10:00:00Z"),
        ("0.5", Decimal("0.5")),
        ("1.20", Decimal("1.20")),
        ("1e3", Decimal("1000.0")),
        ("'1e3'", "1e3"),
        ("0777", 511),
        ("0o17", 15),
        ("089", "089"),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-5", -5),
        ("10.0.0.1", "10.0.0.1"),
        ("12345678901234567890", 12345678901234567890),
        ("yes", True),
        ("'yes'", "yes"),
        ("y", "y"),
        ("~", None),
        ("!!str 5", "5"),
    ],
)
def test_a_word_is_what_concourse_and_bosh_make_of_it_and_stays_so(written: str, read: object) -> None:
    found = yaml_text.loads(f"value: {written}")["value"]
    assert (found, type(found)) == (read, type(read))
    assert yaml_text.loads(yaml_text.dumps({"value": read})) == {"value": read}


@pytest.mark.parametrize(
    "word", ["1:30", "2026-11-29", "1e3", "089", "0o17", "y", "N", "12e45", "1_0", ".5", "+1", "0x1F"]
)
def test_a_text_that_some_reader_takes_for_something_else_is_written_in_quotes(word: str) -> None:
    assert yaml_text.dumps(word).splitlines()[0] == f"'{word}'"


def test_an_address_needs_no_quotes() -> None:
    assert yaml_text.dumps({"a": "10.0.0.1"}) == "a: 10.0.0.1\n"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**6), max_value=10**6))
def test_a_fraction_is_written_as_a_number(value: Decimal) -> None:
    text = yaml_text.dumps({"value": value})
    assert yaml_text.loads(text) == {"value": value}
    assert yaml.safe_load(text) == {"value": float(value)}


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-(10.0**15), max_value=10.0**15))
def test_json_s_fractions_are_those_of_yaml(value: float) -> None:
    assert yaml_text.exact({"a": [value]}) == {"a": [Decimal(repr(value))]}


def test_maps_are_merged_and_what_stands_there_itself_wins() -> None:
    text = "a: &a {p: 1, q: 2}\nb: &b {q: 5, r: 6}\nc: {q: 3, <<: [*a, *b]}"
    assert yaml_text.loads(text)["c"] == {"p": 1, "q": 3, "r": 6}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "more than 100000 values, aliases counted as what they repeat"),
        ("[" * 300_000, "nested more than 100 levels"),
        ("[" * 300_000 + "]" * 300_000, "nested more than 100 levels"),
        ("a: &a [*a]", "the alias *a of nothing that stands before it"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("? [a]\n: b", "a key that is no text"),
        ("a: !mine b", "the tag !mine"),
        ("<<: 5", "`<<` merges maps only"),
    ],
    ids=["bomb", "endless", "deep", "itself", "two", "key", "tag", "merge"],
)
def test_a_text_that_would_take_all_memory_or_is_no_plain_data_is_refused(text: str, problem: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        yaml_text.loads(text)
    assert caught.value.problem == problem


def test_a_key_that_stands_twice_is_told_where_that_is_asked_for() -> None:
    assert yaml_text.loads("a: 1\na: 2") == {"a": 2}
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        yaml_text.loads("a: 1\na: 2", unique=True)
    assert caught.value.problem == "the key a stands twice"
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line == 1


@given(st.text("ab:-#'\"\n\t &*!|>?{}[],<~0.", max_size=60) | st.binary(max_size=40))
def test_any_text_is_data_or_a_yaml_error(text: str | bytes) -> None:
    try:
        found = yaml_text.loads(text)
    except yaml.YAMLError:
        return
    assert yaml_text.loads(yaml_text.dumps(found)) == found
