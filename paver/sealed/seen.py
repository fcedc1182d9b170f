"""Remembers which sealed store was seen last, so that an older copy in its place is noticed.

One small file: the store's identity and the highest generation seen. The first look believes what it finds; every
later one is held to it (`minimum=` and `store=` of `paver.sealed.store`). Nothing in it is secret.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from paver.errors import PaverError
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
            case {"generation": int(generation), "schema": str(schema), "store": str(store)} if (
                schema == SCHEMA
            ):
                return {"minimum": generation, "store": store}
            case _:
                raise self._damaged()

    def note(self, index: Index) -> None:
        """Remembers `index`, if it is newer than what is remembered."""
        if self.path is None:
            return
        held = self.held()
        if held["store"] == index.store and held["minimum"] >= index.generation:
            return
        document = {"generation": index.generation, "schema": SCHEMA, "store": index.store}
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(canonical.dumps(document) + b"\n")
            draft.replace(self.path)
        except OSError as error:
            raise PaverError(
                f"{self.path} cannot be written",
                why=error.strerror or "",
                do="make room on that file system, then run the same command again",
            ) from error

    def _damaged(self) -> PaverError:
        return PaverError(
            f"{self.path} is not what paver wrote",
            why="it says which sealed store was seen last",
            do="if you know why, remove it: the next command believes the store that it finds",
        )
