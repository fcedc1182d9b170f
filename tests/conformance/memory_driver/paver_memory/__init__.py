"""A driver whose IaaS is a JSON file: shelves with boxes and jars, and dials that have a baseline.

All that it imports of paver is `paver.driver`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from paver.driver import (
    Connector,
    Diagnostic,
    Endpoint,
    Facts,
    Gate,
    Ground,
    Mark,
    Paved,
    Reader,
    Resource,
    ResourceId,
    Unobservable,
    Verb,
    Writer,
    output,
    resource_id,
)


class Room:
    """The IaaS: one file a shelf, read anew at every question, replaced as a whole."""

    def __init__(self, path: Path, gate: Gate | None = None) -> None:
        self._path = path
        self._gate = gate

    def things(self) -> dict[str, Any]:
        if not self._path.parent.exists():
            raise Unobservable(f"the shelf {self._path.name} does not answer")
        if not self._path.exists():
            return {}
        found: dict[str, Any] = json.loads(self._path.read_text())
        return found

    def write(self, call: str, name: str, thing: Mapping[str, Any] | None) -> None:
        if self._gate is None:
            raise AssertionError("a reading face was asked to write")
        self._gate(call, name)
        things = self.things()
        if thing is None:
            things.pop(name, None)
        else:
            things[name] = thing
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(things, sort_keys=True))
        draft.replace(self._path)
        with (self._path.parent / "trace").open("a") as trace:
            trace.write(f"{call} {self._path.name} {name}\n")


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Connects a shelf; it is its own connection."""

    path: str

    def connect(self, context: Any) -> Shelf:
        del context
        return self

    def reader(self) -> Room:
        return Room(Path(self.path))

    def writer(self, gate: Gate) -> Room:
        return Room(Path(self.path), gate)

    def forget(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""


def _mark(thing: Mapping[str, Any]) -> Mark | None:
    found = thing.get("mark")
    return None if found is None else Mark(found[0], ResourceId(found[1]), found[2], found[3])


def _marked(mark: Mark) -> list[Any]:
    return [mark.site, mark.id, mark.action, mark.complete]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxFacts(Facts):
    """A box."""

    size: int
    colour: str
    label: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box(Resource[BoxFacts]):
    """An object; its colour cannot change in place."""

    kind: ClassVar[str] = "memory.box"
    calls: ClassVar = {
        Verb.CREATE: frozenset({"put"}),
        Verb.UPDATE: frozenset({"put"}),
        Verb.DELETE: frozenset({"remove"}),
        Verb.ADOPT: frozenset({"put"}),
    }
    replaces: ClassVar[frozenset[str]] = frozenset({"colour"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    size: int
    colour: str = "grey"
    label: str | None = None

    def read(self, world: Reader) -> BoxFacts | None:
        thing = world.session(self.at).things().get(self.name)
        return None if thing is None else _box(self.name, thing)

    def create(self, world: Writer) -> None:
        for complete in (False, True):
            self._put(world, complete=complete)

    def update(self, world: Writer, facts: BoxFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self._put(world, complete=True)

    def _put(self, world: Writer, *, complete: bool) -> None:
        mark = _marked(world.mark(complete=complete))
        thing = {"size": self.size, "colour": self.colour, "label": self.label, "mark": mark}
        world.writing(self.at).write("put", self.name, thing)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[BoxFacts]:
        for name, thing in world.session(at).things().items():
            if "size" in thing and thing.get("mark"):
                yield _box(name, thing)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: BoxFacts) -> None:
        world.writing(at).write("remove", facts.address["name"], None)


def _box(name: str, thing: Mapping[str, Any]) -> BoxFacts:
    return BoxFacts(
        address={"name": name},
        mark=_mark(thing),
        size=thing["size"],
        colour=thing["colour"],
        label=thing.get("label"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DialFacts(Facts):
    """A dial."""

    value: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dial(Resource[DialFacts]):
    """A setting: it is always there, and goes back to its baseline."""

    kind: ClassVar[str] = "memory.dial"
    calls: ClassVar = {Verb.UPDATE: frozenset({"turn"}), Verb.DELETE: frozenset({"turn"})}
    setting: ClassVar[bool] = True
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    value: int

    def read(self, world: Reader) -> DialFacts | None:
        return _dial(self.name, world.session(self.at).things().get(self.name, {"value": 0}))

    def update(self, world: Writer, facts: DialFacts, fields: frozenset[str]) -> None:
        del fields
        room = world.writing(self.at)
        before = room.things().get(self.name, {"value": facts.value})
        baseline = before.get("baseline", before["value"])
        mark = _marked(world.mark(complete=True))
        room.write("turn", self.name, {"value": self.value, "baseline": baseline, "mark": mark})

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[DialFacts]:
        for name, thing in world.session(at).things().items():
            if "value" in thing and thing.get("mark"):
                yield _dial(name, thing)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: DialFacts) -> None:
        name, room = facts.address["name"], world.writing(at)
        baseline = room.things()[name]["baseline"]
        room.write("turn", name, {"value": baseline} if baseline else None)


def _dial(name: str, thing: Mapping[str, Any]) -> DialFacts:
    return DialFacts(address={"name": name}, mark=_mark(thing), value=thing["value"])


class Settings(BaseModel):
    """What stands under `iaas`: shelves with boxes (name to size) and dials (name to value)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    shelves: dict[str, dict[str, int]] = {}
    dials: dict[str, int] = {}
    colour: str = "grey"


class MemoryDriver:
    """The driver."""

    api = 1
    name = "memory"
    version = "1"
    phases = ("shelves", "boxes")
    settings = Settings
    kinds = (Dial, Box)

    def check(self, site: Any) -> Iterable[Diagnostic]:
        """Finds nothing."""
        del site
        return ()

    def pave(self, site: Any) -> Paved:
        """Returns dials first, then the boxes of each shelf, each labelled with the one before."""
        return wish(site.iaas)


def wish(settings: Settings) -> Paved:
    """Returns the wish for some settings: the suite needs no site file."""
    dials = Endpoint[Room, Room]("dials")
    resources: list[Resource[Any]] = [
        Dial(id=resource_id("memory.dial", name), phase="shelves", at=dials, name=name, value=value)
        for name, value in settings.dials.items()
    ]
    connectors: dict[str, Connector] = {"dials": Shelf(f"{settings.folder}/dials")}
    grounds = [Ground(Dial, dials, "shelves")]
    for shelf, boxes in settings.shelves.items():
        at = Endpoint[Room, Room](f"shelf:{shelf}")
        connectors[at.name] = Shelf(f"{settings.folder}/{shelf}")
        grounds.append(Ground(Box, at, "boxes"))
        before: ResourceId | None = None
        for name, size in boxes.items():
            id_ = resource_id("memory.box", f"{shelf}/{name}")
            label = output(before, "colour", str) if before is not None else None
            box = Box(
                id=id_,
                phase="boxes",
                at=at,
                after=frozenset(r.id for r in resources if r.phase == "shelves"),
                name=name,
                size=size,
                colour=settings.colour,
                label=label,
            )
            resources.append(box)
            before = id_
    return Paved(
        phases=("shelves", "boxes"),
        outside=frozenset({"shelves", "boxes"}),
        resources=tuple(resources),
        connectors=connectors,
        grounds=tuple(grounds),
    )


DRIVER = MemoryDriver()
