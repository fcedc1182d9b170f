"""What of an action is not the plan's to say: it follows from the wish and the kind, so it is built again and compared.

A plan file travels, and whoever edits one with care fits the ids as well. What it may write, where and from which station
is the kind's to say, what is wished for the site file's; of the rest the signature over the plan vouches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paver.engine.diff import wish_digest
from paver.engine.paved import Paved
from paver.engine.plan import WRITES, Action, Plan
from paver.engine.resource import Endpoint, Ground, Resource, Verb
from paver.errors import Refused

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
    """Does nothing if every action of `plan` is of this wish, and acts as its kind does.

    Raises:
        Refused: if not.
    """
    resources = {resource.id: resource for resource in paved.resources}
    grounds = {(ground.kind.kind, ground.at.name): ground for ground in paved.grounds}
    for action in plan.actions:
        _same_wish(plan, action, resources.get(action.resource))
        if action.verb in WRITES:
            _same_act(action, resources.get(action.resource), grounds, paved.outside)


def _same_wish(plan: Plan, action: Action, resource: Resource[Any] | None) -> None:
    if action.wish is None:
        if plan.mode == "apply" and action.writes and resource is not None:
            raise Refused(
                f"the plan deletes {action.resource}, which the site file wishes for",
                why="it is not what paver planned: an apply deletes only what nobody wishes for any more",
                do=AGAIN,
            )
        return
    if resource is None or wish_digest(resource) != action.wish:
        raise Refused(
            f"the plan's wish for {action.resource} is not the site file's",
            why="the site file, the driver or paver changed after the plan was made",
            do=AGAIN,
        )


def _same_act(
    action: Action,
    resource: Resource[Any] | None,
    grounds: Mapping[tuple[str, str], Ground],
    outside: frozenset[str],
) -> None:
    if resource is not None:
        kind = type(resource)
        expected = frame(kind, resource.at, resource.phase, resource.also, outside)
    else:
        ground = grounds.get((action.kind, action.endpoint))
        if ground is None:
            raise _edited(action, "kind and endpoint", f"{action.kind} at {action.endpoint}", "no such place")
        kind = ground.kind
        expected = frame(kind, ground.at, ground.phase, ground.also, outside)
    expected["calls"] = () if action.implied else calls_of(kind, action.verb)
    for name, value in expected.items():
        found = getattr(action, name)
        if found != value:
            raise _edited(action, name, _words(found), _words(value))


def _edited(action: Action, field: str, found: str, expected: str) -> Refused:
    return Refused(
        f"the plan's {field} for {action.resource} is not what paver plans",
        seen=f"{found}, expected {expected}",
        why="the plan was edited, or the driver or paver changed after it was made",
        do=AGAIN,
    )


def _words(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
