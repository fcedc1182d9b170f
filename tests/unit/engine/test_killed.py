"""Any wish after any other ends in nothing to do, also where the run is killed at any write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paver.runs.workbench import Engine, pending
from tests.support.memory import everything, killing, memory
from tests.support.shelves import wish

SHELVES = st.dictionaries(
    st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=3), max_size=2
)


WISHES = st.fixed_dictionaries(
    {
        "shelves": SHELVES,
        "dials": st.dictionaries(st.sampled_from("pq"), st.integers(0, 3), max_size=2),
        "colour": st.sampled_from(["grey", "red"]),
    }
)


@settings(max_examples=20, deadline=None)
@given(first=WISHES, second=WISHES)
def test_any_wish_after_any_other_ends_in_nothing_to_do(
    tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    room = folder / "room"
    room.mkdir()
    engine = Engine(folder)
    # Both wishes know both shelves: a shelf that the site no longer names is not asked for orphans.
    every: dict[str, dict[str, int]] = {"a": {}, "b": {}}
    for values in (first, second):
        paved = wish(room, **{**values, "shelves": {**every, **values["shelves"]}})
        assert not engine.apply(paved).failed
        assert pending(engine.plan(paved)) == {}


@settings(max_examples=25, deadline=None)
@given(values=WISHES, moment=st.integers(0, 14))
def test_killed_at_any_write_the_same_command_converges_to_the_same_end(
    tmp_path_factory: pytest.TempPathFactory, values: Any, moment: int
) -> None:
    ends = []
    for kill in (None, moment):
        folder = tmp_path_factory.mktemp("kill")
        room = folder / "room"
        room.mkdir()
        paved = wish(room, **values)
        engine = Engine(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.Room, "write", killing(kill))
            engine.apply(paved)
        outcome = engine.apply(paved)
        assert not outcome.failed
        assert not engine.plan(paved).pending
        ends.append(everything(room))
    assert ends[0] == ends[1]


GREY: dict[str, Any] = {"shelves": {"a": {"x": 1}}, "dials": {}, "colour": "grey"}


@settings(max_examples=25, deadline=None)
@given(first=WISHES, second=WISHES, moment=st.integers(0, 14))
@example(first=GREY, second={**GREY, "colour": "red"}, moment=0)
@example(first=GREY, second={**GREY, "colour": "red"}, moment=1)
@example(first=GREY, second={**GREY, "colour": "red"}, moment=2)
def test_killed_at_any_write_the_same_plan_goes_on_to_the_same_end(
    tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any, moment: int
) -> None:
    ends = []
    every: dict[str, dict[str, int]] = {"a": {}, "b": {}}
    for kill in (None, moment):
        folder = tmp_path_factory.mktemp("kill")
        room = folder / "room"
        room.mkdir()
        before, after = (
            wish(room, **{**each, "shelves": {**every, **each["shelves"]}}) for each in (first, second)
        )
        engine = Engine(folder)
        engine.apply(before)
        approved = engine.plan(after)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.Room, "write", killing(kill))
            engine.act(after, approved)
        assert not engine.act(after, approved).failed
        assert not engine.plan(after).pending
        ends.append(everything(room))
    assert ends[0] == ends[1]
