"""What stands on a kept thing waits for what that stands on; what nobody wishes for goes after tools that write by themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Opaque, Paved, ResourceId
from paver.engine.executor import Outcome
from paver.engine.planner import Request
from paver.errors import PaverError
from paver.runs.workbench import Engine, pending
from tests.support.memory import memory
from tests.support.shelves import wish


def pile(room: Path, value: int) -> Paved:
    """A proof of a bucket that stays as it is, which stands on a store."""
    paved = wish(room, shelves={"a": {"store": value}, "b": {"bucket": 1}, "c": {"proof": value}})
    boxes = {one.id.rpartition("/")[2]: one for one in paved.resources}
    bucket = dataclasses.replace(boxes["bucket"], after=frozenset({boxes["store"].id}))
    proof = dataclasses.replace(boxes["proof"], after=frozenset({bucket.id}))
    return dataclasses.replace(paved, resources=(boxes["store"], bucket, proof))


@pytest.mark.parametrize(
    "request_", [Request(), Request(only=("memory.box:a/*", "memory.box:c/*"))], ids=["all of it", "a part"]
)
def test_what_stands_on_a_kept_thing_waits_for_what_that_stands_on(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    """As a proof in a bucket that stays, while the store below it is restarted with another password."""
    engine = Engine(tmp_path)
    engine.apply(pile(room, 1))
    planned = engine.plan(pile(room, 2), request_)
    assert pending(planned) == {"memory.box:a/store": "update", "memory.box:c/proof": "update"}

    def broken(*_: Any) -> None:
        raise PaverError("the shelf is broken")

    with monkeypatch.context() as patch:
        patch.setattr(memory.Room, "write", broken)
        outcome = engine.act(pile(room, 2), planned)
    assert [id_ for id_, _ in outcome.failed] == ["memory.box:a/store"]
    assert outcome.left == ("memory.box:c/proof",)
    assert not engine.act(pile(room, 2), planned).failed


def test_what_stands_on_a_kept_thing_waits_for_the_other_station_as_well(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    engine.apply(pile(room, 1))
    planned = engine.plan(pile(room, 2))
    store = ResourceId("memory.box:a/store")
    outcome = engine.act(pile(room, 2), planned, mine=lambda action: action.resource != store)
    assert outcome == Outcome(done=frozenset(), acted=frozenset(), failed=(), left=())
    outcome = engine.act(pile(room, 2), planned, mine=lambda action: action.resource == store)
    assert outcome.acted == {store}


def test_what_nobody_wishes_for_goes_after_tools_that_write_by_themselves_wherever_they_do(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool may be moving away from it; and what goes beside it would pass for an act of the tool's."""
    engine = Engine(tmp_path)
    engine.apply(wish(room, shelves={"a": {"cluster": 1}}))
    monkeypatch.setattr(memory.Box, "opaque", lambda *_: Opaque("tool", ("run",), ("a box",), ("tool",)))
    planned = engine.plan(wish(room, shelves={"a": {}, "b": {"tool": 1}}))
    needs = {action.resource: set(action.needs) for action in planned.actions}
    assert pending(planned) == {"memory.box:a/cluster": "delete", "memory.box:b/tool": "create"}
    assert needs[ResourceId("memory.box:a/cluster")] == {"memory.box:b/tool"}
