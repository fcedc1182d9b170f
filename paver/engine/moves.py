"""What the site file's `moved` means for a plan: a thing keeps standing, and its mark gets the new id.

A mark is read by the id that its resource has now and remembers the one it still bears (`Mark.was`). Where the
thing's own name would have to change with the id, nothing is made anew behind anybody's back: it is blocked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from paver.engine.diff import Change, fingerprint, put_back
from paver.engine.observe import Seen
from paver.engine.paved import Paved
from paver.engine.plan import Action
from paver.engine.resource import Facts, Ground, Resource, Verb
from paver.engine.values import ResourceId, kind_of
from paver.engine.world import ReadingWorld
from paver.errors import BadInput


def carried(paved: Paved, moved: Mapping[str, str]) -> Paved:
    """Returns the wish with the site file's renames.

    Raises:
        BadInput: if a new id is not the site's, an old one still is, or the kinds are not the same.
    """
    ids = {str(resource.id) for resource in paved.resources}
    for old, new in sorted(moved.items()):
        if new not in ids:
            alike = sorted(id_ for id_ in ids if kind_of(id_) == kind_of(new))
            raise BadInput(
                f"moved: {old}: this site has no {new}",
                seen=("it has " + ", ".join(alike[:5])) if alike else "",
                why="the new id has to be that of a resource as the site file names it now",
                do="correct it: `paver plan --ids` shows the ids, or take the entry out",
            )
        if old in ids:
            raise BadInput(
                f"moved: {old}: the site file still wishes for it",
                why="only what the site file does not name any more can have got another id",
                do=f"take {old} out of the site file, or the entry out of `moved`",
            )
    renames = {ResourceId(old): ResourceId(new) for old, new in moved.items()}
    return dataclasses.replace(paved, moved=renames)


def hindrance(resource: Resource[Any], facts: Facts, changed: Iterable[Change]) -> str:
    """Returns why the mark of what stands there cannot be rewritten; empty if it can."""
    mark = facts.mark
    if mark is None or mark.was is None:
        return ""
    own = next((change.before for change in changed if change.field == "name"), None)
    if own is not None:
        return _other_name(mark.was, str(own))
    if resource.calls.get(Verb.UPDATE):
        return ""
    return f"it is {mark.was}, and a {resource.kind} takes no other id later: take the entry out of `moved`"


def stuck(found: Iterable[tuple[Ground, Facts]], seen: Mapping[ResourceId, Seen]) -> dict[ResourceId, Facts]:
    """Returns what bears an old id and is not what is read under the new one, by the new id."""
    return {
        facts.mark.id: facts
        for _, facts in found
        if facts.mark is not None
        and facts.mark.was is not None
        and facts.mark.id in seen
        and not _is_it(facts, seen[facts.mark.id].facts)
    }


def _is_it(facts: Facts, read: Facts | None) -> bool:
    if read is None or read.mark is None or read.mark.was is None:
        return False
    return dict(read.address) == dict(facts.address)


def blocked(action: Action, left: Mapping[ResourceId, Facts], seen: Mapping[ResourceId, Seen]) -> Action:
    """Returns an action, blocked where what it was to take over is another thing."""
    facts = left.get(action.resource)
    if facts is None or facts.mark is None or facts.mark.was is None:
        return action
    was, read = facts.mark.was, seen[action.resource].facts
    if _other(read):
        reason = f"{was} stands beside it, and two things cannot become one: take the entry out of `moved`"
    else:
        reason = _other_name(was, ", ".join(facts.address.values()))
    return dataclasses.replace(action, verb=Verb.BLOCKED, reason=reason, calls=(), lost=(), changes=())


def _other_name(was: ResourceId, own: str) -> str:
    return (
        f"it is {was}, and its own name ({own}) would change with its id: keep the key, "
        "or take the entry out of `moved` to have it deleted and made anew"
    )


def leaving(
    actions: Iterable[Action],
    left: Mapping[ResourceId, Facts],
    seen: Mapping[ResourceId, Seen],
    world: ReadingWorld,
) -> list[Action]:
    """Returns a destroy's actions: what could not take its new id goes as what its mark says, with its own name."""
    made = []
    for action in actions:
        facts = left.get(action.resource)
        found = seen[action.resource]
        if facts is None or facts.mark is None or facts.mark.was is None or _other(found.facts):
            made.append(action)
            continue
        former = found.resource.former(world, found.resource.at, facts)
        own = dataclasses.replace(
            action, resource=facts.mark.was, before=fingerprint(facts), changes=put_back(facts, former)
        )
        made.append(own)
    return made


def _other(read: Facts | None) -> bool:
    """Tells whether what stands under the new id is another thing, not an echo of the old one's mark."""
    return read is not None and (read.mark is None or read.mark.was is None)


def as_marked(facts: Facts, left: Mapping[ResourceId, Facts]) -> Facts:
    """Returns facts by the id that their mark bears, if they could not take their new one."""
    mark = facts.mark
    if mark is None or mark.was is None or mark.id not in left:
        return facts
    return dataclasses.replace(facts, mark=dataclasses.replace(mark, id=mark.was, was=None))
