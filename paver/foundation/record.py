"""A record on the jumpbox: mark and wish of what cannot be asked for them itself (an unpacked tree, a proof).

One small file a resource, `/var/lib/paver/records/<site>/<kind>/<key>.json`, canonical, without secrets: a
secret stands in it by its version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from paver.driver import (
    JUMPBOX_ENDPOINT,
    Endpoint,
    Mark,
    PaverError,
    Reader,
    ResourceId,
    Secret,
    Writer,
    encode,
    kind_of,
)
from paver.signing import canonical
from paver.signing.canonical import Json

SCHEMA = "paver.record/1"
RECORDS = PurePosixPath("/var/lib/paver/records")
CALLS = frozenset({"file:write", "file:mkdir"})
REMOVE = frozenset({"file:remove"})


@dataclasses.dataclass(frozen=True)
class Record:
    """What stands in a record."""

    mark: Mark
    wish: Mapping[str, Any]


def jumpbox() -> Endpoint[Any, Any]:
    """Returns where records are, for kinds that live elsewhere: the machine by its name alone."""
    return Endpoint(JUMPBOX_ENDPOINT)


def read(world: Reader, at: Endpoint[Any, Any], id_: ResourceId) -> Record | None:
    """Returns the record of `id_`, None if there is none."""
    data = world.session(at).read_file(str(_path(world.site, id_)))
    return None if data is None else _record(data, str(_path(world.site, id_)))


def write(
    world: Writer, at: Endpoint[Any, Any], id_: ResourceId, wish: Mapping[str, Any], *, complete: bool
) -> None:
    """Writes the record of this action's resource."""

    def version(secret: Secret) -> str | None:
        return world.version(secret)

    encoded = {name: encode(value, version) for name, value in sorted(wish.items())}
    _write(world, at, id_, encoded, complete=complete)


def leaving(world: Writer, at: Endpoint[Any, Any], id_: ResourceId) -> None:
    """Says in the record of `id_` that it is on its way out: from now on nobody looks for what lives in it.

    Whoever is killed while it goes would else leave a record of what does not answer any more.
    """
    found = read(world, at, id_)
    if found is not None:
        _write(world, at, id_, found.wish, complete=False)


def _write(
    world: Writer, at: Endpoint[Any, Any], id_: ResourceId, wish: Mapping[str, Json], *, complete: bool
) -> None:
    document: dict[str, Json] = {
        "mark": world.mark(complete=complete).document(),
        "schema": SCHEMA,
        "wish": dict(wish),
    }
    path = _path(world.site, id_)
    machine = world.writing(at)
    machine.mkdir(str(path.parent), 0o755)
    machine.write_file(str(path), canonical.dumps(document) + b"\n", 0o644)


def remove(world: Writer, at: Endpoint[Any, Any], id_: ResourceId) -> None:
    """Removes the record of `id_`."""
    world.writing(at).remove(str(_path(world.site, id_)))


def every(world: Reader, at: Endpoint[Any, Any], kind: str) -> Iterator[Record]:
    """Yields all records of one kind."""
    folder = RECORDS / world.site / kind
    machine = world.session(at)
    for name in machine.listdir(str(folder)) or ():
        data = machine.read_file(str(folder / name))
        if data is not None:
            yield _record(data, str(folder / name))


def _path(site: str, id_: ResourceId) -> PurePosixPath:
    key = str(id_).partition(":")[2].replace("/", "~")
    return RECORDS / site / kind_of(id_) / f"{key}.json"


def _record(data: bytes, path: str) -> Record:
    try:
        found: Any = canonical.loads(data)
    except canonical.CanonicalError as error:
        raise _damaged(path, error.what) from error
    match found:
        case {"mark": dict(written), "schema": "paver.record/1", "wish": dict(wish), **others} if not others:
            mark = Mark.of(written)
            if mark is None or mark.document() != written:
                raise _damaged(path, "its mark is none of paver's")
            return Record(mark, wish)
        case {"schema": str(schema)} if schema != SCHEMA:
            raise PaverError(
                f"{path} was written by another version of paver",
                seen=schema,
                do=f"use a version that reads it; this one reads {SCHEMA}",
            )
        case _:
            raise _damaged(path, "its keys are not those of a record")


def _damaged(path: str, what: str) -> PaverError:
    return PaverError(
        f"{path} on the jumpbox is not a record that paver wrote",
        seen=what,
        why="it says what paver made there: nothing is guessed without it",
        do="restore the file from a backup; or remove it, if what it names is gone",
    )
