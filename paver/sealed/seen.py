"""Remembers which sealed store was seen last, so that an older copy in its place is noticed.

One small file: the store's identity and the highest generation seen. The first look believes what it finds; every
later one is held to it (`minimum=` and `store=` of `paver.sealed.store`). Nothing in it is secret.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from paver import own_files
from paver.errors import PaverError
from paver.sealed.errors import DivergedError, MissingStoreError, RolledBackError
from paver.sealed.index import Index
from paver.signing import canonical
from paver.signing.canonical import CanonicalError

SCHEMA = "paver.sealed-seen/1"


class Held(TypedDict):
    """The arguments of `paver.sealed.store` that hold it to what was seen."""

    minimum: int
    store: str | None


@dataclass(frozen=True)
class Seen:
    """The memory in the file `path`; without a path nothing is remembered."""

    path: Path | None

    def held(self) -> Held:
        """Returns what an opening is held to.

        Raises:
            PaverError: the memory is not what paver wrote. It is not overlooked: that would be the way around it.
        """
        if self.path is None or not self.path.exists():
            return {"minimum": 0, "store": None}
        try:
            found = canonical.loads(self.path.read_bytes())
        except (OSError, CanonicalError) as error:
            raise self._damaged() from error
        match found:
            case {"generation": int(generation), "schema": str(schema), "store": str(store), **more} if (
                schema == SCHEMA and not more
            ):
                return {"minimum": generation, "store": store}
            case _:
                raise self._damaged()

    def demand_none(self, path: Path) -> None:
        """Does nothing if no store is remembered, so that there may be none at `path`.

        Raises:
            MissingStoreError: if one is.
        """
        held = self.held()
        if held["store"] is None:
            return
        raise MissingStoreError(
            f"the sealed store {path} is not there, and was seen before",
            seen=f"identity {held['store']}, generation {held['minimum']}",
            why="an empty one in its place would lack every secret that is in use",
            do="bring it back: from the repository, or from the jumpbox, /var/lib/paver/sites/<site>/site.sealed\n"
            f"to begin anew on purpose, remove {self.path}, which remembers it, then `paver secrets init`",
        )

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Has a store that is refused for what is remembered say where that is remembered: the file stands in the way."""
        try:
            yield
        except (RolledBackError, DivergedError) as error:
            if self.path is not None:
                error.do += (
                    f"\nif this one is right all the same, remove {self.path}, which remembers the other: the next "
                    "command believes the store that it finds"
                )
            raise

    def note(self, index: Index, *, looking: bool = False) -> None:
        """Remembers `index`, if it is newer than what is remembered.

        Args:
            index: of the store that was opened.
            looking: the command only looks, for which it needs no right to write, and no room: what cannot be remembered
                is not, and an older copy is still held to what was remembered before.

        Raises:
            PaverError: it cannot be remembered, and the command does more than look.
        """
        if self.path is None:
            return
        document = {"generation": index.generation, "schema": SCHEMA, "store": index.store}
        try:
            own_files.folder(self.path.parent)
            with _alone(self.path.parent):
                held = self.held()
                if held["store"] != index.store or held["minimum"] < index.generation:
                    own_files.put(self.path, canonical.dumps(document) + b"\n", 0o600)
        except OSError as error:
            if looking:
                return
            raise PaverError(
                f"{self.path} cannot be written",
                why=error.strerror or "",
                do="mend that, or name another place with PAVER_STATE, then run the same command again",
            ) from error

    def _damaged(self) -> PaverError:
        return PaverError(
            f"{self.path} is not what paver wrote",
            why="it says which sealed store was seen last",
            do="if you know why, remove it: the next command believes the store that it finds",
        )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Has one command at a time compare and write: of two at once, the older one would have the last word."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
