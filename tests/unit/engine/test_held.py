"""A plan file says what it does: one that was edited, its ids fitted, is refused or does what the honest one does."""

from __future__ import annotations

import collections
import copy
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paver.driver import Opaque, Paved, ResourceId, Verb, output
from paver.engine.diff import Change
from paver.engine.plan import Plan, loads
from paver.engine.planner import Request
from paver.errors import BadInput, Refused
from paver.runs.workbench import Engine
from paver.signing import canonical
from tests.support.memory import everything, killing, memory

SITE: dict[str, Any] = {
    "shelves": {"a": {"x": 1, "y": 1, "old": 1}, "b": {"in": 1, "w": 1}},
    "dials": {"p": 1, "q": 2},
}
OTHER: dict[str, Any] = {
    "shelves": {"a": {"x": 1, "y": 4, "new": 1}, "b": {"in": 1, "w": 1}},
    "dials": {"p": 3},
}
RED = {**SITE, "colour": "red"}
PROTECTED = ("memory.box:b/in",)
CASES = {
    "made": ({}, SITE, Request()),
    "changed": (SITE, OTHER, Request()),
    "made anew": (SITE, RED, Request(allow=PROTECTED)),
    "a part": (SITE, OTHER, Request(only=("memory.dial:*",))),
    "taken away": (SITE, SITE, Request(mode="destroy", allow=PROTECTED)),
    "a part taken away": (SITE, SITE, Request(mode="destroy", only=("memory.box:b/*",), allow=PROTECTED)),
}
ELSEWHERE = {"site", "paver", "driver", "offline", "schema"}
"""What a command holds a plan to by itself."""


@pytest.fixture(autouse=True, scope="module")
def _telling() -> Iterator[None]:
    """Boxes say what they are, and are made by a tool; what is in one goes along with it; dials tell their baseline."""
    delete, box = memory.Box.delete.__func__, memory._box

    def with_all_in_it(cls: Any, world: Any, at: Any, facts: Any) -> None:
        delete(cls, world, at, facts)
        if facts.address["name"] == "x":
            Path(world.connections.get("shelf:b").path).unlink(missing_ok=True)

    def labelled(name: str, thing: Any) -> Any:
        return box(name, {**thing, "label": thing.get("label") or f"box {name}"})

    def opaque(self: Any, verb: Verb) -> Opaque:
        return Opaque("tool", (verb.value, self.name), ("a box",), (), self.label)

    def former(_: Any, world: Any, at: Any, facts: Any) -> dict[str, Any]:
        return {"value": world.session(at).things()[facts.address["name"]].get("baseline", 0)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_box", labelled)
        patch.setattr(memory.Box, "says", lambda self: f"size {self.size}, label {self.label}")
        patch.setattr(memory.Box, "estimate", lambda self: 10 + self.size)
        patch.setattr(memory.Box, "opaque", opaque)
        patch.setattr(memory.Box, "foresees", lambda self, _, facts: "" if facts else f"{self.name} is new")
        patch.setattr(memory.Box, "dies_with_parent", True)
        patch.setattr(memory.Box, "delete", classmethod(with_all_in_it))
        patch.setattr(memory.Dial, "former", classmethod(former))
        yield


def wish(room: Path, values: dict[str, Any]) -> Paved:
    """Returns the wish for a room; its box `in` lies in box x, and is protected, and w has the label of box x."""
    shelves = {"a": {}, "b": {}, **values.get("shelves", {})}
    paved: Paved = memory.wish(memory.Settings(folder=str(room), **{**values, "shelves": shelves}))
    inner, outer = ResourceId("memory.box:b/in"), ResourceId("memory.box:a/x")
    own: dict[str, dict[str, Any]] = {
        inner: {"within": outer, "protected": True},
        "memory.box:b/w": {"label": output(outer, "label", str)},
    }
    resources = tuple(dataclasses.replace(one, **own.get(one.id, {})) for one in paved.resources)
    return dataclasses.replace(paved, resources=resources)


@dataclasses.dataclass
class Life:
    """A room in which one wish stands, and the plan for another."""

    room: Path
    engine: Engine
    after: Paved
    plan: Plan

    def act(self, plan: Plan, kill: int | None = None) -> Any:
        """Carries out a plan as the command does: what it is about is read anew, and what is protected is named."""
        wished = [action.resource for action in self.plan.actions if action.wish is not None]
        only = tuple(wished) if self.plan.selection else ()
        self.engine.plan(self.after, Request(mode=self.plan.mode, only=only, allow=self.plan.allow))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.Room, "write", killing(kill))
            return self.engine.act(self.after, plan, PROTECTED)

    def copied(self, folder: Path, case: str) -> Life:
        """Returns the same in a room of its own."""
        shutil.copytree(self.room, folder / "room")
        return Life(folder / "room", Engine(folder), wish(folder / "room", CASES[case][1]), self.plan)

    def writes(self) -> collections.Counter[str]:
        trace = self.room / "trace"
        return collections.Counter(trace.read_text().splitlines() if trace.exists() else ())


def life(folder: Path, case: str) -> Life:
    before, after, request = CASES[case]
    room, engine = folder / "room", Engine(folder)
    room.mkdir()
    assert not engine.apply(wish(room, before)).failed
    (room / "trace").unlink(missing_ok=True)
    plan = engine.plan(wish(room, after), request)
    assert not plan.blocked
    assert plan.pending
    return Life(room, engine, wish(room, after), plan)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yields each value of a document, and where it is."""
    if path:
        yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def others(value: Any, texts: list[str]) -> Iterator[Any]:
    """Yields what might stand in the place of a value."""
    yield from (None, True, False, 0, 1, 2, 99, "", [], {})
    yield from texts
    yield from ([text] for text in texts)
    if isinstance(value, list):
        yield from (value[:-1], value[1:], value[::-1], value * 2)
        yield from ([*value, text] for text in texts)
    if isinstance(value, dict):
        yield from ({name: item for name, item in value.items() if name != left} for left in value)
        yield {**value, "more": 1}


def an_edit(draw: Callable[[st.SearchStrategy[Any]], Any], plan: Plan) -> tuple[tuple[Any, ...], Any]:
    """Draws a place of a plan, and another value that might be put there."""
    document = plan.document()
    texts = sorted({value for _, value in places(document) if isinstance(value, str) and len(value) < 64})
    path, value = draw(
        st.sampled_from(
            [one for one in places(document) if one[0][0] not in ELSEWHERE and one[0][-1] != "id"]
        )
    )
    is_there = canonical.dumps(value)
    return path, draw(
        st.sampled_from([new for new in others(value, texts) if canonical.dumps(new) != is_there])
    )


def edited(plan: Plan, path: tuple[Any, ...], new: Any) -> bytes:
    """Returns a plan's file with another value at a place, and ids that fit."""
    document: Any = copy.deepcopy(plan.document())
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = new
    if isinstance(document["actions"], list):
        for action in document["actions"]:
            if isinstance(action, dict):
                action["id"] = canonical.digest({key: item for key, item in action.items() if key != "id"})
    return canonical.dumps(document) + b"\n"


def is_refused_or_does_the_same(
    folder: Path, case: str, edit: tuple[tuple[Any, ...], Any], kill: int | None
) -> bool:
    """Asserts it of one edit, after a run of the honest plan that was killed, if `kill` says so; returns whether it was.

    What it may do less is to leave what nobody wishes for.
    """
    honest = life(folder, case)
    if kill is not None:
        honest.act(honest.plan, kill)
    sly = honest.copied(folder / "sly", case)
    assert not honest.act(honest.plan).failed
    try:
        outcome = sly.act(loads(edited(sly.plan, *edit)))
        wrong = [error for _, error in outcome.failed]
    except (BadInput, Refused) as error:
        wrong = [error]
    assert all(isinstance(error, BadInput | Refused) for error in wrong), wrong
    assert sly.writes() <= honest.writes(), edit
    if not wrong:
        assert wished(sly) == wished(honest), edit
        assert not outcome.left, edit
    return bool(wrong)


def wished(one: Life) -> dict[str, Any]:
    """Returns what stands in a room and is the site's to wish for."""
    orphans = {"old", "q"} if one.plan.mode == "apply" and not one.plan.selection else set()
    found = {
        shelf: {name: thing for name, thing in things.items() if name not in orphans}
        for shelf, things in everything(one.room).items()
    }
    return {shelf: things for shelf, things in found.items() if things}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), case=st.sampled_from(sorted(CASES)), kill=st.none() | st.integers(0, 6))
def test_any_single_edit_of_a_plan_is_refused_or_does_what_the_honest_plan_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, case: str, kill: int | None
) -> None:
    folder = tmp_path_factory.mktemp("edit")
    (folder / "planned").mkdir()
    edit = an_edit(data.draw, life(folder / "planned", case).plan)
    is_refused_or_does_the_same(folder, case, edit, kill)


@pytest.mark.parametrize("case", CASES)
def test_the_honest_plan_goes_on_to_its_end_wherever_it_was_killed(tmp_path: Path, case: str) -> None:
    kill, over = 0, False
    ends = []
    while not over:
        folder = tmp_path / str(kill)
        folder.mkdir()
        one = life(folder, case)
        over = not one.act(one.plan, kill).failed
        again = one.act(loads(one.plan.dumps()))
        assert not again.failed
        assert not again.left
        ends.append(everything(one.room))
        kill += 1
    assert kill > 1
    assert all(end == ends[-1] for end in ends)


def of(plan: Plan, id_: str, **values: Any) -> Plan:
    """Returns a plan whose action for `id_` says something else."""
    actions = (dataclasses.replace(one, **values) if one.resource == id_ else one for one in plan.actions)
    return dataclasses.replace(plan, actions=tuple(actions))


def only(plan: Plan, *left: str) -> Plan:
    return dataclasses.replace(plan, actions=tuple(one for one in plan.actions if one.resource not in left))


X, Y, IN, OLD, P = "memory.box:a/x", "memory.box:a/y", "memory.box:b/in", "memory.box:a/old", "memory.dial:p"
BLUE = Change("label", None, "blue")
SLY: dict[str, tuple[str, Callable[[Plan], Plan], str]] = {
    "another change is shown": ("changed", lambda plan: of(plan, Y, changes=(BLUE,)), f"changes for {Y}"),
    "no change is shown": ("changed", lambda plan: of(plan, Y, changes=()), f"changes for {Y}"),
    "a change is not known": (
        "changed",
        lambda plan: of(plan, P, changes=(Change("value", 1, {"unknown": "later"}, unknown=True),)),
        f"changes for {P}",
    ),
    "another promise": (
        "made",
        lambda plan: of(plan, Y, planned={**plan.actions[3].planned, "label": "blue"}),
        f"{Y}: label is not what the plan promised",
    ),
    "more is promised": (
        "made",
        lambda plan: of(plan, Y, planned={**plan.actions[3].planned, "lid": True}),
        f"{Y}: lid is not what the plan promised",
    ),
    "another reason": ("made", lambda plan: of(plan, X, reason="nothing much"), f"reason for {X}"),
    "other words": ("made", lambda plan: of(plan, X, says="size 0"), f"says for {X}"),
    "another tool": (
        "made",
        lambda plan: of(plan, X, opaque={**(plan.actions[2].opaque or {}), "argv": ["true"]}),
        f"opaque for {X}",
    ),
    "another tool, told of as not known": (
        "made",
        lambda plan: of(plan, X, opaque={**(plan.actions[2].opaque or {}), "argv": [{"unknown": ""}]}),
        f"opaque for {X}",
    ),
    "what a tool is told, as not known": (
        "made",
        lambda plan: of(plan, X, opaque={**(plan.actions[2].opaque or {}), "inputs": {"unknown": ""}}),
        f"opaque for {X}",
    ),
    "another baseline": (
        "taken away",
        lambda plan: of(plan, P, changes=(Change("value", 1, 7),)),
        f"changes for {P}",
    ),
    "an orphan's baseline": (
        "changed",
        lambda plan: of(plan, "memory.dial:q", changes=()),
        "changes for memory.dial:q",
    ),
    "done at once": ("made", lambda plan: of(plan, X, estimate=0), f"estimate for {X}"),
    "replaced, not changed": (
        "changed",
        lambda plan: of(plan, Y, verb=Verb.REPLACE, calls=("put", "remove")),
        f"verb for {Y}",
    ),
    "kept, not changed": (
        "a part",
        lambda plan: of(
            plan, P, verb=Verb.KEEP, calls=(), changes=(), planned={}, says="", opaque=None, estimate=0
        ),
        f"verb for {P}",
    ),
    "goes along with nothing": (
        "changed",
        lambda plan: of(plan, OLD, implied=True, calls=()),
        f"implied for {OLD}",
    ),
    "was not asked": (
        "made",
        lambda plan: of(plan, P, asked=False),
        f"asked for {P}",
    ),
    "waits for nothing": ("made", lambda plan: of(plan, IN, needs=()), f"needs for {IN}"),
    "an orphan waits for nothing": ("changed", lambda plan: of(plan, OLD, needs=()), f"needs for {OLD}"),
    "loses nothing": (
        "made anew",
        lambda plan: dataclasses.replace(of(plan, X, lost=()), allow=()),
        f"lost for {X}",
    ),
    "loses more": ("made anew", lambda plan: of(plan, X, lost=(Y, IN)), f"lost for {X}"),
    "an orphan loses something": ("changed", lambda plan: of(plan, OLD, lost=(X,)), f"lost for {OLD}"),
    "goes by a wish": ("taken away", lambda plan: of(plan, P, wish="0" * 64), f"wish for {P}"),
    "has more writers": (
        "made",
        lambda plan: dataclasses.replace(plan, slots={"shelf:a": 9}),
        "slots are not the site's",
    ),
    "has no such phase": (
        "made",
        lambda plan: dataclasses.replace(plan, phases=("shelves",)),
        "phases are not the site's",
    ),
    "in another order": (
        "made",
        lambda plan: dataclasses.replace(plan, actions=plan.actions[::-1]),
        "actions in another order",
    ),
    "leaves out what is made": ("made", lambda plan: only(plan, Y), f"leaves out {Y}"),
    "leaves out what goes": ("taken away", lambda plan: only(plan, P), f"leaves out {P}"),
    "deletes by its wish": (
        "changed",
        lambda plan: of(plan, P, verb=Verb.DELETE, planned={}, changes=()),
        f"the plan deletes {P}",
    ),
    "makes what is to go": (
        "made",
        lambda plan: dataclasses.replace(plan, mode="destroy"),
        "verb for memory.dial:p",
    ),
    "more than the part": (
        "changed",
        lambda plan: dataclasses.replace(plan, selection=("memory.dial:*",)),
        "resource for memory.box:a/x",
    ),
    "orphans of a part": (
        "changed",
        lambda plan: dataclasses.replace(plan, selection=("*",)),
        "is of a part of the site",
    ),
}


@pytest.mark.parametrize("sly", SLY)
def test_a_plan_that_shows_less_or_other_than_it_does_is_refused_by_what_is_wrong(
    tmp_path: Path, sly: str
) -> None:
    case, edit, says = SLY[sly]
    one = life(tmp_path, case)
    before = everything(one.room)
    try:
        ((_, error),) = one.act(loads(edit(one.plan).dumps())).failed
    except Refused as refused:
        error = refused
        assert not one.writes()
        assert everything(one.room) == before
    assert isinstance(error, Refused)
    assert says in error.what


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda plan: dataclasses.replace(plan, mode="tidy"), "the mode tidy"),
        (lambda plan: dataclasses.replace(plan, actions=plan.actions * 2), "two actions for"),
        (lambda plan: dataclasses.replace(plan, allow=(1,)), "a name is no text"),
        (lambda plan: dataclasses.replace(plan, slots=[]), "the slots are no object"),
    ],
)
def test_what_has_not_the_shape_of_a_plan_is_not_read(
    tmp_path: Path, edit: Callable[[Plan], Plan], says: str
) -> None:
    document = canonical.dumps(
        {**edit(life(tmp_path, "made").plan).document(), **({"slots": []} if "slots" in says else {})}
    )
    with pytest.raises(BadInput) as caught:
        loads(document)
    assert says in caught.value.why
