"""What has to hold after an act: it is as wished, its own checks hold, and a tool did no more than it declared."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

from paver.engine.diff import changes
from paver.engine.resource import Facts, Opaque, Resource, Verb
from paver.engine.values import ResourceId, Secret, encode, has_unknown
from paver.engine.world import ReadingWorld
from paver.errors import PaverError
from paver.signing import canonical
from paver.signing.canonical import Json


def promised(
    opaque: Opaque, wished: Mapping[str, Json], versions: Callable[[Secret], str | None]
) -> dict[str, Json]:
    """Returns what a plan says of a tool that writes by itself.

    `inputs` is the digest of all that it is told, `program` that of the tool; each an *unknown* until what it comes from
    stands.
    """
    program = encode(opaque.program, versions)
    unknown: Json = {"unknown": "it is known once what it comes from stands"}
    return {
        "argv": list(opaque.argv),
        "effects": list(opaque.effects),
        "inputs": unknown if has_unknown(dict(wished)) else canonical.digest(dict(wished)),
        "makes": list(opaque.makes),
        "program": program,
        "tool": opaque.tool,
    }


def around(resource: Resource[Any] | None, verb: Verb, world: ReadingWorld) -> frozenset[str] | None:
    """Lists what lies around an opaque act: tools that write by themselves are compared, not believed."""
    if resource is None or resource.opaque(verb) is None:
        return None
    return resource.surroundings(world)


def nothing_undeclared(
    resource: Resource[Any] | None, verb: Verb, before: frozenset[str] | None, world: ReadingWorld
) -> None:
    """Does nothing if what changed around an opaque act since `before` was declared.

    Raises:
        PaverError: if not.
    """
    opaque = resource.opaque(verb) if resource is not None else None
    if before is None or resource is None or opaque is None:
        return
    after = resource.surroundings(world) or frozenset()
    changed = [
        (sign, name) for sign, names in (("+", after - before), ("-", before - after)) for name in names
    ]
    undeclared = sorted(
        f"{sign} {name}"
        for sign, name in changed
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in opaque.makes)
    )
    if undeclared:
        raise PaverError(
            f"{resource.id}: {opaque.tool} did something that the plan does not declare",
            seen="\n".join(undeclared),
            why="either the tool does more than is known of it, or somebody else was at work meanwhile",
            do="look at it; what is named above is not paver's, and nothing of it was undone",
        )


def gone(id_: ResourceId, after: Facts | None) -> None:
    """Does nothing if what was deleted is not there any more.

    Raises:
        PaverError: if it is.
    """
    if after is not None:
        raise PaverError(f"{id_} is still there after it was deleted")


def as_wished(resource: Resource[Any], after: Facts | None, world: ReadingWorld) -> None:
    """Does nothing if what was read after the act equals the wish, is marked complete, and every check holds.

    Raises:
        PaverError: if not.
    """
    if after is None:
        raise PaverError(f"{resource.id} is not there after it was made")
    for change in changes(resource, after, world.versions):
        raise PaverError(
            f"{resource.id}: {change.field} is not what was set",
            seen=f"{change.before}, wished {change.after}",
        )
    if after.mark is not None and after.mark.was is not None:
        raise PaverError(f"{resource.id} still bears the mark of {after.mark.was}")
    if after.mark is not None and not after.mark.names(world.site, resource.id):
        raise PaverError(
            f"{resource.id} bears the mark of {after.mark.id} of the site {after.mark.site} after it was made",
            why="another run made it its own meanwhile",
            do="find out from where else paver runs there, and which of the two it is to be",
        )
    if after.mark is not None and not after.mark.complete:
        raise PaverError(
            f"{resource.id} was not marked complete",
            do="if paver runs on this site from elsewhere too, let that end; then run the same command again",
        )
    for check in resource.checks(world, after):
        if not check.ok:
            raise PaverError(f"{resource.id}: {check.name} does not hold", seen=check.seen)
