"""What a plan says of each state of the world."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from paver.driver import Paved, ResourceId
from paver.engine import leave
from paver.engine.graph import build
from paver.engine.planner import Request
from paver.errors import BadInput, Refused, Unobservable
from paver.runs.workbench import Engine, pending
from tests.support.memory import memory
from tests.support.shelves import wish


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def put(room: Path, shelf: str, name: str, **thing: Any) -> None:
    path = room / shelf
    things = json.loads(path.read_text()) if path.exists() else {}
    things[name] = thing
    path.write_text(json.dumps(things))


def test_what_is_absent_is_created(engine: Engine, room: Path) -> None:
    assert pending(engine.plan(wish(room, shelves={"a": {"x": 1}}))) == {"memory.box:a/x": "create"}


def test_a_foreign_thing_of_the_same_name_blocks(engine: Engine, room: Path) -> None:
    put(room, "a", "x", size=1, colour="grey", label=None)
    planned = engine.plan(wish(room, shelves={"a": {"x": 1}}))
    assert pending(planned) == {"memory.box:a/x": "blocked"}
    assert planned.blocked[0].reason == "a foreign thing of the same name stands there"


def test_a_thing_of_another_site_blocks(engine: Engine, room: Path) -> None:
    mark = ["other", "memory.box:a/x", "", True]
    put(room, "a", "x", size=1, colour="grey", label=None, mark=mark)
    assert (
        engine.plan(wish(room, shelves={"a": {"x": 1}})).blocked[0].reason == "it belongs to the site other"
    )


def test_a_foreign_thing_that_the_site_adopts_is_adopted(engine: Engine, room: Path) -> None:
    put(room, "a", "x", size=5, colour="grey", label=None)
    paved = wish(room, shelves={"a": {"x": 1}})
    adopting = dataclasses.replace(
        paved, resources=tuple(dataclasses.replace(r, adopt=True) for r in paved.resources)
    )
    assert pending(engine.plan(adopting)) == {"memory.box:a/x": "adopt"}
    assert not engine.apply(adopting).failed
    assert not engine.plan(adopting).pending


def test_a_foreign_thing_that_would_have_to_be_made_anew_is_not_adopted(engine: Engine, room: Path) -> None:
    put(room, "a", "x", size=5, colour="red", label=None)
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(
        dataclasses.replace(
            paved, resources=tuple(dataclasses.replace(r, adopt=True) for r in paved.resources)
        )
    )
    assert [action.reason for action in planned.blocked] == [
        "it cannot be adopted: colour cannot change in place"
    ]


def test_what_was_begun_and_not_completed_is_created_again(engine: Engine, room: Path) -> None:
    mark = ["test", "memory.box:a/x", "", False]
    put(room, "a", "x", size=1, colour="grey", label=None, mark=mark)
    paved = wish(room, shelves={"a": {"x": 1}})
    assert pending(engine.plan(paved)) == {"memory.box:a/x": "create"}
    assert not engine.apply(paved).failed


def test_a_field_that_cannot_change_in_place_replaces(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    planned = engine.plan(wish(room, shelves={"a": {"x": 1}}, colour="red"))
    assert pending(planned) == {"memory.box:a/x": "replace"}
    assert not engine.act(wish(room, shelves={"a": {"x": 1}}, colour="red"), planned).failed


def test_what_is_no_longer_wished_for_is_deleted_and_its_setting_put_back(engine: Engine, room: Path) -> None:
    put(room, "dials", "heat", value=3)
    engine.apply(wish(room, shelves={"a": {"x": 1, "y": 2}}, dials={"heat": 7}))
    less = wish(room, shelves={"a": {"x": 1}})
    assert pending(engine.plan(less)) == {"memory.box:a/y": "delete", "memory.dial:heat": "delete"}
    assert not engine.apply(less).failed
    assert json.loads((room / "dials").read_text()) == {"heat": {"value": 3}}


def test_what_another_site_made_beside_ours_goes_neither_with_a_plan_nor_with_a_destroy(
    tmp_path: Path, engine: Engine, room: Path
) -> None:
    ours, theirs = wish(room, shelves={"a": {"x": 1}}), wish(room, shelves={"a": {"y": 1}}, dials={"heat": 2})
    assert not Engine(tmp_path, site="other").apply(theirs).failed
    with_dials = wish(room, shelves={"a": {"x": 1}}, dials={"cold": 1})
    assert pending(engine.plan(with_dials)) == {"memory.box:a/x": "create", "memory.dial:cold": "update"}
    engine.apply(ours)
    assert pending(engine.plan(ours, Request(mode="destroy"))) == {"memory.box:a/x": "delete"}


def test_a_selection_leaves_orphans_alone(engine: Engine, room: Path) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1, "y": 2}}))
    planned = engine.plan(wish(room, shelves={"a": {"x": 5}}), Request(only=("memory.box:*",)))
    assert pending(planned) == {"memory.box:a/x": "update"}


def test_a_selection_refuses_what_would_need_more(engine: Engine, room: Path) -> None:
    with pytest.raises(Refused, match=r"the selection needs memory\.dial:heat"):
        engine.plan(wish(room, shelves={"a": {"x": 1}}, dials={"heat": 7}), Request(phases=("boxes",)))


def test_a_selection_asks_nobody_whom_it_does_not_depend_on(engine: Engine, room: Path) -> None:
    settings = {"shelves": {"a": {"x": 1}, "b": {"y": 1}}, "dials": {"heat": 7}}
    engine.apply(wish(room, **settings))
    put(room, "a", "x", **{**json.loads((room / "a").read_text())["x"], "size": 9})
    paved = wish(room, **settings)
    down = {**paved.connectors, "shelf:b": memory.Shelf(str(room / "gone" / "b"))}
    paved = dataclasses.replace(paved, connectors=down)
    with pytest.raises(Unobservable):
        engine.plan(paved)
    only = Request(only=("memory.box:a/*",))
    assert pending(engine.plan(paved, only)) == {"memory.box:a/x": "update"}
    assert not engine.apply(paved, only).failed
    with pytest.raises(Unobservable):
        engine.plan(paved, Request(only=("memory.box:b/*",)))


def test_a_replacement_in_a_selection_names_what_goes_with_it(engine: Engine, room: Path) -> None:
    def nested(colour: str) -> Paved:
        paved = wish(room, shelves={"a": {"x": 1}, "b": {"y": 1}}, colour=colour)
        outer, inner = paved.resources
        return dataclasses.replace(paved, resources=(outer, dataclasses.replace(inner, within=outer.id)))

    engine.apply(nested("grey"))
    (planned,) = engine.plan(nested("blue"), Request(only=("memory.box:a/*",))).actions
    assert (planned.verb.value, planned.lost) == ("replace", ("memory.box:b/y",))


def test_what_is_protected_is_lost_with_a_replacement_only_where_it_is_named(
    engine: Engine, room: Path
) -> None:
    def nested(colour: str) -> Paved:
        paved = wish(room, shelves={"a": {"x": 1}, "b": {"y": 1}}, colour=colour)
        outer, inner = paved.resources
        kept = dataclasses.replace(inner, within=outer.id, protected=True)
        return dataclasses.replace(paved, resources=(outer, kept))

    engine.apply(nested("grey"))
    planned = engine.plan(nested("red"))
    assert pending(planned) == {"memory.box:a/x": "replace", "memory.box:b/y": "blocked"}
    assert planned.blocked[0].reason == "lost with memory.box:a/x, and it is protected: name it with --allow"
    named = engine.plan(nested("red"), Request(allow=("memory.box:b/y",)))
    assert pending(named) == {"memory.box:a/x": "replace", "memory.box:b/y": "create"}
    with pytest.raises(Refused, match=r"takes away memory\.box:b/y, which is protected"):
        leave.demand(named, nested("red"), allow=())
    # As of a destroy, where it goes by itself and is lost with what it lies in.
    twice = dataclasses.replace(named, actions=(*named.actions, *named.actions))
    for plan in (twice, dataclasses.replace(twice, allow=())):
        with pytest.raises(Refused) as refused:
            leave.demand(plan, nested("red"), allow=())
        assert refused.value.seen == "memory.box:b/y"
    leave.demand(named, nested("red"), allow=("memory.box:b/*",))


def test_a_destroy_is_blocked_by_what_is_protected_and_not_named(engine: Engine, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1, "y": 1}})
    x, y = paved.resources
    paved = dataclasses.replace(paved, resources=(dataclasses.replace(x, protected=True), y))
    engine.apply(paved)
    planned = engine.plan(paved, Request(mode="destroy"))
    assert pending(planned) == {x.id: "blocked", y.id: "delete"}
    assert planned.blocked[0].reason == "protected: name it with --allow"
    named = engine.plan(paved, Request(mode="destroy", allow=(x.id,)))
    assert set(pending(named).values()) == {"delete"}


def test_what_its_kind_says_has_to_stay_blocks_an_apply_and_no_destroy(
    engine: Engine, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    monkeypatch.setattr(memory.Box, "holds", classmethod(lambda *_: "something is in it"))
    planned = engine.plan(wish(room, shelves={"a": {}}))
    assert [(one.resource, one.reason) for one in planned.blocked] == [
        ("memory.box:a/x", "something is in it")
    ]
    leaving = engine.plan(wish(room, shelves={"a": {}}), Request(mode="destroy"))
    assert pending(leaving)["memory.box:a/x"] == "delete"


def test_of_a_kind_that_is_protected_an_orphan_is_too(engine: Engine, room: Path) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Safe(memory.Box):  # type: ignore[misc]
        kind: ClassVar[str] = "memory.safe"
        protected: bool = True

    made = wish(room, shelves={"a": {"x": 1}})
    (x,) = made.resources
    safe = Safe(id=ResourceId("memory.safe:a/x"), phase=x.phase, at=x.at, name="x", size=1)
    ground = dataclasses.replace(made.grounds[1], kind=Safe)
    engine.apply(dataclasses.replace(made, resources=(safe,), grounds=(ground,)))
    paved = dataclasses.replace(made, resources=(), grounds=(ground,))
    planned = engine.plan(paved)
    assert pending(planned) == {safe.id: "blocked"}
    assert planned.blocked[0].reason == "protected: name it with --allow"
    named = engine.plan(paved, Request(allow=(safe.id,)))
    assert pending(named) == {safe.id: "delete"}
    with pytest.raises(Refused, match=r"takes away memory\.safe:a/x, .* the command does not name it"):
        engine.act(paved, named, ())
    assert not engine.act(paved, named, (safe.id,)).failed
    assert json.loads((room / "a").read_text()) == {}


def test_each_name_of_a_selection_is_one_of_the_sites(engine: Engine, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}}, dials={"heat": 7})
    for request, what, do in (
        (Request(phases=("boxes", "shelfs")), "there is no phase shelfs", "did you mean shelves?"),
        (Request(phases=("SHELVES",)), "there is no phase SHELVES", "did you mean shelves?"),
        (Request(phases=("roofs",)), "there is no phase roofs", "name one of them"),
        (Request(only=("memory.*", "memory.box:a/xx")), "memory.box:a/xx", "did you mean memory.box:a/x?"),
        (Request(phases=("boxes",), only=("memory.dial:*",)), r"memory.dial:\* in boxes", "--ids"),
        (Request(mode="destroy", phases=("roofs",)), "there is no phase roofs", "name one of them"),
    ):
        with pytest.raises(BadInput, match=what) as caught:
            engine.plan(paved, request)
        assert do in caught.value.do


def test_a_part_of_a_destroy_takes_away_nothing_on_which_something_stands(engine: Engine, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}}, dials={"heat": 7})
    engine.apply(paved)
    dials, boxes = (Request(mode="destroy", phases=(phase,)) for phase in ("shelves", "boxes"))
    with pytest.raises(Refused, match=r"memory\.dial:heat, and memory\.box:a/x stands on it"):
        engine.plan(paved, dials)
    kept = tuple(dataclasses.replace(one, protected=one.phase == "boxes") for one in paved.resources)
    with pytest.raises(Refused, match=r"memory\.box:a/x stands on it"):
        engine.plan(dataclasses.replace(paved, resources=kept), dials)
    for request in (boxes, dials):
        assert not engine.apply(paved, request).failed
        assert pending(engine.plan(paved, request)) == {}
    assert json.loads((room / "a").read_text()) == {}


def test_a_part_of_a_destroy_deletes_by_a_call_of_its_own_what_would_have_gone_with_what_stays(
    engine: Engine, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.Box, "dies_with_parent", True)
    paved = wish(room, shelves={"a": {"x": 1}, "b": {"y": 1}})
    outer, inner = paved.resources
    paved = dataclasses.replace(paved, resources=(outer, dataclasses.replace(inner, within=outer.id)))
    engine.apply(paved)
    whole = engine.plan(paved, Request(mode="destroy"))
    assert {action.resource: action.implied for action in whole.actions} == {outer.id: False, inner.id: True}
    part = Request(mode="destroy", only=("memory.box:b/*",))
    (action,) = engine.plan(paved, part).actions
    assert (action.implied, action.calls) == (False, ("remove",))
    assert not engine.apply(paved, part).failed
    assert json.loads((room / "b").read_text()) == {}
    assert "x" in json.loads((room / "a").read_text())


def test_of_two_things_that_it_lies_in_a_rebuilt_one_names_the_same_in_every_plan(
    engine: Engine, room: Path
) -> None:
    def nested(number: int, colour: str) -> Paved:
        shelves = {f"{shelf}{number}": {shelf: 1} for shelf in "abc"}
        paved = wish(room, shelves=shelves, colour=colour)
        first, second, inner = paved.resources
        at = dataclasses.replace(inner.at, provider=first.id)
        inner = dataclasses.replace(inner, at=at, within=second.id)
        return dataclasses.replace(paved, resources=(first, second, inner))

    # In which order a set has two of them is another one in each process.
    for number in range(12):
        engine.apply(nested(number, "grey"))
        reasons = {one.resource: one.reason for one in engine.plan(nested(number, "red")).actions}
        assert reasons[ResourceId(f"memory.box:c{number}/c")] == f"with memory.box:a{number}/a"


def test_what_is_reached_through_something_absent_is_asked_by_nobody_and_does_not_go_with_it(
    engine: Engine, room: Path
) -> None:
    def beyond(colour: str) -> Paved:
        paved = wish(room, shelves={"a": {"x": 1}, "b": {"y": 1}, "c": {"z": 1}}, colour=colour)
        gate, far, near = paved.resources
        near = dataclasses.replace(near, at=dataclasses.replace(near.at, provider=gate.id))
        far = dataclasses.replace(far, at=dataclasses.replace(far.at, through=near.at.name))
        grounds = [
            dataclasses.replace(one, at=far.at) if one.at.name == far.at.name else one
            for one in paved.grounds
        ]
        return dataclasses.replace(paved, resources=(gate, far, near), grounds=tuple(grounds))

    paved = beyond("grey")
    dark = {**paved.connectors, "shelf:b": memory.Shelf(str(room / "gone" / "b"))}
    planned = engine.plan(dataclasses.replace(paved, connectors=dark))
    assert set(pending(planned).values()) == {"create"}
    (far,) = (action for action in planned.actions if action.resource == "memory.box:b/y")
    assert (far.asked, far.needs) == (False, ("memory.box:a/x",))
    assert not engine.apply(paved).failed
    (replaced,) = (one for one in engine.plan(beyond("red")).actions if one.resource == "memory.box:a/x")
    assert (replaced.verb.value, replaced.lost) == ("replace", ("memory.box:c/z",))
    leaving = {one.resource: one for one in engine.plan(paved, Request(mode="destroy")).actions}
    assert "memory.box:b/y" in leaving[replaced.resource].needs


def test_an_endpoint_that_does_not_answer_is_never_absent(engine: Engine, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    room.rmdir()
    with pytest.raises(Unobservable):
        engine.plan(paved)


def test_planned_offline_everything_is_created_and_nobody_is_asked(engine: Engine, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    room.rmdir()
    planned = engine.plan(paved, Request(offline=True))
    assert pending(planned) == {"memory.box:a/x": "create"}
    assert planned.offline


def test_a_value_that_another_action_will_change_is_known_from_its_wish(engine: Engine, room: Path) -> None:
    planned = engine.plan(wish(room, shelves={"a": {"x": 1, "y": 1}}))
    assert planned.actions[1].planned["label"] == "grey"


def test_a_plan_has_things_as_the_site_file_has_them_and_each_after_what_it_needs(
    engine: Engine, room: Path
) -> None:
    paved = wish(room, shelves={"z": {"q": 1, "p": 1}, "a": {"x": 1}}, dials={"loud": 1, "heat": 7})
    named = ["memory.dial:loud", "memory.dial:heat", "memory.box:z/q", "memory.box:z/p", "memory.box:a/x"]
    assert [action.resource for action in engine.plan(paved).actions] == named
    first = {str(one.id): one for one in paved.resources}
    q = first["memory.box:z/q"]
    late = dataclasses.replace(q, after=q.after | {first["memory.box:a/x"].id})
    paved = dataclasses.replace(paved, resources=tuple({**first, late.id: late}.values()))
    planned = [action.resource for action in engine.plan(paved).actions]
    assert planned == [*named[:2], "memory.box:a/x", "memory.box:z/q", "memory.box:z/p"]


def test_an_edge_to_a_later_phase_is_refused(room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}}, dials={"heat": 1})
    with pytest.raises(ValueError, match=r"needs memory\.dial:heat of the later phase shelves"):
        build(paved.resources, ("boxes", "shelves"))


def test_two_resources_of_one_id_are_refused(room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    with pytest.raises(ValueError, match="two resources are called"):
        build(paved.resources * 2, paved.phases)


def test_a_circle_of_needs_is_refused(room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1, "y": 1}})
    first, second = paved.resources
    with pytest.raises(ValueError, match="in a circle"):
        build((dataclasses.replace(first, after=frozenset({second.id})), second), paved.phases)
