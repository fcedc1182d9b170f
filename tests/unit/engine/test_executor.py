"""The act is held to the plan: drift, edits, other wishes, undeclared calls, kills."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.driver import Endpoint, Gate, Opaque, Paved, Verb, output
from paver.engine import proof
from paver.engine.diff import wish_digest
from paver.engine.plan import loads
from paver.engine.planner import Request
from paver.engine.world import Connections
from paver.errors import BadInput, PaverError, Refused
from paver.runs.workbench import Engine, pending
from paver.signing import canonical
from tests.support.memory import everything, memory
from tests.support.shelves import journal_of, made_to_leave, things, wish


def test_a_write_is_journalled_before_it_leaves(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    engine.apply(wish(room, dials={"heat": 2}))
    assert [record["event"] for record in journal_of(tmp_path)] == ["begun", "call", "done"]


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"size": 77}, "size is 77, and was 1"),
        ({"colour": "red"}, 'colour is "red", and was as wished'),
        ({"size": 77, "colour": "red"}, 'colour is "red", and was as wished; size is 77, and was 1'),
        ({"mark": None}, "what was read of it then is not what it is now, without a mark of paver's"),
    ],
)
def test_drift_between_plan_and_apply_is_refused_and_says_what_changed(
    tmp_path: Path, room: Path, change: dict[str, object], seen: str
) -> None:
    engine = Engine(tmp_path)
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    changed = wish(room, shelves={"a": {"x": 2}})
    planned = engine.plan(changed)
    held = things(room, "a")
    held["x"] |= change
    (room / "a").write_text(json.dumps(held))
    before = [*tmp_path.glob("journal-*")]
    outcome = engine.act(changed, planned)
    error = outcome.failed[0][1]
    assert isinstance(error, Refused)
    assert (error.what, error.seen) == ("memory.box:a/x changed since the plan was made", seen)
    assert things(room, "a") == held
    assert [record["event"] for record in journal_of(tmp_path, before)] == ["drift"]


def test_drift_says_what_is_gone_and_what_came(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(paved)
    (room / "a").write_text(json.dumps({"x": {"size": 1, "colour": "grey", "label": None, "mark": None}}))
    came = engine.act(paved, planned).failed[0][1]
    assert isinstance(came, Refused)
    assert came.seen == "it was absent, and stands there now, without a mark of paver's"
    (room / "a").unlink()
    engine.apply(paved)
    planned = engine.plan(wish(room, shelves={"a": {"x": 2}}))
    (room / "a").write_text("{}")
    gone = engine.act(wish(room, shelves={"a": {"x": 2}}), planned).failed[0][1]
    assert isinstance(gone, Refused)
    assert gone.seen == "it is gone"


@pytest.mark.parametrize("complete", [True, False])
def test_what_bears_the_mark_of_another_resource_of_the_site_is_not_taken_for_this_one(
    tmp_path: Path, room: Path, *, complete: bool
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(paved)
    mark = ["test", "memory.box:a/other", "", complete]
    came = {"x": {"size": 1, "colour": "grey", "label": None, "mark": mark}}
    (room / "a").write_text(json.dumps(came))
    ((_, error),) = engine.act(paved, planned).failed
    assert isinstance(error, Refused)
    assert error.what == "memory.box:a/x changed since the plan was made"
    assert things(room, "a") == came


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("values", [{}, {"x": 2}], ids=["alike", "otherwise"])
def test_what_another_site_made_since_the_plan_under_the_same_id_is_not_taken_for_this_ones(
    tmp_path: Path, room: Path, values: dict[str, int], *, complete: bool
) -> None:
    engine, other = Engine(tmp_path), Engine(tmp_path, site="other")
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(paved)
    other.apply(wish(room, shelves={"a": {"x": 1, **values}}))
    theirs = things(room, "a")
    theirs["x"]["mark"][3] = complete
    (room / "a").write_text(json.dumps(theirs))
    ((_, error),) = engine.act(paved, planned).failed
    assert isinstance(error, Refused)
    assert (error.what, error.seen) == (
        "memory.box:a/x changed since the plan was made",
        "it belongs to the site other",
    )
    assert things(room, "a") == theirs


def test_what_another_site_began_is_not_deleted_by_the_plan_of_what_stood_there_before(
    tmp_path: Path, room: Path
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    engine.apply(paved)
    for leaving, wished in (
        (engine.plan(paved, Request(mode="destroy")), paved),
        (engine.plan(wish(room, shelves={"a": {}})), wish(room, shelves={"a": {}})),
    ):
        theirs = things(room, "a")
        theirs["x"]["mark"][0], theirs["x"]["mark"][3] = "other", False
        (room / "a").write_text(json.dumps(theirs))
        engine.act(wished, leaving)
        assert things(room, "a") == theirs
        theirs["x"]["mark"][0], theirs["x"]["mark"][3] = "test", True
        (room / "a").write_text(json.dumps(theirs))


@pytest.mark.parametrize(
    ("create", "told"),
    [
        (lambda *_: None, "memory.box:a/x is not there after it was made"),
        (lambda box, world: box._put(world, complete=False), "memory.box:a/x was not marked complete"),
    ],
    ids=["nothing", "half"],
)
def test_what_says_that_it_was_made_and_was_not_is_not_done(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch, create: Any, told: str
) -> None:
    monkeypatch.setattr(memory.Box, "create", create)
    ((_, error),) = Engine(tmp_path).apply(wish(room, shelves={"a": {"x": 1}})).failed
    assert str(error) == told
    assert [record["event"] for record in journal_of(tmp_path)][-1] == "failed"


def test_what_another_site_takes_over_while_it_is_made_is_not_done(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = memory.Box.create

    def taken(box: Any, world: Any) -> None:
        create(box, world)
        held = things(room, "a")
        held["x"]["mark"][0] = "other"
        (room / "a").write_text(json.dumps(held))

    monkeypatch.setattr(memory.Box, "create", taken)
    ((_, error),) = Engine(tmp_path).apply(wish(room, shelves={"a": {"x": 1}})).failed
    assert str(error).startswith("memory.box:a/x bears the mark of memory.box:a/x of the site other")


def test_what_was_to_go_and_lost_its_mark_is_no_longer_ours_and_stays(tmp_path: Path, room: Path) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    engine, leaving = made_to_leave(tmp_path, paved)
    foreign = {"x": {**things(room, "a")["x"], "mark": None}}
    (room / "a").write_text(json.dumps(foreign))
    ((_, error),) = engine.act(paved, leaving).failed
    assert isinstance(error, Refused)
    assert error.what == "memory.box:a/x is no longer ours"
    assert things(room, "a") == foreign


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_what_an_act_leaves_at_work_writes_nothing_after_it(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    create, left = memory.Box.create, []

    def leaving(box: Any, world: Any) -> None:
        left.append(world.writing(box.at))
        create(box, world)
        if fails:
            raise PaverError("it did not come to its end")

    monkeypatch.setattr(memory.Box, "create", leaving)
    outcome = Engine(tmp_path).apply(wish(room, shelves={"a": {"x": 1}}))
    assert bool(outcome.failed) is fails
    before, stands = journal_of(tmp_path), everything(room)
    with pytest.raises(Refused, match="tried to call put at shelf:a after its act was over"):
        left[-1].write("put", "x", {"size": 77, "colour": "grey", "label": None, "mark": None})
    assert (journal_of(tmp_path), everything(room)) == (before, stands)


def test_what_is_still_there_after_it_was_deleted_fails(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paved = wish(room, shelves={"a": {"x": 1}})
    engine, leaving = made_to_leave(tmp_path, paved)
    monkeypatch.setattr(memory.Box, "delete", classmethod(lambda *_: None))
    ((_, error),) = engine.act(paved, leaving).failed
    assert str(error) == "memory.box:a/x is still there after it was deleted"


def fed(room: Path, field: str) -> Paved:
    """Two boxes: a field of the second is the label of the first, of which the site file says nothing."""
    paved = wish(room, shelves={"a": {"x": 1, "y": 1}})
    x, y = paved.resources
    values: dict[str, Any] = {"label": None, field: output(x.id, "label", str)}
    return dataclasses.replace(paved, resources=(x, dataclasses.replace(y, **values)))


def test_what_has_to_come_from_another_thing_and_does_not_is_not_guessed(tmp_path: Path, room: Path) -> None:
    engine, paved = Engine(tmp_path), fed(room, "label")
    planned = engine.plan(paved)
    assert planned.actions[1].planned["label"] == {"unknown": "memory.box:a/x.label"}
    ((id_, error),) = engine.act(paved, planned).failed
    assert id_ == "memory.box:a/y"
    assert isinstance(error, Refused)
    assert error.what == "memory.box:a/y cannot be made: its label is still not known"
    assert set(things(room, "a")) == {"x"}


def test_what_turns_out_to_be_a_change_that_cannot_be_made_in_place_is_refused(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    engine.apply(wish(room, shelves={"a": {"x": 1, "y": 1}}))
    paved = fed(room, "colour")
    larger: list[Any] = list(paved.resources)
    larger[0] = dataclasses.replace(larger[0], size=2)
    paved = dataclasses.replace(paved, resources=tuple(larger))
    monkeypatch.setattr(memory.Box, "remade", frozenset({"label"}))
    put = memory.Box._put

    def labelled(self: Any, world: Any, *, complete: bool) -> None:
        put(dataclasses.replace(self, label="red") if self.name == "x" else self, world, complete=complete)

    monkeypatch.setattr(memory.Box, "_put", labelled)
    planned = engine.plan(paved)
    assert [(one.verb.value, one.changes[0].unknown) for one in planned.actions] == [
        ("update", False),
        ("update", True),
    ]
    ((_, error),) = engine.act(paved, planned).failed
    assert isinstance(error, Refused)
    assert error.what == "memory.box:a/y: colour cannot change in place"
    assert things(room, "a")["y"]["colour"] == "grey"


def test_a_wish_that_is_not_the_planned_one_is_refused(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    planned = engine.plan(wish(room, shelves={"a": {"x": 1}}))
    with pytest.raises(Refused, match="is not the site file's"):
        engine.act(wish(room, shelves={"a": {"x": 2}}), planned)


def test_a_value_that_is_not_the_one_that_was_promised_is_refused(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(paved)
    (action,) = planned.actions
    other = dataclasses.replace(action, planned={**action.planned, "size": 2})
    with pytest.raises(Refused, match="size is not what the plan promised"):
        engine.act(paved, dataclasses.replace(planned, actions=(other,)))
    assert not (room / "a").exists()


def test_an_apply_that_would_delete_what_the_site_file_wishes_for_is_refused(
    tmp_path: Path, room: Path
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    engine.apply(paved)
    leaving = engine.plan(wish(room, shelves={"a": {}}))
    assert pending(leaving) == {"memory.box:a/x": "delete"}
    with pytest.raises(Refused, match=r"deletes memory\.box:a/x, which the site file wishes for"):
        engine.act(paved, leaving)
    assert things(room, "a")["x"]["size"] == 1


def test_an_undeclared_call_does_not_leave(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    monkeypatch.setattr(memory.Dial, "calls", {Verb.UPDATE: frozenset({"look"})})
    paved = wish(room, dials={"heat": 2})
    outcome = engine.act(paved, engine.plan(paved))
    assert "tried to call turn" in str(outcome.failed[0][1])
    assert not (room / "trace").exists()


@pytest.mark.parametrize(
    "edit",
    [
        {"calls": ("burn", "put")},
        {"calls": ()},
        {"endpoint": "shelf:b"},
        {"also": ("shelf:b",)},
        {"station": "jumpbox"},
        {"kind": "memory.dial"},
        {"phase": "elsewhere"},
        {"lane": "bulk"},
        {"setting": True},
    ],
    ids=str,
)
def test_a_plan_edited_with_care_is_refused_where_it_says_other_than_the_kind(
    tmp_path: Path, room: Path, edit: dict[str, Any]
) -> None:
    """Its ids fit, as whoever computes them anew can see to."""
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}, "b": {}})
    planned = engine.plan(paved)
    (action,) = planned.actions
    sly = loads(dataclasses.replace(planned, actions=(dataclasses.replace(action, **edit),)).dumps())
    (field,) = edit
    with pytest.raises(Refused, match=rf"the plan's {field} for memory\.box:a/x is not what paver plans"):
        engine.act(paved, sly)
    assert not (room / "a").exists()


def test_a_delete_where_no_such_thing_is_looked_for_is_refused(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    engine.apply(wish(room, shelves={"a": {"x": 1}}))
    paved = wish(room, shelves={"a": {}})
    planned = engine.plan(paved)
    (action,) = planned.actions
    sly = dataclasses.replace(planned, actions=(dataclasses.replace(action, endpoint="shelf:elsewhere"),))
    with pytest.raises(Refused, match=r"kind and endpoint for memory\.box:a/x is not what paver plans"):
        engine.act(paved, sly)
    assert things(room, "a")["x"]["size"] == 1


def test_a_call_to_an_endpoint_that_the_action_does_not_name_does_not_leave(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}, "b": {"y": 1}})
    planned = engine.plan(paved)
    shelf = {str(one.id): one.at for one in paved.resources}
    other = {"memory.box:a/x": shelf["memory.box:b/y"], "memory.box:b/y": shelf["memory.box:a/x"]}

    def astray(box: Any, world: Any) -> None:
        world.writing(other[box.id]).write("put", box.name, {})

    monkeypatch.setattr(memory.Box, "create", astray)
    outcome = engine.act(paved, planned)
    assert "tried to write to" in str(outcome.failed[0][1])
    assert not (room / "a").exists()
    assert not (room / "b").exists()


def test_a_failure_starts_nothing_new(tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1, "y": 2}})

    def broken(*_: Any) -> None:
        raise PaverError("the shelf broke")

    planned = engine.plan(paved)
    monkeypatch.setattr(memory.Box, "create", broken)
    outcome = engine.act(paved, planned)
    assert [id_ for id_, _ in outcome.failed] == ["memory.box:a/x"]
    assert outcome.left == ("memory.box:a/y",)


def test_what_was_made_and_is_not_as_wished_fails(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    write = memory.Room.write

    def lying(self: Any, call: str, name: str, thing: Any) -> None:
        write(self, call, name, None if thing is None else {**thing, "size": 0})

    planned = engine.plan(paved)
    monkeypatch.setattr(memory.Room, "write", lying)
    assert "size is not what was set" in str(engine.act(paved, planned).failed[0][1])


def test_a_view_that_fails_decides_nothing(tmp_path: Path, room: Path) -> None:
    class Full(list[Any]):
        def append(self, event: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(event))

    engine = Engine(tmp_path, events=Full())
    paved = wish(room, shelves={"a": {"x": 1}}, dials={"heat": 2})
    outcome = engine.apply(paved)
    assert not outcome.failed
    assert outcome.acted == {"memory.box:a/x", "memory.dial:heat"}
    ends = [record["event"] for record in journal_of(tmp_path) if record["event"] not in {"begun", "call"}]
    assert ends == ["done", "done"]


def test_stopping_starts_nothing_new(tmp_path: Path, room: Path) -> None:
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1}})
    planned = engine.plan(paved)
    engine.stop.set()
    outcome = engine.act(paved, planned)
    assert (outcome.done, outcome.left) == (frozenset(), ("memory.box:a/x",))


def test_an_edited_plan_is_not_read(tmp_path: Path, room: Path) -> None:
    text = Engine(tmp_path).plan(wish(room, shelves={"a": {"x": 1}})).dumps()
    for old, new in ((b'"size":1', b'"size":2'), (b'"verb":"create"', b'"verb":"delete"'), (b"{", b"{ ")):
        with pytest.raises(BadInput):
            loads(text.replace(old, new, 1))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_plan_or_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput):
        loads(data)


def test_no_gate_no_write(room: Path) -> None:
    gate: Gate | None = None
    with pytest.raises(AssertionError, match="reading face"):
        memory.Room(room / "a", gate).write("put", "x", {})


def test_the_ids_of_actions_are_digests_of_what_they_say(tmp_path: Path, room: Path) -> None:
    (action,) = Engine(tmp_path).plan(wish(room, shelves={"a": {"x": 1}})).actions
    assert action.id == canonical.digest(action.document())
    assert action.verb is Verb.CREATE


@pytest.mark.parametrize(("others", "told"), [((), ""), (("z",), "+ z"), (("old",), "- old")])
def test_a_tool_that_does_more_than_the_plan_declares_fails_the_step(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...], told: str
) -> None:
    (room / "a").write_text(json.dumps({"old": {"size": 1, "colour": "grey"}}))
    create = memory.Box.create

    def busy(self: Any, world: Any) -> None:
        create(self, world)
        held = things(room, "a")
        for name in others:
            held.pop(name, None) or held.update({name: {"size": 1, "colour": "grey"}})
        (room / "a").write_text(json.dumps(held))

    def around(self: Any, world: Any) -> frozenset[str]:
        return frozenset(world.session(self.at).things())

    monkeypatch.setattr(memory.Box, "create", busy)
    monkeypatch.setattr(memory.Box, "opaque", lambda *_: Opaque("tool", ("run",), ("one box",), ("x",)))
    monkeypatch.setattr(memory.Box, "surroundings", around)
    outcome = Engine(tmp_path).apply(wish(room, shelves={"a": {"x": 1}}))
    if told:
        ((_, error),) = outcome.failed
        assert isinstance(error, PaverError)
        assert error.what == "memory.box:a/x: tool did something that the plan does not declare"
        assert error.seen == told
    else:
        assert not outcome.failed


@pytest.mark.parametrize("mode", ["destroy", "apply"])
def test_what_is_protected_goes_only_where_plan_and_command_name_it(
    tmp_path: Path, room: Path, mode: str
) -> None:
    engine = Engine(tmp_path)
    made = wish(room, shelves={"a": {"x": 1, "y": 2}})
    boxes: list[Any] = [dataclasses.replace(box, protected=box.id.endswith("/x")) for box in made.resources]
    made = dataclasses.replace(made, resources=tuple(boxes))
    assert not engine.apply(made).failed
    before = everything(room)
    # Another colour makes both anew; a destroy takes both away.
    painted = [dataclasses.replace(box, colour="red") for box in boxes] if mode == "apply" else boxes
    wanted = dataclasses.replace(made, resources=tuple(painted))
    planned = engine.plan(wanted, Request(mode=mode, allow=("memory.box:a/x",)))
    assert not planned.blocked
    for allow in ((), ("memory.box:a/y",)):
        with pytest.raises(Refused, match=r"takes away memory\.box:a/x, .* the command does not name it"):
            engine.act(wanted, planned, allow)
    unasked = dataclasses.replace(planned, allow=())
    with pytest.raises(Refused, match="without leave to"):
        engine.act(wanted, unasked, ("*",))
    assert everything(room) == before
    assert not engine.act(wanted, planned, ("memory.box:*",)).failed
    assert everything(room) != before


def test_of_a_tool_that_writes_by_itself_plan_and_journal_have_the_digests_of_program_and_inputs(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        memory.Box, "opaque", lambda self, _: Opaque("tool", ("run",), ("one box",), ("x",), self.colour)
    )
    engine = Engine(tmp_path)
    paved = wish(room, shelves={"a": {"x": 1, "y": 2}})
    planned = engine.plan(paved)
    x, y = (action.opaque for action in planned.actions)
    assert x is not None
    assert y is not None
    assert (x["program"], x["makes"]) == ("grey", ["x"])
    told = {"colour": "grey", "label": "grey", "name": "y", "size": 2}
    assert y["inputs"] == canonical.digest(told)
    unknown = proof.promised(Opaque("tool", (), ()), {"label": {"unknown": "memory.box:a/x"}}, lambda _: None)
    assert unknown["inputs"] == {"unknown": "it is known once what it comes from stands"}
    assert not engine.act(paved, planned).failed
    begun = {line["resource"]: line for line in journal_of(tmp_path) if line["event"] == "begun"}
    assert begun["memory.box:a/x"]["opaque"] == {"inputs": x["inputs"], "program": "grey", "tool": "tool"}
    assert begun["memory.box:a/y"]["opaque"]["inputs"] == y["inputs"]
    (changed,) = engine.plan(wish(room, shelves={"a": {"x": 7, "y": 2}})).pending
    assert changed.opaque is not None
    assert changed.opaque["inputs"] != x["inputs"]


def test_an_update_that_leaves_the_tool_out_is_no_act_of_the_tools_and_takes_none_of_its_time(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = Opaque("tool", ("run",), ("one box",), ("x",))
    monkeypatch.setattr(memory.Box, "opaque", lambda _, verb: None if verb is Verb.UPDATE else tool)
    monkeypatch.setattr(memory.Box, "estimate", lambda _: 1320)
    engine = Engine(tmp_path)
    made = engine.plan(wish(room, shelves={"a": {"x": 1}}))
    assert [(one.opaque is not None, one.estimate) for one in made.pending] == [(True, 1320)]
    assert not engine.act(wish(room, shelves={"a": {"x": 1}}), made).failed
    (changed,) = engine.plan(wish(room, shelves={"a": {"x": 7}})).pending
    assert (changed.verb, changed.opaque, changed.estimate) == (Verb.UPDATE, None, 1)


def test_what_lies_around_an_act_is_the_drivers_to_know_and_no_part_of_the_wish(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Walls:
        makes: tuple[str, ...]

        def look(self, world: Any) -> frozenset[str]:
            del world
            return frozenset(path.name for path in room.iterdir()) - {"trace"}

        machines = disks = look

    monkeypatch.setattr(
        memory.Box, "opaque", lambda self, _: Opaque("tool", ("run",), ("a shelf",), self.around.makes)
    )
    made = wish(room, shelves={"a": {"x": 1}})
    for makes, well in ((("b",), False), (("a",), True)):
        boxes = tuple(dataclasses.replace(box, around=Walls(makes)) for box in made.resources)
        outcome = Engine(tmp_path).apply(dataclasses.replace(made, resources=boxes))
        assert bool(outcome.failed) is not well
        if not well:
            ((_, error),) = outcome.failed
            assert isinstance(error, PaverError)
            assert error.seen == "+ a"
            (room / "a").unlink()
        assert wish_digest(boxes[0]) == wish_digest(made.resources[0])


def test_a_tool_that_takes_away_takes_no_more_than_it_declares(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Boxes:
        makes: tuple[str, ...]

        def look(self, world: Any) -> frozenset[str]:
            del world
            return frozenset(things(room, "a")) if (room / "a").exists() else frozenset()

        machines = disks = look

    monkeypatch.setattr(
        memory.Box, "opaque", lambda self, _: Opaque("tool", ("run",), ("a box",), self.around.makes)
    )
    made = wish(room, shelves={"a": {"x": 1, "y": 1}})

    def around(*makes: str) -> Paved:
        boxes = tuple(dataclasses.replace(box, around=Boxes(makes)) for box in made.resources)
        return dataclasses.replace(made, resources=boxes)

    engine = Engine(tmp_path)
    assert not engine.apply(around("x", "y")).failed
    leaving = engine.plan(around("x"), Request(mode="destroy"))
    assert [action.opaque is not None for action in leaving.actions] == [True, True]
    outcome = engine.act(around("x"), leaving)
    assert [(id_, error.seen) for id_, error in outcome.failed if isinstance(error, PaverError)] == [
        ("memory.box:a/y", "- y")
    ]
    assert set(things(room, "a")) == {"x"}
    assert not engine.act(around("x"), engine.plan(around("x"), Request(mode="destroy"))).failed
    assert not (room / "a").exists() or things(room, "a") == {}


def test_an_action_has_forgotten_what_was_read_of_all_that_it_writes_to_before_it_looks(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in another place's ledger would else be known from when the plan was made."""
    told: list[str] = []
    monkeypatch.setattr(Connections, "forget", lambda _, name: told.append(name))
    read = memory.Box.read

    def seen(self: Any, world: Any) -> Any:
        told.append("read")
        return read(self, world)

    monkeypatch.setattr(memory.Box, "read", seen)
    paved = wish(room, shelves={"a": {"x": 1}, "b": {}})
    also = tuple(dataclasses.replace(one, also=(Endpoint("shelf:b"),)) for one in paved.resources)
    paved = dataclasses.replace(paved, resources=also)
    engine = Engine(tmp_path)
    planned = engine.plan(paved)
    told.clear()
    assert not engine.act(paved, planned).failed
    assert [one for one, _ in itertools.groupby(told)] == ["shelf:a", "shelf:b", "read"] * 2
