"""What was renamed in the site file keeps standing: its mark gets the new id, and nothing is made anew."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Paved, ResourceId
from paver.engine import moves
from paver.engine.planner import Request
from paver.errors import BadInput
from paver.runs.conformance import renamed
from paver.runs.workbench import Engine, pending
from tests.support.memory import memory
from tests.support.shelves import things, wish

OLD, NEW = ResourceId("memory.box:a/x"), ResourceId("memory.box:top/x")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def box(room: Path, **settings: Any) -> Paved:
    """A wish for box x of shelf a, by its new id."""
    return renamed(wish(room, shelves={"a": {"x": settings.pop("size", 1)}}, **settings), {OLD: NEW})


def calls(room: Path) -> list[str]:
    return (room / "trace").read_text().splitlines()


def test_a_renamed_thing_is_marked_anew_and_nothing_else(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    before = calls(room)
    planned = engine.plan(box(room))
    (action,) = planned.pending
    assert (action.resource, action.verb.value, action.changes) == (NEW, "update", ())
    assert action.reason == "renamed in the site file: it was memory.box:a/x"
    assert not engine.act(box(room), planned).failed
    assert calls(room)[len(before) :] == ["put a x"]
    assert things(room)["x"]["mark"][1] == NEW
    assert not engine.plan(box(room)).pending, "the entry is harmless afterwards"
    assert not engine.plan(dataclasses.replace(box(room), moved={})).pending, "and not needed any more"


def test_a_renamed_thing_whose_mark_was_not_written_anew_is_not_done(
    engine: Engine, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    monkeypatch.setattr(memory.Box, "update", lambda *_: None)
    ((_, error),) = engine.apply(box(room)).failed
    assert str(error) == f"{NEW} still bears the mark of {OLD}"


def test_without_an_entry_a_renamed_thing_is_in_the_way(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    planned = engine.plan(dataclasses.replace(box(room), moved={}))
    assert pending(planned)[NEW] == "blocked"
    assert planned.blocked[0].reason == "it was made for memory.box:a/x"


def test_a_renamed_setting_keeps_its_baseline(engine: Engine, room: Path) -> None:
    (room / "dials").write_text('{"heat": {"value": 3}}')
    engine.apply(wish(room, dials={"heat": 7}))
    ids = {ResourceId("memory.dial:heat"): ResourceId("memory.dial:warmth")}
    warm = renamed(wish(room, dials={"heat": 7}), ids)
    assert pending(engine.plan(warm)) == {"memory.dial:warmth": "update"}
    assert not engine.apply(warm).failed
    assert not engine.apply(warm, Request(mode="destroy")).failed
    assert things(room, "dials") == {"heat": {"value": 3}}


def test_a_renamed_thing_changes_in_the_same_act(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    (action,) = engine.plan(box(room, size=5)).pending
    assert [change.field for change in action.changes] == ["size"]
    assert not engine.apply(box(room, size=5)).failed
    assert (things(room)["x"]["size"], things(room)["x"]["mark"][1]) == (5, NEW)


def test_what_was_begun_under_its_old_id_converges_under_the_new_one(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    found = things(room)
    found["x"]["mark"][3] = False
    (room / "a").write_text(json.dumps(found))
    assert pending(engine.plan(box(room))) == {NEW: "create"}
    assert not engine.apply(box(room)).failed
    assert not engine.plan(box(room)).pending


def test_a_rename_that_would_change_the_things_own_name_is_blocked(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    paved = dataclasses.replace(
        wish(room, shelves={"a": {"y": 1}}), moved={OLD: ResourceId("memory.box:a/y")}
    )
    for request in (Request(), Request(only=("memory.box:*",))):
        planned = engine.plan(paved, request)
        assert pending(planned) == {"memory.box:a/y": "blocked"}
        assert planned.blocked[0].reason.startswith("it is memory.box:a/x, and its own name (x) would change")


def test_what_could_not_be_renamed_goes_with_the_site(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    paved = dataclasses.replace(
        wish(room, shelves={"a": {"y": 1}}), moved={OLD: ResourceId("memory.box:a/y")}
    )
    leaving = engine.plan(paved, Request(mode="destroy"))
    assert pending(leaving) == {OLD: "delete"}
    assert not engine.act(paved, leaving).failed
    assert things(room) == {}


def test_a_site_is_destroyed_before_its_rename_was_carried_out(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    leaving = engine.plan(box(room), Request(mode="destroy"))
    assert pending(leaving) == {NEW: "delete"}
    assert not engine.act(box(room), leaving).failed
    assert things(room) == {}


def test_two_things_do_not_become_one(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1, "y": 1}}))
    paved = dataclasses.replace(
        wish(room, shelves={"a": {"y": 1}}), moved={OLD: ResourceId("memory.box:a/y")}
    )
    (action,) = engine.plan(paved).blocked
    assert action.reason.startswith("memory.box:a/x stands beside it")


def test_a_kind_that_changes_nothing_in_place_says_that_it_takes_no_other_id(
    engine: Engine, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    monkeypatch.setattr(memory.Box, "calls", {})
    (action,) = engine.plan(box(room)).blocked
    assert action.reason.startswith("it is memory.box:a/x, and a memory.box takes no other id later")


@pytest.mark.parametrize(
    ("moved", "says"),
    [
        ({"memory.box:a/w": "memory.box:a/z"}, "moved: memory.box:a/w: this site has no memory.box:a/z"),
        ({"memory.box:a/x": "memory.box:a/y"}, "moved: memory.box:a/x: the site file still wishes for it"),
    ],
)
def test_an_entry_that_does_not_fit_the_site_is_bad_input(
    room: Path, moved: dict[str, str], says: str
) -> None:
    paved = wish(room, shelves={"a": {"x": 1, "y": 1}})
    with pytest.raises(BadInput, match=says):
        moves.carried(paved, moved)
