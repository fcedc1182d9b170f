"""What an update makes anew beside what differs: everybody who uses it is in the same plan."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from paver.driver import Endpoint, Ground, Paved, Secret, Writer, output, resource_id
from paver.runs.workbench import Engine, pending
from tests.support.memory import memory

SERIALS: Iterator[int] = itertools.count()
COIN = resource_id("memory.coin", "coin")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coin(memory.Box):  # type: ignore[misc]
    """Gets another label whenever it is made or changed."""

    kind: ClassVar[str] = "memory.coin"
    remade: ClassVar[frozenset[str]] = frozenset({"label"})

    label: Any = None

    def _put(self, world: Writer, *, complete: bool) -> None:
        label = f"serial {next(SERIALS)}"
        memory.Box._put(dataclasses.replace(self, label=label), world, complete=complete)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Purse(memory.Box):  # type: ignore[misc]
    """Has the label of a coin: its output, or its version as the sealed store has it."""

    kind: ClassVar[str] = "memory.purse"
    label: Any = None

    def _put(self, world: Writer, *, complete: bool) -> None:
        label = world.version(self.label) if isinstance(self.label, Secret) else self.label
        memory.Box._put(dataclasses.replace(self, label=label), world, complete=complete)


@pytest.fixture
def engine(tmp_path: Path, room: Path) -> Engine:
    def version(_: Secret) -> str | None:
        shelf = room / "shelf"
        found: str | None = (
            json.loads(shelf.read_text()).get("coin", {}).get("label") if shelf.exists() else None
        )
        return found

    return Engine(tmp_path, versions=version)


def wish(room: Path, label: Any, *, size: int) -> Paved:
    at: Endpoint[Any, Any] = Endpoint("shelf")
    coin = Coin(id=COIN, phase="boxes", at=at, name="coin", size=size)
    purse = Purse(
        id=resource_id("memory.purse", "purse"), phase="boxes", at=at, name="purse", size=1, label=label
    )
    return Paved(
        phases=("boxes",),
        outside=frozenset({"boxes"}),
        resources=(coin, purse),
        connectors={"shelf": memory.Shelf(str(room / "shelf"))},
        grounds=(Ground(Coin, at, "boxes"),),
    )


@pytest.mark.parametrize(
    "label", [output(COIN, "label", str), Secret("coin", COIN)], ids=["output", "secret"]
)
def test_who_uses_what_an_update_makes_anew_is_changed_by_the_same_plan(
    engine: Engine, room: Path, label: Any
) -> None:
    assert not engine.apply(wish(room, label, size=1)).failed
    assert pending(engine.plan(wish(room, label, size=1))) == {}
    larger = wish(room, label, size=2)
    planned = engine.plan(larger)
    assert pending(planned) == {"memory.coin:coin": "update", "memory.purse:purse": "update"}
    (change,) = next(action for action in planned.actions if action.kind == "memory.purse").changes
    assert change.unknown, "its next label is nobody's to know yet"
    assert not engine.act(larger, planned).failed
    assert pending(engine.plan(larger)) == {}
    things = json.loads((room / "shelf").read_text())
    assert things["purse"]["label"] == things["coin"]["label"]
