"""Stemcells and releases on a director: uploaded from the artefact, found by name and version.

A stemcell is listed once it is whole. A release is listed from the moment at which the director begins to take it in, and
nothing that it shows tells a half one from a whole one; a second upload of the same mends it (bosh, jobs/update_release.rb,
`update_completed`). So what `GET /releases` lists is believed only with the word of the upload's task.

A newer one is taken in beside the one that stands: a director deletes nothing that a deployment uses (bosh,
jobs/helpers/stemcell_deleter.rb, release_deleter.rb), and those are deployed anew later. The last one before it stays, as the way
back; those before that go with the next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Lane, Mark, Reader, Resource, Verb, Writer
from paver.foundation.director import ledger, tasks

TARBALL = "application/x-compressed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UploadFacts(Facts):
    """Name and version; what it came after is in the address, for whoever deletes it."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload(Resource[UploadFacts]):
    """A tarball that the director keeps; `file` is its path on the jumpbox."""

    path: ClassVar[str] = ""
    uploading: ClassVar[str] = ""
    lane: ClassVar[Lane] = Lane.CONFIG
    unmanaged: ClassVar[frozenset[str]] = frozenset({"file"})
    dies_with_parent: ClassVar[bool] = True

    name: str
    version: str
    file: str

    def says(self) -> str:
        if isinstance(self.name, str):
            return f"{self.name} {self.version if isinstance(self.version, str) else '(version known later)'}"
        return "the one in the artefact"

    def estimate(self) -> int:
        return 20

    @classmethod
    def versions(cls, world: Reader, at: Endpoint[Any, Any], name: str) -> frozenset[str]:
        """Returns the versions of `name` that the director has."""
        raise NotImplementedError

    def read(self, world: Reader) -> UploadFacts | None:
        entry = ledger.read(world, self.at).get(self.id)
        mark = ledger.mark(world.site, self.id, entry)
        if entry is None:
            # BUCC and operators upload too: what is there already is adopted.
            there = self.version in self.versions(world, self.at, self.name)
            return _facts({"name": self.name, "version": self.version}, None) if there else None
        facts = _facts(entry["address"], mark)
        there = facts.version in self.versions(world, self.at, facts.name)
        return facts if there or ledger.begun(mark) else None

    def create(self, world: Writer) -> None:
        director = world.writing(self.at)
        entry = ledger.read(world, self.at).get(self.id)
        own = {"name": self.name, "version": self.version}
        former = _former(entry["address"] if entry is not None else {}, own)
        if not self._arrived(world, director):
            ledger.note(world, self.at, complete=False, address=_address(own, former))
            source = Path(self.file)

            def sent(done: int, total: int) -> None:
                world.report(f"Uploading {source.name}", done, total, "B")

            answer = director.upload(
                self.path,
                source,
                call=f"POST {self.path}",
                content_type=TARBALL,
                expect=(302,),
                on_progress=sent,
            )
            tasks.follow(world, director, answer, f"upload of {self.name}/{self.version}")
        kept = [*former[:1], *self._in_use(world, former[1:])]
        ledger.note(world, self.at, complete=True, address=_address(own, kept))

    def _arrived(self, world: Writer, director: Any) -> bool:
        """Tells whether the director has all of it, by an upload of an earlier run's or of others."""
        begun = self.id in ledger.read(world, self.at)
        if not begun and self.version not in self.versions(world, self.at, self.name):
            return False
        # It may be coming still, or going yet by a deletion that was killed: it is listed until that has ended.
        tasks.await_unfinished(world, director, self.uploading, self.removing(self.name, self.version))
        there = self.version in self.versions(world, self.at, self.name)
        return there and self.whole(director, self.name, self.version)

    def _in_use(self, world: Writer, old: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Deletes what is older than the way back; yields what the director keeps, as what others still deploy from."""
        for name, version in old:
            try:
                self._gone(world, self.at, name, version)
            except tasks.TaskError as error:
                world.report(f"{name}/{version} stays: {error.seen}")
                yield name, version

    @classmethod
    def whole(cls, director: Any, name: str, version: str) -> bool:
        """Tells whether a version that is listed has all of its parts."""
        raise NotImplementedError

    def update(self, world: Writer, facts: UploadFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[UploadFacts]:
        for id_, entry in ledger.of_kind(world, at, cls.kind):
            yield _facts(entry["address"], ledger.mark(world.site, id_, entry))

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: UploadFacts) -> None:
        if facts.mark is not None:
            # From now on it is not whole, also if it goes only half.
            ledger.leaving(world, at, facts)
        own = dict(facts.address)
        for name, version in ((own["name"], own["version"]), *_kept(own)):
            cls._gone(world, at, name, version)
        if facts.mark is not None:
            ledger.strike(world, at, facts.mark.id)

    @classmethod
    def _gone(cls, world: Writer, at: Endpoint[Any, Any], name: str, version: str) -> None:
        """Has the director delete one version, if it is there.

        Raises:
            TaskError: if it does not, as what a deployment uses.
        """
        director = world.writing(at)
        # It may be coming still, or going already.
        tasks.await_unfinished(world, director, cls.uploading, cls.removing(name, version))
        if version in cls.versions(world, at, name):
            try:
                answer = cls.remove(director, name, version)
                if answer.status != 404:
                    tasks.follow(world, director, answer, f"deletion of {name}/{version}")
            except tasks.TaskError:
                # Whoever took it away: gone is gone.
                if version in cls.versions(world, at, name):
                    raise

    @classmethod
    def removing(cls, name: str, version: str) -> str:
        """Returns what the director calls the task that deletes one version."""
        raise NotImplementedError

    @classmethod
    def remove(cls, director: Any, name: str, version: str) -> Any:
        """Asks the director to delete one version; 404 where there is none."""
        raise NotImplementedError


def _facts(address: Mapping[str, str], mark: Mark | None) -> UploadFacts:
    kept = dict(address) if mark is not None else {}
    return UploadFacts(address=kept, mark=mark, name=address["name"], version=address["version"])


def _address(own: Mapping[str, str], former: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns what an entry of the ledger says: name and version, and those before it, the newest first, a line each."""
    before = "\n".join(f"{name}/{version}" for name, version in former)
    return {**own, **({"former": before} if before else {})}


def _kept(address: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns name and version of those that came before, the newest first."""
    split = (line.rpartition("/") for line in address.get("former", "").splitlines())
    return [(name, version) for name, _, version in split]


def _former(address: Mapping[str, str], own: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns what comes before `own` once it stands: what an entry names without it."""
    before = [(address["name"], address["version"]), *_kept(address)] if address else []
    return [one for one in before if one != (own["name"], own["version"])]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stemcell(Upload):
    """A stemcell."""

    kind: ClassVar[str] = "bosh.stemcell"
    path: ClassVar[str] = "/stemcells"
    uploading: ClassVar[str] = "create stemcell"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS | {"POST /stemcells", "DELETE /stemcells/:name/:version"},
        Verb.UPDATE: ledger.CALLS | {"POST /stemcells", "DELETE /stemcells/:name/:version"},
        Verb.DELETE: ledger.CALLS | {"DELETE /stemcells/:name/:version"},
    }

    @classmethod
    def versions(cls, world: Reader, at: Endpoint[Any, Any], name: str) -> frozenset[str]:
        found: Any = world.session(at).get("/stemcells").json()
        return frozenset(item["version"] for item in found if item["name"] == name)

    @classmethod
    def whole(cls, director: Any, name: str, version: str) -> bool:
        del director, name, version
        return True

    @classmethod
    def removing(cls, name: str, version: str) -> str:
        return f"delete stemcell: {name}/{version}"

    @classmethod
    def remove(cls, director: Any, name: str, version: str) -> Any:
        return director.delete(
            f"/stemcells/{name}/{version}", call="DELETE /stemcells/:name/:version", expect=(302, 404)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release(Upload):
    """A release."""

    kind: ClassVar[str] = "bosh.release"
    path: ClassVar[str] = "/releases"
    uploading: ClassVar[str] = "create release"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS | {"POST /releases", "DELETE /releases/:name"},
        Verb.UPDATE: ledger.CALLS | {"POST /releases", "DELETE /releases/:name"},
        Verb.DELETE: ledger.CALLS | {"DELETE /releases/:name"},
    }

    @classmethod
    def versions(cls, world: Reader, at: Endpoint[Any, Any], name: str) -> frozenset[str]:
        found: Any = world.session(at).get("/releases").json()
        return frozenset(
            item["version"] for one in found if one["name"] == name for item in one["release_versions"]
        )

    @classmethod
    def whole(cls, director: Any, name: str, version: str) -> bool:
        for called, result in tasks.latest(director, cls.uploading, cls.removing(name, version)):
            # An upload that failed does not say of which release it was, and a deletion may have come to its middle.
            if called != cls.uploading or result is None:
                return False
            if result == f"Created release '{name}/{version}'":
                return True
        return False

    @classmethod
    def removing(cls, name: str, version: str) -> str:
        del version
        return f"delete release: {name}"

    @classmethod
    def remove(cls, director: Any, name: str, version: str) -> Any:
        return director.delete(
            f"/releases/{name}", call="DELETE /releases/:name", params={"version": version}, expect=(302, 404)
        )
