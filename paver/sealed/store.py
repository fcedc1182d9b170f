"""The sealed store as others use it: create, look, open, write, and take in a copy.

create(path, key)                     a new, empty store
open_index(path)                      names, versions and public parts, without the key
unlock(path, key)                     values too
with writer(path, key, who) as w:     one at a time; every `put` is on disk before it returns
receive(path, copy)                   the rule of the hand-off: a descendant wins, all else is refused
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from paver.errors import Refused
from paver.sealed import envelope, files
from paver.sealed.access import Reader, Writer
from paver.sealed.envelope import Envelope, Key, Opened
from paver.sealed.errors import DivergedError, RolledBackError
from paver.sealed.index import Index
from paver.sealed.keys import KeySource


def create(path: Path, key: KeySource) -> Index:
    """Makes a new, empty store at `path` and returns its index.

    Raises:
        Refused: there is a file already.
        PaverError: it could not be written, or the key is none.
    """
    parameters = key.parameters()
    master = key.derive(parameters)
    with files.locked(path, "paver secrets init"):
        if path.exists():
            raise Refused(
                f"there is a file at {path} already",
                why="a sealed store is never overwritten by an empty one",
                do="use it, or move it away",
            )
        data = envelope.seal({}, Opened({}, envelope.new_seed()), key=Key(master, parameters), before=None)
        files.replace(path, data)
    return envelope.parse(data, str(path)).index


def open_index(path: Path, *, minimum: int = 0, store: str | None = None) -> Index:
    """Returns what the store shows without its key; see `envelope` for what that proves.

    Args:
        path: the store.
        minimum: the generation that was seen last; an older one is refused.
        store: the store's identity if it's known from elsewhere; another one is refused.

    Raises:
        DamagedStoreError, RolledBackError, DivergedError: with the reason.
        BadInput: there is no file.
    """
    return _parsed(files.read(path), path, minimum, store).index


def unlock(path: Path, key: KeySource, *, minimum: int = 0, store: str | None = None) -> Reader:
    """Returns the opened store; arguments and errors as `open_index`.

    Raises:
        WrongKeyError: the key is another store's.
    """
    found = _parsed(files.read(path), path, minimum, store)
    return Reader(found.index, envelope.unseal(found, key.derive(found.key_parameters), str(path)))


@contextlib.contextmanager
def writer(
    path: Path, key: KeySource, who: str, *, minimum: int = 0, store: str | None = None
) -> Iterator[Writer]:
    """Opens the store for writing and holds its lock; `who` is shown to others who want it.

    Raises:
        StoreLockedError: someone else writes; the rest as `unlock`.
    """
    target = path.resolve()
    with files.locked(target, who):
        data = files.read(target)
        found = _parsed(data, target, minimum, store)
        master = key.derive(found.key_parameters)
        opened = Writer(target, data, found, envelope.unseal(found, master, str(path)), master)
        try:
            yield opened
        finally:
            opened.close()


def receive(path: Path, copy: bytes, *, who: str, name: str = "the copy") -> bool:
    """Takes in another copy of the store; returns whether it took the place of the one at `path`.

    A copy that descends from ours takes its place, one that ours descends from changes nothing. Without a file at
    `path` any whole copy is taken.

    Raises:
        DivergedError: neither descends from the other, or they are different stores.
        DamagedStoreError: the copy, or the store, is not whole. A damaged store is not replaced unseen.
        StoreLockedError: someone writes the store.
    """
    theirs = envelope.parse(copy, name).index
    target = path.resolve()
    with files.locked(target, who):
        if target.exists():
            ours = envelope.parse(files.read(target), str(path)).index
            if not _follows(theirs, ours, str(path), name):
                return False
        files.replace(target, copy)
    return True


def follows(path: Path, copy: bytes, name: str = "the copy") -> bool:
    """Tells whether `receive` would take the copy in; needs no right to write.

    Raises:
        DivergedError, DamagedStoreError: as `receive`.
    """
    theirs = envelope.parse(copy, name).index
    target = path.resolve()
    return not target.exists() or _follows(
        theirs, envelope.parse(files.read(target), str(path)).index, str(path), name
    )


def _follows(theirs: Index, ours: Index, our_name: str, their_name: str) -> bool:
    if theirs.store != ours.store:
        raise DivergedError(
            f"{their_name} and {our_name} are different stores",
            seen=f"{theirs.store[:16]}… and {ours.store[:16]}…",
            do="move the one that isn't this site's away",
        )
    if theirs.digest == ours.digest or theirs.digest in ours.ancestry:
        return False
    if ours.digest in theirs.ancestry:
        return True
    raise DivergedError(
        f"{their_name} and {our_name} went different ways",
        why="both were written after they were copied, so that each has secrets that the other lacks",
        do="keep both files; find out which one the site runs on, and set the other's secrets there again",
        seen=f"generations {theirs.generation} and {ours.generation}\n"
        f"only {their_name} has {_others(theirs, ours)}\nonly {our_name} has {_others(ours, theirs)}",
    )


def _others(one: Index, other: Index) -> str:
    """Returns the names of what one store has and the other does not, in that version."""
    known = other.versions()
    names = [name for name, entry in one.entries.items() if entry.version not in known.get(name, ())]
    return ", ".join(sorted(names)) or "nothing"


def _parsed(data: bytes, path: Path, minimum: int, store: str | None) -> Envelope:
    found = envelope.parse(data, str(path))
    index = found.index
    if store is not None and index.store != store:
        raise DivergedError(
            f"{path} is another store than the one that is known here",
            seen=f"store {index.store}, known {store}",
            do="restore the site's own store",
        )
    if index.generation < minimum:
        raise RolledBackError(
            f"{path} is older than what was seen before",
            why="an old copy was put in its place: secrets that are in use since then are missing in it",
            do="restore the newest copy",
            seen=f"generation {index.generation}, seen before {minimum}",
        )
    return found
