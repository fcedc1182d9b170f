"""What bears the site's mark and is no longer wished for: deletes in every plan of the whole site."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from paver.engine import held, moves
from paver.engine.board import standing
from paver.engine.diff import fingerprint, put_back
from paver.engine.graph import Graph
from paver.engine.leave import allowed, by_kind
from paver.engine.observe import Seen, discover
from paver.engine.paved import Paved
from paver.engine.plan import Action
from paver.engine.resource import Facts, Ground, Verb
from paver.engine.values import ResourceId
from paver.engine.world import ReadingWorld


def marked(
    paved: Paved,
    graph: Graph,
    world: ReadingWorld,
    seen: Mapping[ResourceId, Seen],
    *,
    selects: bool,
    leaving: bool,
) -> list[tuple[Ground, Facts]]:
    """Returns all that bears the site's mark; under a selection only where something selected was renamed."""

    def reachable(ground: Ground) -> bool:
        return all(
            one in seen and standing(seen[one].facts, graph.resources[one])
            for one in graph.asked_through(ground.at)
        )

    grounds = tuple(ground for ground in paved.grounds if leaving or not ground.kind.left_over)
    if selects:
        renamed = {
            (graph.resources[new].kind, graph.resources[new].at.name)
            for new in paved.moved.values()
            if new in seen
        }
        grounds = tuple(ground for ground in grounds if (ground.kind.kind, ground.at.name) in renamed)
    found = discover(grounds, reachable, world)
    return [
        (ground, facts) for ground, facts in found if facts.mark is not None and facts.mark.site == world.site
    ]


def actions(
    paved: Paved,
    graph: Graph,
    ours: list[tuple[Ground, Facts]],
    stuck: Mapping[ResourceId, Facts],
    planned: list[Action],
    world: ReadingWorld,
    *,
    leaving: bool,
    allow: tuple[str, ...],
) -> list[Action]:
    """Returns the deletes of `ours` that nobody wishes for."""
    if leaving:
        # What could not take its new id goes under its old one.
        ours = [(ground, moves.as_marked(facts, stuck)) for ground, facts in ours]
    known = {*graph.resources, *(action.resource for action in planned)}
    return [
        held_back(
            action(paved, ground, facts, facts.mark.id, world, allow), ground, facts, world, leaving=leaving
        )
        for ground, facts in ours
        if facts.mark is not None and facts.mark.id not in known
    ]


def action(
    paved: Paved, ground: Ground, facts: Facts, id_: ResourceId, world: ReadingWorld, allow: tuple[str, ...]
) -> Action:
    """Returns the delete of something that nobody wishes for; what it needs done before is `order`'s."""
    blocked = by_kind(ground.kind) and not allowed(id_, allow)
    return Action(
        resource=id_,
        **held.frame(ground.kind, ground.at, ground.phase, ground.also, paved.outside),
        verb=Verb.BLOCKED if blocked else Verb.DELETE,
        reason="protected: name it with --allow" if blocked else "no longer wished for",
        before=fingerprint(facts),
        changes=() if blocked else put_back(facts, ground.kind.former(world, ground.at, facts)),
        calls=held.calls_of(ground.kind, Verb.DELETE),
        estimate=1,
    )


def held_back(deletes: Action, ground: Ground, facts: Facts, world: ReadingWorld, *, leaving: bool) -> Action:
    """Returns the delete, blocked where its kind says that what stands there has to stay for now."""
    why = "" if leaving or deletes.verb is not Verb.DELETE else ground.kind.holds(world, ground.at, facts)
    return dataclasses.replace(deletes, verb=Verb.BLOCKED, reason=why, changes=()) if why else deletes
