"""Whose is what on a director and in the Concourse beside it: neither's objects carry marks, so a config of type `paver` does.

One config a site, named like the site: resource id → {action, complete, holds}. `holds` are digests and
versions that the director or Concourse cannot show, and what the cloud config said of a deployment. It outlives the jumpbox, as what it speaks of does.

An entry is begun before the first write and struck after the last one. What is begun is there by its entry, also where the
service has it not yet, or no more: else an entry that a killed run left would be nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, PaverError, Reader, ResourceId, Writer
from paver.signing import canonical
from paver.signing.canonical import Json

SCHEMA = "paver.director-ledger/1"
TYPE = "paver"
CALLS = frozenset({"POST /configs", "DELETE /configs"})


def read(world: Reader, at: Endpoint[Any, Any]) -> dict[str, Any]:
    """Returns all entries of this site, by resource id; kept as long as what else was read of the director."""
    return _entries(world.session(at).answer("/configs", params=_latest(world)), world.site)


def _now(world: Reader, at: Endpoint[Any, Any]) -> dict[str, Any]:
    """Returns them as they are: whoever writes writes all of them."""
    return _entries(world.session(at).get("/configs", params=_latest(world)), world.site)


def _latest(world: Reader) -> dict[str, str]:
    return {"type": TYPE, "name": world.site, "latest": "true"}


def _entries(answer: Any, site: str) -> dict[str, Any]:
    found: Any = answer.json()
    return loads(found[0]["content"], site) if found else {}


def of_kind(world: Reader, at: Endpoint[Any, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields resource id and entry of each resource of one kind."""
    yield from ((id_, entry) for id_, entry in read(world, at).items() if id_.startswith(f"{kind}:"))


def loads(text: str, site: str) -> dict[str, Any]:
    """Returns the entries of a site's ledger.

    Raises:
        PaverError: if it is none that this version reads.
    """
    try:
        document: Any = canonical.loads(text)
    except canonical.CanonicalError as error:
        raise _other(site, error.what) from error
    match document:
        case {"entries": dict(entries), "schema": str(schema), **more} if schema == SCHEMA and not more:
            wrong = sorted(id_ for id_, entry in entries.items() if not _is_entry(entry))
            if wrong:
                raise _other(site, f"the entry of {wrong[0]}")
            return entries
        case {"schema": str(schema)} if schema != SCHEMA:
            raise _other(site, schema)
        case _:
            raise _other(site, "its keys are not those of a ledger")


def _is_entry(entry: object) -> bool:
    match entry:
        case {"action": str(), "address": dict(), "complete": bool(), "holds": dict(), **more}:
            return not more
        case _:
            return False


def _other(site: str, seen: str) -> PaverError:
    return PaverError(
        f"the director's config {site} of type {TYPE} is not a ledger that this paver reads",
        seen=seen,
        why=f"it says what paver made there; this paver reads {SCHEMA}",
        do=f"use the version that wrote it, or put an earlier one back: `bosh configs --type {TYPE} --recent 5`",
    )


def mark(site: str, id_: str, entry: Mapping[str, Any] | None) -> Mark | None:
    """Returns an entry as a mark, None where there is none."""
    if entry is None:
        return None
    return Mark(site, ResourceId(id_), entry["action"], entry["complete"])


def note(
    world: Writer,
    at: Endpoint[Any, Any],
    *,
    complete: bool,
    holds: Mapping[str, Json] | None = None,
    address: Mapping[str, str] | None = None,
) -> None:
    """Notes this action's resource as begun or complete."""
    wanted = world.mark(complete=complete)
    entries = _now(world, at)
    entries[wanted.id] = {
        "action": wanted.action,
        "address": dict(address or {}),
        "complete": complete,
        "holds": dict(holds or {}),
    }
    _write(world, at, entries)


def begun(mark: Mark | None) -> bool:
    """Tells whether an entry says that its resource is on its way, in or out."""
    return mark is not None and not mark.complete


def leaving(world: Writer, at: Endpoint[Any, Any], facts: Facts) -> None:
    """Notes that it is on its way out: who is killed in between would take his own work for somebody else's."""
    if facts.mark is not None:
        note(world, at, complete=False, address=facts.address)


def strike(world: Writer, at: Endpoint[Any, Any], id_: str) -> None:
    """Removes an entry."""
    entries = _now(world, at)
    if entries.pop(id_, None) is not None:
        _write(world, at, entries)


def _write(world: Writer, at: Endpoint[Any, Any], entries: Mapping[str, Any]) -> None:
    director = world.writing(at)
    if entries:
        content = canonical.dumps({"entries": dict(entries), "schema": SCHEMA}).decode()
        director.post(
            "/configs",
            call="POST /configs",
            json={"type": TYPE, "name": world.site, "content": content},
        )
    else:
        director.delete("/configs", call="DELETE /configs", params={"type": TYPE, "name": world.site})
