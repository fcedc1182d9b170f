"""Marks: what is written is what is read, and what is none of paver's is nobody's guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paver
from paver.driver import MARK_KEY, Mark, ResourceId

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.none() | st.booleans() | st.integers(-5, 5) | TEXTS | st.lists(TEXTS, max_size=2)
MARKS = st.builds(
    Mark,
    site=TEXTS,
    id=TEXTS.map(ResourceId),
    action=TEXTS,
    complete=st.booleans(),
)
KEYS = ("action", "complete", "id", "site")
WHOLE = Mark("north", ResourceId("s3.user:ci"), "a" * 64, complete=True)


@given(MARKS)
def test_every_mark_reads_as_it_was_written(mark: Mark) -> None:
    assert Mark.of(mark.document()) == mark
    assert Mark.loads(mark.dumps()) == mark


@given(MARKS, st.dictionaries(TEXTS.filter(lambda name: name not in KEYS), VALUES, max_size=3))
def test_what_a_bearer_keeps_beside_its_mark_changes_nothing_of_it(mark: Mark, more: dict[str, Any]) -> None:
    assert Mark.of({**more, **mark.document()}) == mark
    assert Mark.loads(json.dumps({**more, **mark.document()})) == mark


@given(MARKS)
def test_the_id_that_a_mark_had_before_a_renaming_is_never_written(mark: Mark) -> None:
    renamed = Mark(mark.site, mark.id, mark.action, mark.complete, was=ResourceId("s3.user:before"))
    assert renamed.dumps() == mark.dumps()


@given(MARKS, st.sampled_from(KEYS))
def test_a_mark_that_lacks_a_key_is_none(mark: Mark, key: str) -> None:
    document = {name: value for name, value in mark.document().items() if name != key}
    assert Mark.of(document) is None
    assert Mark.loads(json.dumps(document)) is None


@given(MARKS, st.sampled_from(KEYS), VALUES)
def test_a_mark_with_a_value_of_another_type_is_none(mark: Mark, key: str, value: object) -> None:
    wanted = bool if key == "complete" else str
    document = {**mark.document(), key: value}
    if not isinstance(value, wanted):
        assert Mark.of(document) is None
        assert Mark.loads(json.dumps(document)) is None


@given(VALUES | st.text())
def test_what_is_no_document_is_no_mark(found: object) -> None:
    assert Mark.of(found) is None
    assert Mark.loads(found if isinstance(found, str) else None) is None


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.dumps()[:-1],
        WHOLE.dumps() + "}",
        WHOLE.dumps().replace('"complete":true', '"complete":true,"complete":false'),
        WHOLE.dumps().replace('"complete":true', '"complete":1.0'),
        f"[{WHOLE.dumps()}]",
    ],
    ids=["cut short", "with more behind", "a key twice", "a float", "in a list"],
)
def test_a_text_that_is_not_one_mark_is_none(text: str) -> None:
    assert Mark.loads(text) is None


def test_the_name_under_which_marks_stand_is_said_once() -> None:
    sources = Path(paver.__file__).parent.rglob("*.py")
    assert [file.name for file in sources if f'"{MARK_KEY}"' in file.read_text()] == ["mark.py"]
