"""Where artefacts lie on the jumpbox: `/var/lib/paver/artefacts/<sha256>/`, the file and its mark."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from paver.driver import MARK_KEY, Mark

FOLDER = "/var/lib/paver/artefacts"


@dataclasses.dataclass(frozen=True)
class Stored:
    """An artefact on the jumpbox; `name` is empty where only its folder was begun."""

    sha256: str
    name: str
    size: int
    mark: Mark

    @property
    def path(self) -> str:
        """Where the file is."""
        return f"{folder(self.sha256)}/{self.name}"


def folder(sha256: str) -> str:
    """Returns the folder of an artefact."""
    return f"{FOLDER}/{sha256}"


def all_of(session: Any, site: str) -> Iterator[Stored]:
    """Yields every artefact that bears the site's mark, by digest."""
    for sha256 in session.listdir(FOLDER) or ():
        data = session.read_file(f"{folder(sha256)}/{MARK_KEY}")
        mark = Mark.loads(data.decode("utf-8", "replace")) if data is not None else None
        if mark is not None and mark.site == site:
            names = [name for name in session.listdir(folder(sha256)) or () if name != MARK_KEY]
            name = names[0] if len(names) == 1 else ""
            status = session.stat(f"{folder(sha256)}/{name}") if name else None
            yield Stored(sha256, name, status.size if status is not None else 0, mark)


def find(session: Any, *, site: str, id_: str, sha256: str | None = None) -> Stored | None:
    """Returns the artefact of a resource; the one of `sha256`, if there are several."""
    found = [stored for stored in all_of(session, site) if stored.mark.id == id_]
    return next((stored for stored in found if stored.sha256 == sha256), found[0] if found else None)


def begin(session: Any, sha256: str, mark: Mark) -> None:
    """Makes an artefact's folder, marked."""
    session.mkdir(folder(sha256), 0o755)
    session.write_file(f"{folder(sha256)}/{MARK_KEY}", mark.dumps().encode(), 0o644)


def complete(session: Any, sha256: str, mark: Mark) -> None:
    """Marks an artefact as whole."""
    session.write_file(f"{folder(sha256)}/{MARK_KEY}", mark.dumps().encode(), 0o644)
