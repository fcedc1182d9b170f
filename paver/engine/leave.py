"""Leave to replace or delete what is protected: the plan has it, and the command that carries the plan out names it too.

A plan file travels: whoever starts it must say as well that data may go. No plan comes to the executor without it,
however it was made.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Collection

from paver.engine.paved import Paved
from paver.engine.plan import Plan
from paver.engine.resource import Resource, Verb
from paver.engine.values import kind_of
from paver.errors import Refused

TAKES = frozenset({Verb.REPLACE, Verb.DELETE})


def allowed(id_: str, patterns: Collection[str]) -> bool:
    """Tells whether a protected resource was named."""
    return any(fnmatch.fnmatchcase(id_, pattern) for pattern in patterns)


def by_kind(kind: type[Resource]) -> bool:  # type: ignore[type-arg]
    """Tells whether a kind is protected where nobody wishes for the resource any more."""
    return any(field.name == "protected" and field.default is True for field in dataclasses.fields(kind))


def demand(plan: Plan, paved: Paved, allow: Collection[str]) -> None:
    """Does nothing if plan and command (`allow`: its patterns) name every protected thing that the plan takes away.

    Raises:
        Refused: if not.
    """
    wished = {resource.id: resource.protected for resource in paved.resources}
    kinds = {ground.kind.kind: by_kind(ground.kind) for ground in paved.grounds}
    # Each once, in order: what goes by itself may be lost with others as well.
    taken = dict.fromkeys(
        id_
        for action in plan.actions
        if action.verb in TAKES
        for id_ in (action.resource, *action.lost)
        if wished.get(id_, kinds.get(kind_of(id_), False))
    )
    unplanned = [id_ for id_ in taken if not allowed(id_, plan.allow)]
    if unplanned:
        raise Refused(
            f"the plan takes away {unplanned[0]}, which is protected, without leave to",
            seen=", ".join(unplanned),
            why="paver writes no such plan",
            do="make a new plan with --allow, and have it approved",
        )
    unnamed = [id_ for id_ in taken if not allowed(id_, allow)]
    if unnamed:
        raise Refused(
            f"the plan takes away {unnamed[0]}, which is protected, and the command does not name it",
            seen=", ".join(unnamed),
            why="what is protected goes only where plan and command name it",
            do="give the same --allow here, if you mean it",
        )
