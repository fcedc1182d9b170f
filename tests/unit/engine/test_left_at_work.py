"""What a killed run left at work is waited for, before anybody looks or acts there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from paver.errors import Interrupted, PaverError
from paver.runs.workbench import Engine
from tests.support.memory import memory
from tests.support.shelves import journal_of, made_to_leave, wish


def test_what_a_killed_run_left_at_work_is_waited_for_before_anybody_looks(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}, "b": {"x": 1}})
    planned = engine.plan(paved)
    whole = tmp_path / "whole"
    whole.mkdir()
    Engine(whole).apply(wish(whole, shelves={"a": {"x": 1}}))

    def settle(shelf: Any, stopping: Any, tell: Any) -> None:
        assert not stopping()
        if shelf.path.endswith("/a"):
            tell("a box which was begun before goes on")
            shutil.copy(whole / "a", room / "a")

    monkeypatch.setattr(memory.Shelf, "settle", settle, raising=False)
    outcome = engine.act(paved, planned)
    assert outcome.acted == {"memory.box:b/x"}
    events = [(line["event"], line.get("resource") or line.get("endpoint")) for line in journal_of(tmp_path)]
    assert events.index(("retry", "shelf:a")) < events.index(("skipped", "memory.box:a/x"))
    assert [one.what for one in engine.events if one.action.resource == "memory.box:a/x"] == [
        "doing",
        "skipped",
    ]


def test_what_goes_still_for_a_killed_run_is_not_asked_to_go_again(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    engine, planned = made_to_leave(tmp_path, paved)

    def settle(shelf: Any, stopping: Any, tell: Any) -> None:
        assert not stopping()
        tell("the removal of a box, which was begun before, goes on")
        Path(shelf.path).write_text("{}")

    monkeypatch.setattr(memory.Shelf, "settle", settle, raising=False)
    before = {*tmp_path.glob("journal-*")}
    outcome = engine.act(paved, planned, allow=("*",))
    assert (outcome.acted, outcome.failed, outcome.left) == (frozenset(), (), ())
    assert [line["event"] for line in journal_of(tmp_path, before)] == ["retry", "skipped"]
    assert "remove a x" not in (room / "trace").read_text()


def test_whoever_stops_while_a_killed_runs_work_is_waited_for_ends_the_waiting(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)

    def settle(_: Any, stopping: Any, tell: Any) -> None:
        tell("a box which was begun before goes on")
        engine.stop.set()
        if stopping():
            raise Interrupted("stopped waiting")

    monkeypatch.setattr(memory.Shelf, "settle", settle, raising=False)
    outcome = engine.apply(wish(room, shelves={"a": {"x": 1, "y": 1}}))
    assert [(id_, type(error)) for id_, error in outcome.failed] == [("memory.box:a/x", Interrupted)]
    assert outcome.left == ("memory.box:a/y",)
    assert [line["event"] for line in journal_of(tmp_path)] == ["retry", "interrupted"]
    assert not (room / "a").exists()


def test_what_does_not_come_to_its_end_fails_the_action_that_would_meet_it(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(*_: Any) -> None:
        raise PaverError("it does not end")

    monkeypatch.setattr(memory.Shelf, "settle", settle, raising=False)
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    outcome = engine.apply(paved)
    assert [(id_, str(error)) for id_, error in outcome.failed] == [("memory.box:a/x", "it does not end")]
    assert journal_of(tmp_path)[-1]["event"] == "failed"
    assert not (room / "a").exists()
