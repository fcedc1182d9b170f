"""A file that the site file names and that the jumpbox is to have: known by its digest.

Where the file is not at hand (on the jumpbox itself), it is the one that was put there before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import (
    BadInput,
    Facts,
    PaverError,
    Reader,
    Resource,
    Unobservable,
    Writer,
)
from paver.machine import jumpbox
from paver.machine.brought import store
from paver.machine.brought.files import FILES


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileFacts(Facts):
    """The file's SHA-256."""

    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class File(Resource[FileFacts]):
    """A file that is to be at hand; a setting without anything to set.

    Attributes:
        path: as the site file has it.
        artefact: the id of the resource that puts it on the jumpbox.
    """

    kind = "site.file"
    setting = True
    unmanaged = frozenset({"path", "artefact"})

    path: str
    artefact: str

    def read(self, world: Reader) -> FileFacts | None:
        """Returns the file's digest.

        Raises:
            BadInput: if it is neither here nor on the jumpbox.
        """
        files = world.session(FILES)
        if files.exists(self.path):
            return FileFacts(sha256=files.sha256(self.path))
        stored = self._stored(world)
        if stored is None:
            raise BadInput(
                f"the file {self.path} is not here",
                seen=f"looked for {files.path(self.path)}, then on the jumpbox",
                do="put it there, or name another one in the site file",
            )
        return FileFacts(sha256=stored.sha256)

    def _stored(self, world: Reader) -> store.Stored | None:
        try:
            session: Any = world.session(jumpbox.endpoint())
        except Unobservable:
            # Without a jumpbox nothing lies on it; one that should answer and does not is told by its own kinds.
            return None
        return store.find(session, site=world.site, id_=self.artefact)

    def create(self, world: Writer) -> None:
        """Is never called: what is not there is refused while planning."""
        del world
        raise PaverError(f"{self.id}: paver makes no file here")
