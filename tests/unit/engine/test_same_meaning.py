"""What counts as the same in wish and facts."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.engine.diff import same
from paver.signing import canonical
from paver.signing.canonical import Json

FEW = st.sampled_from(["", "a", "A", "true", "1"])
"""Few words and numbers, so that two values are often nearly the same; none is an address."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | FEW,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FEW, inner, max_size=2),
    max_leaves=4,
)


@given(VALUES, VALUES)
def test_two_values_without_addresses_are_the_same_if_their_canonical_forms_are(a: Json, b: Json) -> None:
    assert same(a, b) == (canonical.dumps(a) == canonical.dumps(b))


@pytest.mark.parametrize(("wished", "found"), [(True, 1), ([True], [1]), ({"a": False}, {"a": 0}), ("1", 1)])
def test_true_is_no_number_and_a_number_no_text_however_deep(wished: Json, found: Json) -> None:
    assert not same(wished, found)
    assert not same(found, wished)


@given(st.ip_addresses(v=6))
def test_an_address_is_the_same_however_it_is_spelled(address: ipaddress.IPv6Address) -> None:
    assert same([str(address)], [address.exploded.upper()])


def test_upper_case_is_not_lower_case() -> None:
    assert not same("esx-01", "ESX-01")
