"""What waits for what in a plan: it follows from the wish's edges and from which actions the plan has.

The planner writes it down, and whoever carries a plan out works it out again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from paver.engine.graph import Graph, backwards, closure
from paver.engine.paved import Paved
from paver.engine.plan import WRITES, Action
from paver.engine.resource import Resource, Verb
from paver.engine.values import ResourceId


def wished(actions: Iterable[Action], graph: Graph, paved: Paved) -> dict[ResourceId, Action]:
    """Returns the actions by what they are about in the wish; those of what nobody wishes for are left out.

    What could not take the id that `moved` gives it goes under its old one.
    """
    found = {action.resource: action for action in actions if action.resource in graph.resources}
    for action in actions:
        new = paved.moved.get(action.resource, action.resource)
        # What is an orphan says so.
        if new in graph.resources and action.verb is Verb.DELETE and not action.reason:
            found.setdefault(new, action)
    return found


def goes_along(resource: Resource[Any], going: Collection[ResourceId]) -> bool:
    """Tells whether a resource needs no call of its own to go: what it exists in is among those `going`."""
    return resource.dies_with_parent and resource.within in going


def needs(actions: Iterable[Action], graph: Graph) -> dict[ResourceId, Collection[ResourceId]]:
    """Returns what each thing needs: those of a plan as it says, and those that a selection left out as the wish does.

    Who waits for what goes by that: what a thing stands on that is left as it is may stand on something that is not. A bucket
    that is kept is not there while what it lies in is restarted.
    """
    return {**graph.needs, **{action.resource: action.needs for action in actions}}


def behind(ids: Iterable[ResourceId], needs: Mapping[ResourceId, Collection[ResourceId]]) -> set[ResourceId]:
    """Returns those of `ids`, and whatever needs one of them, also through others."""
    return closure(ids, backwards(needs).__getitem__)


def given(actions: list[Action], graph: Graph, paved: Paved, *, leaving: bool) -> list[Action]:
    """Returns a plan's actions, each with what it needs done before.

    What is made needs what it stands on, and what goes needs that gone which stands on it. What nobody wishes for goes
    last at its endpoint, later kinds first, and after all tools that write by themselves: they may be moving away from it,
    and whatever comes or goes around them counts as theirs. When the site goes, it goes before what its endpoint is
    reached through.
    """
    about = wished(actions, graph, paved)
    names = {id_: action.resource for id_, action in about.items()}
    going = {id_ for id_, action in about.items() if action.verb is Verb.DELETE}
    own = set(names.values())
    orphans = [action for action in actions if action.resource not in own]
    found = _orphans_needs(orphans, [] if leaving else about.values(), paved)
    living = _living_behind(orphans, graph, paved) if leaving else {}
    dependents = graph.dependents()
    for id_, action in about.items():
        if action.verb is Verb.DELETE:
            before = closure(dependents[id_], dependents.__getitem__) & going - {id_}
            found[action.resource] = {names[one] for one in before} | living.get(id_, set())
        else:
            found[action.resource] = {names.get(one, one) for one in graph.needs[id_]}
    return [dataclasses.replace(one, needs=tuple(sorted(found[one.resource]))) for one in actions]


def _orphans_needs(
    orphans: list[Action], staying: Iterable[Action], paved: Paved
) -> dict[ResourceId, set[ResourceId]]:
    order = {ground.kind.kind: number for number, ground in enumerate(paved.grounds)}
    ranks = {one.resource: (order[one.kind], one.resource) for one in orphans}
    writing: dict[str, set[ResourceId]] = {}
    tools: set[ResourceId] = set()
    for action in staying:
        if action.verb in WRITES:
            writing.setdefault(action.endpoint, set()).add(action.resource)
            if action.opaque is not None:
                tools.add(action.resource)
    return {
        one.resource: {other for other, rank in ranks.items() if rank > ranks[one.resource]}
        | writing.get(one.endpoint, set())
        | tools
        for one in orphans
    }


def _living_behind(orphans: list[Action], graph: Graph, paved: Paved) -> Mapping[ResourceId, set[ResourceId]]:
    """Returns the orphans by what their endpoint is dialled by."""
    dialled_by = {ground.at.name: graph.asked_through(ground.at) for ground in paved.grounds}
    living: dict[ResourceId, set[ResourceId]] = {}
    for one in orphans:
        for id_ in dialled_by.get(one.endpoint, ()):
            living.setdefault(id_, set()).add(one.resource)
    return living
