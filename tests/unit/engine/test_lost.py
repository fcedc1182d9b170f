"""What does not answer is gone only with what it stood in, where that was taken away by the plan."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Paved
from paver.errors import Unobservable
from paver.runs.workbench import pending
from tests.support.memory import memory
from tests.support.shelves import made_to_leave, things, wish


def rack(room: Path) -> Paved:
    """A box that is a shelf itself: what stands in it can be asked only while it stands."""
    paved = wish(room, shelves={"a": {"rack": 1}, "b": {"x": 1}})
    inside = dataclasses.replace(paved.resources[1].at, provider=paved.resources[0].id)
    return dataclasses.replace(
        paved,
        resources=(paved.resources[0], dataclasses.replace(paved.resources[1], at=inside)),
        connectors={**paved.connectors, inside.name: memory.Shelf(f"{room}/rack/b")},
    )


@pytest.mark.parametrize("gone", [True, False])
def test_what_does_not_answer_is_gone_only_with_what_the_plan_took_away_before_it_was_killed(
    tmp_path: Path, room: Path, *, gone: bool
) -> None:
    (room / "rack").mkdir()
    paved = rack(room)
    engine, leaving = made_to_leave(tmp_path, paved)
    assert len(pending(leaving)) == 2
    shutil.rmtree(room / "rack")
    if gone:
        (room / "a").write_text("{}")
    outcome = engine.act(paved, leaving)
    if gone:
        assert not outcome.failed
        assert not outcome.left
    else:
        ((id_, error),) = outcome.failed
        assert id_ == "memory.box:b/x"
        assert isinstance(error, Unobservable)
        assert "rack" in things(room, "a")


def test_what_does_not_answer_is_gone_with_what_goes_still_for_the_run_that_was_killed(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (room / "rack").mkdir()
    paved = rack(room)
    engine, leaving = made_to_leave(tmp_path, paved)
    shutil.rmtree(room / "rack")

    def settle(shelf: Any, stopping: Any, tell: Any) -> None:
        del stopping, tell
        if shelf.path.endswith("/a"):
            (room / "a").write_text("{}")

    monkeypatch.setattr(memory.Shelf, "settle", settle, raising=False)
    outcome = engine.act(paved, leaving)
    assert (outcome.failed, outcome.left) == ((), ())


def test_what_is_in_a_thing_that_is_gone_is_dialled_in_vain_once(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (room / "rack").mkdir()
    base = wish(room, shelves={"a": {"rack": 1}, "b": {"x": 1, "y": 1, "z": 1}})
    holder, *inner = base.resources
    within = [dataclasses.replace(one, at=dataclasses.replace(one.at, provider=holder.id)) for one in inner]
    connectors = {**base.connectors, inner[0].at.name: memory.Shelf(f"{room}/rack/b")}
    paved = dataclasses.replace(base, resources=(holder, *within), connectors=connectors)
    engine, leaving = made_to_leave(tmp_path, paved)
    shutil.rmtree(room / "rack")
    (room / "a").write_text("{}")
    dialled: list[str] = []

    def connect(shelf: Any, context: Any) -> Any:
        del context
        dialled.append(shelf.path)
        if not Path(shelf.path).parent.exists():
            raise Unobservable(f"{shelf.path} does not answer")
        return shelf

    monkeypatch.setattr(memory.Shelf, "connect", connect)
    outcome = engine.act(paved, leaving)
    assert (outcome.failed, outcome.left) == ((), ())
    assert dialled == [f"{room}/rack/b", f"{room}/a"]


def test_what_lies_two_deep_in_what_the_plan_took_away_is_gone_as_well(tmp_path: Path, room: Path) -> None:
    """Whoever asks what is between them gets no answer either."""
    paved = wish(room, shelves={"b": {"box": 1}, "c": {"x": 1}, "m": {"rack": 1}})
    box, inner, rack = sorted(paved.resources, key=lambda one: "bcm".index(one.at.name[-1]))
    box = dataclasses.replace(box, at=dataclasses.replace(box.at, provider=rack.id))
    inner = dataclasses.replace(inner, at=dataclasses.replace(inner.at, provider=box.id))
    shelves = {box.at.name: f"{room}/rack/b", inner.at.name: f"{room}/rack/c"}
    connectors = {**paved.connectors, **{name: memory.Shelf(path) for name, path in shelves.items()}}
    paved = dataclasses.replace(paved, resources=(rack, box, inner), connectors=connectors)
    (room / "rack").mkdir()
    engine, leaving = made_to_leave(tmp_path, paved)
    assert len(pending(leaving)) == 3
    shutil.rmtree(room / "rack")
    (room / "m").write_text("{}")
    outcome = engine.act(paved, leaving)
    assert not outcome.failed
    assert not outcome.left
