"""How a change is told: of a document only what differs, of a long text the place where it does."""

from __future__ import annotations

from typing import Any

from paver.engine.diff import Change
from paver.report import difference


def told(before: Any, after: Any, *, unknown: bool = False, every: bool = False) -> list[str]:
    return list(difference.lines(Change("field", before, after, unknown=unknown), every=every))


def test_a_value_is_told_by_its_two_sides() -> None:
    assert told(31, 30) == ["field: 31 → 30"]
    assert told([], ["10.20.0.10"]) == ['field: [] → ["10.20.0.10"]']
    assert told(None, "on") == ["field: null → on"]


def test_of_a_document_only_the_places_that_differ_are_told() -> None:
    before = {"azs": ["z1"], "store": {"url": "https://a", "buckets": ["one", "two"]}}
    after = {"azs": ["z1"], "store": {"url": "https://a", "buckets": ["one"]}, "new": 1}
    assert told(before, after) == ["field.new: absent → 1", 'field.store.buckets: ["one","two"] → ["one"]']


def test_of_a_list_of_documents_the_one_that_differs_is_told() -> None:
    before = {"jobs": [{"name": "a", "n": 1}, {"name": "b", "n": 1}]}
    after = {"jobs": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}
    assert told(before, after) == ["field.jobs[1].n: 1 → 2"]


def test_many_places_are_folded_unless_all_are_asked_for() -> None:
    before, after = {str(n): 0 for n in range(6)}, {str(n): 1 for n in range(6)}
    assert told(before, after)[-1] == "… and 2 more places of field: `paver plan --all` shows them"
    assert len(told(before, after, every=True)) == 6


def test_of_two_long_texts_that_begin_alike_the_end_is_told() -> None:
    shown = told("same " * 20 + "old", "same " * 20 + "new")
    assert shown == ["field: …same same same old → …same same same new"]


def test_what_is_not_known_yet_is_said_to_be_known_later() -> None:
    assert told("a", {"unknown": "x.y"}, unknown=True) == ["field: a → known later"]
    shown = told({"ca": "a", "n": 1}, {"ca": {"unknown": "x.y"}, "n": 1}, unknown=True)
    assert shown == ["field.ca: a → known later"]


def test_a_number_with_a_fraction_is_told_as_it_is_written() -> None:
    assert told({"n": {"number": "0.5"}}, {"n": {"number": "0.75"}}) == ["field.n: 0.5 → 0.75"]
    assert told({"n": 1}, {"n": {"number": "1.5"}}) == ["field.n: 1 → 1.5"]
