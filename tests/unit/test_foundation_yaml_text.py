"""YAML for tools of others: what is written is read again, and nothing but data is."""

from __future__ import annotations

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
