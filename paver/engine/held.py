"""What of an action is not the plan's to say: it follows from the wish and the kind, so it is built again and compared.

A plan file travels, and whoever edits one with care fits the ids as well. What it may write, where and from which station
is the kind's to say, what is wished for the site file's; what it calls new, changed or gone, `again` works out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paver.engine import order
from paver.engine.diff import wish_digest
from paver.engine.graph import Graph
from paver.engine.paved import Paved
from paver.engine.plan import Action, Plan
from paver.engine.resource import Endpoint, Resource, Verb
from paver.engine.selection import Selection
from paver.engine.values import ResourceId, encode
from paver.errors import Refused
from paver.signing import canonical

AGAIN = "make a new plan, and have it approved"


def frame(
    kind: type[Resource[Any]],
    at: Endpoint[Any, Any],
    phase: str,
    also: Iterable[Endpoint[Any, Any]],
    outside: frozenset[str],
) -> dict[str, Any]:
    """Returns the fields of an action that its kind and its place give: where it acts, from which station, how."""
    return {
        "kind": kind.kind,
        "phase": phase,
        "station": "outside" if phase in outside else "jumpbox",
        "endpoint": at.name,
        "also": tuple(sorted(one.name for one in also)),
        "setting": kind.setting,
        "lane": kind.lane.value,
    }


def calls_of(kind: type[Resource[Any]], verb: Verb) -> tuple[str, ...]:
    """Returns what an act of `verb` may call: for a replace, that of delete and create."""
    verbs = {
        Verb.REPLACE: (Verb.DELETE, Verb.CREATE, Verb.UPDATE),
        Verb.ADOPT: (Verb.ADOPT, Verb.UPDATE),
        Verb.CREATE: (Verb.CREATE, Verb.UPDATE),
    }.get(verb, (verb,))
    return tuple(sorted({call for one in verbs for call in kind.calls.get(one, frozenset())}))


def demand(plan: Plan, paved: Paved) -> None:
    """Does nothing if every action of `plan` is of this wish and acts as its kind does, in the place and order that it has.

    Raises:
        Refused: if not.
    """
    graph = paved.graph
    about = order.wished(plan.actions, graph, paved)
    own = {action.resource: graph.resources[id_] for id_, action in about.items()}
    for action in plan.actions:
        _same_wish(plan, action, own.get(action.resource))
        if action.verb is not Verb.BLOCKED:
            _same_act(action, own.get(action.resource), paved)
    for name, found, value in (("phases", plan.phases, paved.phases), ("slots", plan.slots, paved.slots)):
        if not _same(found, value):
            raise _edited(f"the plan's {name} are not the site's", _words(found), _words(value))
    _same_part(plan, graph, about)
    _same_order(plan, graph, paved, about)


def _same_wish(plan: Plan, action: Action, resource: Resource[Any] | None) -> None:
    if action.verb is Verb.DELETE:
        if plan.mode == "apply" and resource is not None:
            raise Refused(
                f"the plan deletes {action.resource}, which the site file wishes for",
                why="it is not what paver planned: an apply deletes only what nobody wishes for any more",
                do=AGAIN,
            )
        demand_same(action, "wish", None)
        return
    if resource is None and action.verb is Verb.BLOCKED:
        return
    if resource is None or action.wish != wish_digest(resource):
        raise Refused(
            f"the plan's wish for {action.resource} is not the site file's",
            why="the site file, the driver or paver changed after the plan was made",
            do=AGAIN,
        )


def _same_act(
    action: Action,
    resource: Resource[Any] | None,
    paved: Paved,
) -> None:
    if resource is not None:
        kind = type(resource)
        expected = frame(kind, resource.at, resource.phase, resource.also, paved.outside)
    else:
        ground = paved.ground_of.get((action.kind, action.endpoint))
        if ground is None:
            raise edited(action, "kind and endpoint", f"{action.kind} at {action.endpoint}", "no such place")
        kind = ground.kind
        expected = frame(kind, ground.at, ground.phase, ground.also, paved.outside)
    expected["calls"] = calls_of(kind, action.verb) if action.writes else ()
    for name, value in expected.items():
        demand_same(action, name, value)


def _same_part(plan: Plan, graph: Graph, about: Mapping[ResourceId, Action]) -> None:
    """An apply has an action for each resource that its selection chooses, and no plan one for another."""
    chosen = part(plan)
    for id_, resource in graph.resources.items():
        named = chosen.has(about[id_].resource if id_ in about else id_, resource.phase)
        if id_ in about and not named:
            demand_same(about[id_], "resource", "one that is selected")
        if id_ not in about and named and plan.mode == "apply":
            raise leaves_out(plan, id_)
    if chosen and len(about) != len(plan.actions):
        raise _edited("the plan is of a part of the site", "deletes of what is not wished for", "none")


def part(plan: Plan) -> Selection:
    """Returns which part of the site a plan is of: a phase has no colon in its name, and a resource's id one."""
    phases = tuple(word for word in plan.selection if word in plan.phases)
    return Selection(phases, tuple(word for word in plan.selection if word not in plan.phases))


def leaves_out(plan: Plan, id_: ResourceId) -> Refused:
    """Returns what says that a plan has no action for something."""
    return _edited(
        f"the plan leaves out {id_}",
        f"selected: {', '.join(plan.selection) or 'the whole site'}",
        "an action for it",
    )


def _same_order(plan: Plan, graph: Graph, paved: Paved, about: Mapping[ResourceId, Action]) -> None:
    """What waits for what, what goes along, and who could not be asked follow from which actions there are."""
    leaving = plan.mode == "destroy"
    going = {id_ for id_, action in about.items() if action.verb is Verb.DELETE}
    own = {action.resource: id_ for id_, action in about.items()}
    for action in plan.actions:
        id_ = own.get(action.resource)
        along = id_ in going and order.goes_along(graph.resources[id_], going)
        demand_same(action, "implied", along)
        before = graph.holders[id_] | graph.asked_through(graph.resources[id_].at) if id_ is not None else ()
        if not any(one in about and about[one].verb in {Verb.CREATE, Verb.REPLACE} for one in before):
            demand_same(action, "asked", value=True)
    for action, again in zip(
        plan.actions, order.given(list(plan.actions), graph, paved, leaving=leaving), strict=True
    ):
        demand_same(action, "needs", again.needs)
    wished = [about[id_].resource for id_ in graph.resources if id_ in about]
    for action, id_ in zip(plan.actions, wished, strict=False):
        if action.resource != id_:
            raise _edited("the plan has its actions in another order", action.resource, id_)


def demand_same(action: Action, field: str, value: object) -> None:
    """Does nothing if a field of an action has the value that paver plans.

    Raises:
        Refused: if not.
    """
    found = getattr(action, field)
    if not _same(found, value):
        raise edited(action, field, _words(found), _words(value))


def _same(found: object, value: object) -> bool:
    if isinstance(value, str) or value == ():
        return found == value
    # By their canonical form: True is no 1 there.
    return canonical.dumps(encode(found)) == canonical.dumps(encode(value))


def edited(action: Action, field: str, found: str, expected: str) -> Refused:
    """Returns what says that an action's field is not what paver plans."""
    return _edited(f"the plan's {field} for {action.resource} is not what paver plans", found, expected)


def _edited(what: str, found: str, expected: str) -> Refused:
    return Refused(
        what,
        seen=f"{found}, expected {expected}",
        why="the plan was edited, or the driver or paver changed after it was made",
        do=AGAIN,
    )


def _words(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else canonical.dumps(encode(value)).decode()
