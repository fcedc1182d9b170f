"""The suite that holds any driver: the life of a wish in a world that stands for the driver's IaaS.

list → create → the plan says nothing → other wishes and back → drift is seen and repaired → rename → what nobody wishes
for is found → delete → as before.

A driver's package offers its `Subject` under the entry point group `paver.conformance`, by the driver's name: a callable
that takes an empty folder and returns a context with the subject in it. What the suite cannot ask of a kind the subject
says with the reason; a kind that is neither led through nor excused fails it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from paver.driver import Endpoint, Output, Paved, Resource, ResourceId, Verb
from paver.engine.diff import wish_digest
from paver.engine.executor import Outcome
from paver.engine.graph import closure, used_by
from paver.engine.plan import Plan, loads
from paver.engine.planner import Request
from paver.engine.values import kind_of, substitute
from paver.errors import BadInput, PaverError

GROUP = "paver.conformance"
EVERYTHING = Request(mode="destroy", allow=("*",))
ANYTHING = Request(allow=("*",))


class Under(Protocol):
    """What plans and acts: `paver.runs.workbench.Engine`, or a driver's own around the same planner and executor."""

    def plan(self, paved: Paved, request: Request | None = None) -> Plan: ...
    def act(self, paved: Paved, planned: Plan) -> Outcome: ...


@dataclasses.dataclass(frozen=True)
class Drift:
    """Somebody else changes one thing of the world.

    Attributes:
        of: the resource whose thing it is; the plan has to name it.
        act: changes it.
        also: other resources that differ by that.
        alone: it hides what is changed at the same time.
    """

    of: ResourceId
    act: Callable[[], object]
    also: frozenset[ResourceId] = frozenset()
    alone: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A driver in its world.

    Attributes:
        kinds: all kinds of the driver.
        under: plans and acts.
        wish: what is led through its life.
        other: the same resources, some of them wished otherwise.
        drift: what somebody else changes: at once what touches nothing but itself, one by one what touches more.
        listing: everything that the driver could have changed, comparable.
        writes: how many writes the world itself has counted.
        beyond: kinds that this world cannot carry, and why.
        fixed: kinds of which nothing can be wished otherwise, and why.
        untouched: kinds whose things nobody changes behind paver's back here, and why.
        named: kinds whose id is the thing's own name, so that another id is another thing.
    """

    kinds: tuple[type[Resource[Any]], ...]
    under: Under
    wish: Paved
    other: Paved
    drift: tuple[Drift, ...]
    listing: Callable[[], Any]
    writes: Callable[[], int]
    beyond: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    untouched: Mapping[str, str] = dataclasses.field(default_factory=dict)
    named: frozenset[str] = frozenset()


Offer = Callable[[Path], AbstractContextManager[Subject]]


class NotConforming(PaverError):
    """A driver does not do what every driver must."""


def offered(driver: str) -> Offer:
    """Returns what a driver's package offers to be held by.

    Raises:
        BadInput: if it offers nothing.
    """
    found = entry_points(group=GROUP, name=driver)
    for one in found:
        offer: Offer = one.load()
        return offer
    raise BadInput(
        f"nothing is offered to hold the driver {driver} by",
        why=f"no package that is installed has an entry point {driver} in the group {GROUP}",
        do="docs/howto/driver.md says what it is; paver's own suites run without --driver, from its source tree",
    )


def lives(subject: Subject) -> Iterator[str]:
    """Leads the subject through its life; yields each sentence once it is proven.

    Raises:
        NotConforming: with what does not hold.
    """
    under, wish = subject.under, subject.wish
    yield from _accounted(subject)
    start, before = subject.listing(), subject.writes()
    first = under.plan(wish)
    _holds(loads(first.dumps()) == first, "a plan that was written and read is the same plan")
    _holds(under.plan(wish).dumps() == first.dumps(), "two plans of one world are the same bytes")
    _holds(subject.writes() == before, "planning writes nothing")
    _holds(bool(first.pending), "an empty world needs something")
    yield f"{len(first.pending)} of {len(first.actions)} resources are planned, and nothing is written by that"

    acted = _acted(under, wish, first)
    _same("everything that was planned is done", acted.done, (action.resource for action in first.pending))
    _same("the same plan again acts on nothing", under.act(wish, first).acted, ())
    _quiet(under, wish)
    yield "they are made; then there is nothing left to do, and the same plan again acts on nothing"

    different = _different(wish, subject.other)
    for way in (subject.other, wish):
        wanted = under.plan(way)
        _same("what is wished otherwise, and nothing else, is planned", _pending(wanted), different)
        _acted(under, way, wanted)
        _quiet(under, way)
    yield f"{len(different)} are wished otherwise, changed, and changed back"

    apart = [one for one in subject.drift if one.also or one.alone]
    for together in ([one for one in subject.drift if one not in apart], *([one] for one in apart)):
        for one in together:
            one.act()
        seen = under.plan(wish)
        touched = {id_ for one in together for id_ in (one.of, *one.also)}
        _same("what somebody changed, and nothing else, is seen", _pending(seen), touched)
        _acted(under, wish, seen)
        _quiet(under, wish)
    yield f"{len(subject.drift)} are changed by somebody else, seen, and repaired"

    ids = {one.id: ResourceId(f"{one.id}-anew") for one in wish.resources if one.kind not in subject.named}
    wish = renamed(wish, ids)
    moving = under.plan(wish)
    other = [
        f"{action.verb.value} {action.resource}: {', '.join(change.field for change in action.changes)}"
        for action in moving.pending
        if action.verb is not Verb.UPDATE
    ]
    _holds(not other, "a rename makes nothing and takes nothing away", "\n".join(other))
    _acted(under, wish, moving)
    _quiet(under, wish)
    yield f"{len(moving.pending)} are renamed, and nothing is made or taken away by that"

    # Once a rename is done the site file may forget it: what is found from here on bears the new ids.
    wish = dataclasses.replace(wish, moved={})
    leaving = under.plan(wish, EVERYTHING)
    _same("nothing keeps a destroy from taking it away", (action.resource for action in leaving.blocked), ())
    yield from _left_over(under, wish, leaving)
    wish = _without(wish, _last(wish))
    lessened = under.plan(wish, ANYTHING)
    _same(
        "what nobody wishes for is taken away, and nothing else done", _pending(lessened), _deletes(lessened)
    )
    _acted(under, wish, lessened)
    _quiet(under, wish)
    yield f"{len(lessened.pending)} that nothing stands on are no longer wished for, and go by that"

    _acted(under, wish, under.plan(wish, EVERYTHING))
    _holds(subject.listing() == start, "the end equals the start", f"{start}\n{subject.listing()}")
    _same("what was taken away is not planned again", _pending(under.plan(wish, EVERYTHING)), ())
    yield "they are taken away, and the world is as it was at the start"


def _left_over(under: Under, wish: Paved, leaving: Plan) -> Iterator[str]:
    """Holds that what a destroy takes away is found where nobody wishes for it: by its ground, and its kind's `discover`."""
    reached = _reached_through(wish)
    found = under.plan(_without(wish, {one.id for one in wish.resources} - reached), ANYTHING)
    _same("what nobody wishes for is taken away, and nothing else done", _pending(found), _deletes(found))
    only_then = {ground.kind.kind for ground in wish.grounds if ground.kind.left_over}
    wanted = {
        id_: before
        for id_, before in _deletes(leaving).items()
        if id_ not in reached and kind_of(id_) not in only_then
    }
    _same("what was made is found by its kind where nobody wishes for it", _deletes(found), wanted)
    # A wish may ask other endpoints too; `discover` is handed one.
    alone = {one.id for one in wish.resources if not one.also}
    now = _deletes(found)
    differing = [id_ for id_ in wanted if id_ in alone and now[id_] != wanted[id_]]
    _same("what is found by its kind is what its wish would read", differing, ())
    leading = f"; {len(reached)} lead to others, and stay wished for" if reached else ""
    yield f"{len(wanted)} are found as they are where nobody wishes for them{leading}"


def _reached_through(wish: Paved) -> set[ResourceId]:
    """Returns what has to stand for every ground to be reached, by what the wish itself says of its endpoints."""
    graph = wish.graph
    providers = {one for ground in wish.grounds for one in graph.asked_through(ground.at)}
    used = used_by(wish.connectors.values())
    return closure(providers | used, graph.needs.__getitem__)


def _last(wish: Paved) -> set[ResourceId]:
    """Returns what nothing stands on."""
    return {id_ for id_, after in wish.graph.dependents().items() if not after} - _reached_through(wish)


def _without(wish: Paved, ids: Collection[ResourceId]) -> Paved:
    return dataclasses.replace(wish, resources=tuple(one for one in wish.resources if one.id not in ids))


def _deletes(planned: Plan) -> dict[ResourceId, str | None]:
    """Returns what a plan takes away, with the digest of what it is now."""
    return {action.resource: action.before for action in planned.pending if action.verb is Verb.DELETE}


def _accounted(subject: Subject) -> Iterator[str]:
    """Holds that every kind takes part in everything, or is excused by a reason."""
    kinds = {kind.kind for kind in subject.kinds}
    led = {resource.kind for resource in subject.wish.resources} & kinds
    _same("every kind is led through, or said to be beyond this world", led | {*subject.beyond}, kinds)
    _same("no kind is both", led & {*subject.beyond}, ())
    by_id = {resource.id: resource for resource in subject.wish.resources}
    changed = {by_id[id_].kind for id_ in _different(subject.wish, subject.other)} & kinds
    _same("every kind is wished otherwise, or said to be fixed", changed | {*subject.fixed}, led)
    drifting = {by_id[one.of].kind for one in subject.drift} & kinds
    _same("every kind drifts, or is said to be untouched", drifting | {*subject.untouched}, led)
    for resource in subject.wish.resources:
        for name in resource.wish():
            managed = name in resource.unmanaged or bool(resource.calls) or resource.setting
            _holds(managed, f"{resource.kind}.{name} is managed by something")
    yield f"{len(led)} of {len(kinds)} kinds take part"
    for what, excused in (
        ("beyond this world", subject.beyond),
        ("not wished otherwise", subject.fixed),
        ("not changed by anybody", subject.untouched),
    ):
        for kind, why in sorted(excused.items()):
            yield f"{kind}: {what}: {why}"


def renamed(paved: Paved, ids: Mapping[ResourceId, ResourceId]) -> Paved:
    """Returns the same wish with other ids, as if the site file's keys had changed, and `moved` saying so."""

    def new(id_: ResourceId | None) -> ResourceId | None:
        return None if id_ is None else ids.get(id_, id_)

    def output_of(wanted: Output) -> Output:
        return dataclasses.replace(wanted, of=ids.get(wanted.of, wanted.of))

    def provided(at: Endpoint[Any, Any]) -> Endpoint[Any, Any]:
        return dataclasses.replace(at, provider=new(at.provider))

    resources = tuple(
        dataclasses.replace(
            substitute(resource, output_of),
            id=ids.get(resource.id, resource.id),
            within=new(resource.within),
            after=frozenset(ids.get(id_, id_) for id_ in resource.after),
            at=provided(resource.at),
            also=tuple(provided(at) for at in resource.also),
        )
        for resource in paved.resources
    )
    grounds = tuple(
        dataclasses.replace(one, at=provided(one.at), also=tuple(provided(at) for at in one.also))
        for one in paved.grounds
    )
    connectors = {name: substitute(connector, output_of) for name, connector in paved.connectors.items()}
    return dataclasses.replace(
        paved, resources=resources, connectors=connectors, grounds=grounds, moved=dict(ids)
    )


def _different(wish: Paved, other: Paved) -> set[ResourceId]:
    wishes = {resource.id: wish_digest(resource) for resource in wish.resources}
    others = {resource.id: wish_digest(resource) for resource in other.resources}
    _same("what is wished otherwise are the same resources", others, wishes)
    return {id_ for id_, digest in others.items() if digest != wishes[id_]}


def _pending(planned: Plan) -> set[ResourceId]:
    return {action.resource for action in planned.pending}


def _acted(under: Under, paved: Paved, planned: Plan) -> Outcome:
    outcome = under.act(paved, planned)
    for id_, error in outcome.failed:
        told = "\n".join(error.lines()) if isinstance(error, PaverError) else str(error)
        raise NotConforming(f"{id_} could not be acted on", seen=told) from error
    _same("nothing is left", outcome.left, ())
    return outcome


def _quiet(under: Under, paved: Paved) -> None:
    _same("a finished site has nothing to do", _pending(under.plan(paved)), ())


def _holds(condition: bool, sentence: str, seen: str = "") -> None:
    if not condition:
        raise NotConforming(f"it does not hold that {sentence}", seen=seen)


def _same(sentence: str, found: Iterable[str], wanted: Iterable[str]) -> None:
    left, right = {*found}, {*wanted}
    differing = [*(f"+ {one}" for one in sorted(left - right)), *(f"- {one}" for one in sorted(right - left))]
    _holds(not differing, sentence, "\n".join(differing))
