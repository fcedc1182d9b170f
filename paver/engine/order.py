"""What waits for what in a plan: it follows from the wish's edges and from which actions the plan has.

The planner writes it down, and whoever carries a plan out works it out again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from paver.engine.graph import Graph, closure
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


def waits(actions: Iterable[Action], todo: Collection[ResourceId]) -> dict[ResourceId, frozenset[ResourceId]]:
    """Returns what each of `todo` waits for among them.

    That is what it needs, and what a thing needs that is left as it is, or done already, in between: a bucket that is kept is
    not there while what it lies in is restarted.
    """
    needs = {action.resource: action.needs for action in actions}

    def over(id_: ResourceId) -> Iterable[ResourceId]:
        return () if id_ in todo else needs.get(id_, ())

    return {id_: frozenset(one for one in closure(needs[id_], over) if one in todo) for id_ in todo}


def given(actions: list[Action], graph: Graph, paved: Paved, *, leaving: bool) -> list[Action]:
    """Returns a plan's actions, each with what it needs done before.

    What is made needs what it stands on, and what goes needs that gone which stands on it. What nobody wishes for goes
    last at its endpoint, later kinds first; when the site goes, before what its endpoint is reached through.
    """
    about = wished(actions, graph, paved)
    names = {id_: action.resource for id_, action in about.items()}
    going = {id_ for id_, action in about.items() if action.verb is Verb.DELETE}
    own = set(names.values())
    orphans = [action for action in actions if action.resource not in own]
    needs = _orphans_needs(orphans, [] if leaving else about.values(), paved)
    living = _living_behind(orphans, graph, paved) if leaving else {}
    dependents = graph.dependents()
    for id_, action in about.items():
        if action.verb is Verb.DELETE:
            before = closure(dependents[id_], dependents.__getitem__) & going - {id_}
            needs[action.resource] = {names[one] for one in before} | living.get(id_, set())
        else:
            needs[action.resource] = {names.get(one, one) for one in graph.needs[id_]}
    return [dataclasses.replace(one, needs=tuple(sorted(needs[one.resource]))) for one in actions]


def _orphans_needs(
    orphans: list[Action], staying: Iterable[Action], paved: Paved
) -> dict[ResourceId, set[ResourceId]]:
    order = {ground.kind.kind: number for number, ground in enumerate(paved.grounds)}
    ranks = {one.resource: (order[one.kind], one.resource) for one in orphans}
    writing: dict[str, set[ResourceId]] = {}
    for action in staying:
        if action.verb in WRITES:
            writing.setdefault(action.endpoint, set()).add(action.resource)
    return {
        one.resource: {other for other, rank in ranks.items() if rank > ranks[one.resource]}
        | writing.get(one.endpoint, set())
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
