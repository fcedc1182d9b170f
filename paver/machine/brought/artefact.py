"""A file on the jumpbox that paver brought there from outside: BUCC's artefact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import Check, Endpoint, Facts, Lane, Reader, Refused, Resource, Verb, Writer
from paver.machine.brought import arriving, store
from paver.machine.brought.files import FILES

_HASHING = 1800.0
"""Seconds that digesting may take: 13 GB at 10 MB/s are 22 minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArtefactFacts(Facts):
    """A file as it lies on the jumpbox.

    Attributes:
        sha256: its digest, compared when it arrived.
        name: its name.
        path: where it is.
    """

    sha256: str
    name: str
    path: str
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artefact(Resource[ArtefactFacts]):
    """A file to be on the jumpbox.

    Attributes:
        source: as the site file has it.
        name: what it is called there.
        sha256: its digest; another one is another file, beside which the old one does not stay.
    """

    kind = "jumpbox.artefact"
    lane = Lane.BULK
    dies_with_parent = True
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: frozenset({"file:mkdir", "file:write", "file:upload"}),
        Verb.DELETE: frozenset({"file:remove"}),
    }
    replaces = frozenset({"sha256", "name"})
    unmanaged = frozenset({"source"})

    source: str
    name: str
    sha256: str

    def read(self, world: Reader) -> ArtefactFacts | None:
        """Returns what lies there for this artefact, of whatever digest."""
        stored = store.find(world.session(self.at), site=world.site, id_=self.id, sha256=self.sha256)
        return _facts(stored) if stored is not None else None

    def create(self, world: Writer) -> None:
        """Uploads the file; the digest of what arrived is compared over there."""
        files = world.session(FILES)
        path = files.path(self.source)
        if not files.exists(self.source) or files.sha256(self.source) != self.sha256:
            raise Refused(
                f"the file {self.source} is not the one that was planned",
                why="it was removed or changed after the plan was made",
                do="make a new plan",
            )
        session = world.writing(self.at)
        store.begin(session, self.sha256, world.mark(complete=False))

        target, step = (
            f"{store.folder(self.sha256)}/{self.name}",
            arriving.progress(world, f"uploading {self.name}"),
        )
        session.upload(path, target, mode=0o644, on_progress=step)
        store.complete(session, self.sha256, world.mark(complete=True))

    def checks(self, world: Reader, facts: ArtefactFacts) -> Iterable[Check]:
        """Yields that what lies there is what was planned, read from its disk."""
        ran = world.session(self.at).probe(["sha256sum", "--", facts.path], timeout=_HASHING, root=True)
        seen = ran.text.split(" ")[0] if ran.ok else ran.err.decode("utf-8", "replace").strip()
        yield Check("its SHA-256 is the planned one", seen == self.sha256, seen)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.name} to the jumpbox"

    def estimate(self) -> int:
        """Returns about how many seconds it takes."""
        return 30

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ArtefactFacts]:
        """Yields every artefact on the machine that bears the site's mark."""
        for stored in store.all_of(world.session(at), world.site):
            yield _facts(stored)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ArtefactFacts) -> None:
        """Removes the file with its folder."""
        world.writing(at).remove(store.folder(facts.sha256), recursive=True)


def _facts(stored: store.Stored) -> ArtefactFacts:
    return ArtefactFacts(
        address={"folder": store.folder(stored.sha256)},
        mark=stored.mark,
        sha256=stored.sha256,
        name=stored.name,
        path=stored.path,
        size=stored.size,
    )
