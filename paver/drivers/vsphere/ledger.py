"""The ledger: what is ours on a host where the thing itself cannot carry a mark.

One small file per host, `[datastore] paver/<site>/<host>.json`, in the realm itself. It holds ownership,
intents (entries that are not complete) and the baselines of settings; never wishes. A new version is written
beside the old one and then moved over it, so that a cut line never leaves half a ledger.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from paver.driver import Endpoint, Mark, PaverError, Reader, Refused, ResourceId, Unobservable, Verb, Writer
from paver.drivers.vsphere.host.datastore import called, content
from paver.signing import canonical
from paver.transport.vsphere.faults import VsphereFault

SCHEMA = "paver.ledger/1"
_CALLS = frozenset({"MakeDirectory", "folder:PUT", "MoveDatastoreFile_Task", "DeleteDatastoreFile_Task"})


def calls(
    *, create: Iterable[str], update: Iterable[str], delete: Iterable[str]
) -> Mapping[Verb, frozenset[str]]:
    """Returns what a kind declares that stands in the ledger: its own calls, and those of the ledger."""
    return {
        Verb.CREATE: _CALLS | frozenset(create),
        Verb.UPDATE: _CALLS | frozenset(update),
        Verb.DELETE: _CALLS | frozenset(delete),
    }


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing that is ours.

    Attributes:
        id: the resource that it was made for.
        action: the action that wrote this entry last.
        complete: False from the intent until the thing stands.
        address: what reading and deleting it needs.
        baseline: a setting's values before paver touched it.
        was: the id under which it still stands in the file, where the site file renamed it.
    """

    id: ResourceId
    action: str
    complete: bool
    address: Mapping[str, str] = dataclasses.field(default_factory=dict)
    baseline: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    was: ResourceId | None = None

    def mark(self, site: str) -> Mark:
        """Returns the entry as the mark that stands in facts."""
        return Mark(site, self.id, self.action, self.complete, self.was)


@dataclasses.dataclass(frozen=True)
class Ledger:
    """All of one site's entries on one host.

    Attributes:
        site: whose they are.
        datastore: where the file lies, empty if there is none.
        entries: by the id that each resource has now.
        former: the file of the name that the host had before the site file renamed it; it goes with the next
            write.
    """

    site: str
    datastore: str = ""
    entries: Mapping[str, Entry] = dataclasses.field(default_factory=dict)
    former: str = ""

    def get(self, id_: str) -> Entry | None:
        """Returns the entry of a resource, by the id that it has now or by the one that it had."""
        found = self.entries.get(id_)
        return found or next((entry for entry in self.entries.values() if entry.was == id_), None)

    def of_kind(self, kind: str) -> Iterator[Entry]:
        """Yields the entries of one kind, by id."""
        yield from (entry for id_, entry in sorted(self.entries.items()) if id_.startswith(f"{kind}:"))

    def dumps(self) -> bytes:
        """Returns the file's bytes."""
        entries = {
            entry.was or id_: {
                "action": entry.action,
                "address": dict(entry.address),
                "baseline": dict(entry.baseline),
                "complete": entry.complete,
            }
            for id_, entry in self.entries.items()
        }
        document = {"schema": SCHEMA, "site": self.site, "entries": entries}
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def loads(data: bytes, *, datastore: str, where: str) -> Ledger:
    """Reads a ledger file.

    Raises:
        PaverError: if it is none that this version understands.
    """
    try:
        document: Any = canonical.loads(data)
        if document["schema"] != SCHEMA:
            raise PaverError(
                f"{where} was written by another version of paver",
                seen=str(document["schema"]),
                do=f"use a version that reads it; this one reads {SCHEMA}",
            )
        if set(document) != {"entries", "schema", "site"}:
            raise ValueError(f"keys {', '.join(sorted(document))}")  # noqa: TRY301 - said like all that is wrong
        # Unknown and missing keys alike are no entry's.
        entries = {
            id_: Entry(id=ResourceId(id_), **_fields(item)) for id_, item in document["entries"].items()
        }
        return Ledger(document["site"], datastore, entries)
    except (canonical.CanonicalError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PaverError(
            f"{where} cannot be read as paver's ledger",
            seen=error.what if isinstance(error, PaverError) else f"{type(error).__name__}: {error}",
            why="it says what paver made on this host, and what it was before: nothing is guessed without it",
            do="restore the file from a backup, or move it away if nothing on the host is paver's",
        ) from error


def _fields(item: Mapping[str, Any]) -> Mapping[str, Any]:
    if set(item) != {"action", "address", "baseline", "complete"}:
        raise ValueError(f"an entry of {', '.join(sorted(item))}")
    return item


def folder(site: str) -> str:
    """Returns the folder of a site's ledgers on a datastore."""
    return f"paver/{site}"


def path(site: str, at: Endpoint[Any, Any]) -> str:
    """Returns the ledger's path on its datastore; hosts may share one, so each has a file of its own."""
    return f"{folder(site)}/{at.name.partition(':')[2]}.json"


def read(world: Reader, at: Endpoint[Any, Any]) -> Ledger:
    """Returns the ledger of the host at `at`, an empty one if there is none.

    Raises:
        Unobservable: if a datastore that may hold it cannot be read.
        PaverError: if there are two, or it is damaged.
        Refused: if it is another site's.
    """
    session = world.session(at)
    datastores = _datastores(session)
    book = _stored(session, datastores, path(world.site, at), world.site)
    for name in _former(world, at):
        before = _stored(session, datastores, name, world.site)
        if before is not None:
            # Until the next write has put all of it into the new one, or has removed it.
            book = dataclasses.replace(book or before, former=name)
    return _as_named_now(world, book) if book is not None else Ledger(world.site)


def _former(world: Reader, at: Endpoint[Any, Any]) -> Iterator[str]:
    """Yields the files in which the host's ledger may lie from before the site file renamed the host."""
    host = at.name.partition(":")[2]
    names = {
        _host_of(old) for old, new in world.moved.items() if _host_of(new) == host and _host_of(old) != host
    }
    yield from (f"{folder(world.site)}/{name}.json" for name in sorted(names))


def _host_of(id_: ResourceId) -> str:
    return id_.partition(":")[2].partition("/")[0]


def _as_named_now(world: Reader, book: Ledger) -> Ledger:
    entries: dict[str, Entry] = {}
    for id_, entry in book.entries.items():
        mark = world.current(entry.mark(world.site))
        if mark.was is not None and mark.id in book.entries:
            # The new id has an entry of its own: two things cannot become one.
            entries[id_] = entry
        else:
            entries[mark.id] = dataclasses.replace(entry, id=mark.id, was=mark.was)
    return dataclasses.replace(book, entries=entries)


def _stored(session: Any, datastores: list[str], name: str, site: str) -> Ledger | None:
    found: list[Ledger] = []
    for datastore in datastores:
        data = session.datastore_get(datastore, name)
        if data is not None:
            found.append(loads(data, datastore=datastore, where=f"{session.name}: [{datastore}] {name}"))
        elif (data := session.datastore_get(datastore, f"{name}.new")) is not None:
            # In the midst of a move only the new file may be there. One that is cut short was to be the
            # very first, and nothing was made yet.
            with contextlib.suppress(PaverError):
                found.append(loads(data, datastore=datastore, where=name))
    if len(found) > 1:
        raise PaverError(
            f"{session.name} has two ledgers of this site",
            seen=", ".join(f"[{one.datastore}] {name}" for one in found),
            do="move away the one that is wrong: the older one, if the host's datastore was changed in the site file",
        )
    for one in found:
        if one.site != site:
            raise Refused(
                f"{session.name}: [{one.datastore}] {name} is the ledger of the site {one.site}, and this site is {site}",
                why="what it names was made by the other site: this one would change and delete it as its own",
                do="put it back where it came from, or move it away; if the site got another name, give it back the old one",
            )
    return found[0] if found else None


def _datastores(session: Any) -> list[str]:
    found = session.objects("Datastore", ("name", "summary.accessible"))
    hidden = sorted(values["name"] for _, values in found if not values["summary.accessible"])
    if hidden:
        raise Unobservable(
            f"{session.name}: the datastore {hidden[0]} is not accessible",
            why="paver's ledger may lie on it",
            do="bring it back, or take it off the host",
        )
    return sorted(values["name"] for _, values in found)


def note(
    world: Writer, at: Endpoint[Any, Any], entry: Entry, datastore: str, book: Ledger | None = None
) -> Ledger:
    """Writes an entry and returns the ledger as it is then; a new one is made on `datastore`.

    Args:
        world: of the action.
        at: the host.
        entry: what is ours.
        datastore: where a new ledger is begun, by the name that the host came with.
        book: what this action wrote last; None reads it. One action at a time of a run writes to a host.

    Raises:
        Refused: if another run wrote since. What is done is noted all the same, beside what that one noted.
    """
    book = read(world, at) if book is None else book
    # As it was written: what was a tuple reads as a list.
    known = _as_named_now(world, loads(book.dumps(), datastore=book.datastore, where=""))
    now = _now(world, at, known)
    ids = sorted({*now.entries, *known.entries})
    foreign = [id_ for id_ in ids if now.entries.get(id_) != known.entries.get(id_)]
    if foreign and not entry.complete:
        raise _another(world, at, foreign)
    place = book.datastore or called(datastore, _datastores(world.session(at))) or datastore
    written = Ledger(world.site, place, {**now.entries, entry.id: entry})
    _write(world, at, written, new=not book.datastore)
    _drop(world, at, book)
    if foreign:
        raise _another(world, at, foreign)
    return written


def _now(world: Writer, at: Endpoint[Any, Any], book: Ledger) -> Ledger:
    """Returns the ledger as it is at this moment, whatever was read of it before; `book` where the file is not there."""
    session, name = world.session(at), path(world.site, at)
    data = session.datastore_get(book.datastore, name, fresh=True) if book.datastore else None
    if data is None:
        return book
    return _as_named_now(world, loads(data, datastore=book.datastore, where=f"{session.name}: {name}"))


def _another(world: Writer, at: Endpoint[Any, Any], written: list[str]) -> Refused:
    return Refused(
        f"another run of this site is at work on {world.session(at).name}",
        seen=f"it wrote into the ledger there: {', '.join(written)}",
        why="a run's lock holds on its own machine and in its own folder; nobody notes on a host whose run it is",
        do="find out from where else paver runs on this site, let one run end, then run the same command again",
    )


def _drop(world: Writer, at: Endpoint[Any, Any], book: Ledger) -> None:
    if book.former:
        world.writing(at).datastore_delete(book.datastore, book.former)


def strike(world: Writer, at: Endpoint[Any, Any], id_: str) -> None:
    """Removes an entry; the last one takes the file and its folder along."""
    book = read(world, at)
    entries = {key: entry for key, entry in book.entries.items() if id_ not in {key, entry.was}}
    if entries:
        _write(world, at, Ledger(world.site, book.datastore, entries), new=False)
        _drop(world, at, book)
    elif book.datastore:
        _drop(world, at, book)
        _remove(world, at, book.datastore)


def _write(world: Writer, at: Endpoint[Any, Any], book: Ledger, *, new: bool) -> None:
    session = world.writing(at)
    name = path(world.site, at)
    if new:
        session.datastore_mkdir(book.datastore, folder(world.site))
    session.datastore_put(book.datastore, f"{name}.new", book.dumps())
    try:
        session.task(
            session.content.fileManager,
            "MoveDatastoreFile_Task",
            sourceName=f"[{book.datastore}] {name}.new",
            sourceDatacenter=None,
            destinationName=f"[{book.datastore}] {name}",
            destinationDatacenter=None,
            force=True,
        )
    except VsphereFault as fault:
        if not fault.is_a("FileNotFound"):
            raise
        # What was put there a moment ago somebody else has moved.
        raise _another(world, at, ["at the same moment"]) from fault


def _remove(world: Writer, at: Endpoint[Any, Any], datastore: str) -> None:
    """Removes the ledger, and the folders that hold nothing else, in one call: of a folder alone nobody would know.

    Deleting a folder takes all in it along (vim25 FileManager.DeleteDatastoreFile_Task).
    """
    session = world.writing(at)
    name = path(world.site, at)
    file = name.rpartition("/")[2]
    if not _remove_folders(session, datastore, world.site, {file, f"{file}.new"}):
        session.datastore_delete(datastore, f"{name}.new")
        session.datastore_delete(datastore, name)


def _remove_folders(session: Any, datastore: str, site: str, names: set[str]) -> bool:
    """Removes the site's folder where it holds nothing else than `names`; returns whether it did.

    The one that it lies in goes along where nothing else is there.
    """
    own = folder(site)
    parent, _, ours = own.partition("/")
    if not _holds_only(session, datastore, own, names):
        return False
    alone = _holds_only(session, datastore, parent, {ours})
    session.datastore_delete(datastore, parent if alone else own)
    return True


def left_without(world: Reader, at: Endpoint[Any, Any]) -> Iterator[str]:
    """Yields the datastores of a host on which the site's folder stands as a killed run left it: before the ledger was whole.

    It is empty, or holds nothing else than the host's first ledger as far as it was written. Any other folder of that
    name is somebody's; with a ledger it goes when that goes.
    """
    if read(world, at).datastore:
        return
    session = world.session(at)
    for datastore in _datastores(session):
        if _holds_only(session, datastore, folder(world.site), _begun(world.site, at)):
            yield datastore


def clear(world: Writer, at: Endpoint[Any, Any], datastore: str) -> None:
    """Removes the folder that `left_without` found, unless something else lies in it by now."""
    _remove_folders(world.writing(at), datastore, world.site, _begun(world.site, at))


def _begun(site: str, at: Endpoint[Any, Any]) -> set[str]:
    return {f"{path(site, at).rpartition('/')[2]}.new"}


def _holds_only(session: Any, datastore: str, place: str, names: set[str]) -> bool:
    """Tells whether nothing else than `names` lies in a folder that is there."""
    browser = next(
        values["browser"]
        for _, values in session.objects("Datastore", ("name", "browser"))
        if values["name"] == datastore
    )
    there = content(session, browser, datastore, place)
    return there is not None and set(there) <= names
