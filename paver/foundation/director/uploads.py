"""Stemcells and releases on a director: uploaded from the artefact, found by name and version."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Lane, Reader, Resource, Verb, Writer
from paver.foundation.director import ledger, tasks

TARBALL = "application/x-compressed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UploadFacts(Facts):
    """Name and version."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload(Resource[UploadFacts]):
    """A tarball that the director keeps; `file` is its path on the jumpbox."""

    path: ClassVar[str] = ""
    lane: ClassVar[Lane] = Lane.CONFIG
    replaces: ClassVar[frozenset[str]] = frozenset({"name", "version"})
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
        have = self.versions(world, self.at, self.name)
        held = entry["address"].get("version", "") if entry is not None else ""
        if held in have:
            address = {"name": self.name, "version": held}
            return UploadFacts(
                address=address,
                mark=ledger.mark(world.site, self.id, entry),
                name=self.name,
                version=held,
            )
        # BUCC and operators upload too: what is there already is used, and never deleted by paver.
        if self.version in have and entry is None:
            return UploadFacts(address={}, mark=None, name=self.name, version=self.version)
        mark = ledger.mark(world.site, self.id, entry)
        if entry is None or not ledger.begun(mark):
            return None
        return UploadFacts(address=entry["address"], mark=mark, name=self.name, version=held)

    def create(self, world: Writer) -> None:
        address = {"name": self.name, "version": self.version}
        director, doing = world.writing(self.at), f"upload of {self.name}/{self.version}"
        tasks.resumed(world, director, ledger.read(world, self.at).get(self.id), doing)
        if self.version not in self.versions(world, self.at, self.name):
            ledger.note(world, self.at, complete=False, address=address)
            source = Path(self.file)

            def sent(done: int, total: int) -> None:
                world.report(f"Uploading {source.name}", done, total, "B")

            answer = director.upload(
                self.path,
                source,
                call=f"POST {self.path}",
                content_type=TARBALL,
                headers=tasks.context(world),
                expect=(302,),
                on_progress=sent,
            )
            tasks.follow(world, director, answer, doing)
        ledger.note(world, self.at, complete=True, address=address)

    def update(self, world: Writer, facts: UploadFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[UploadFacts]:
        for id_, entry in ledger.of_kind(world, at, cls.kind):
            address = entry["address"]
            yield UploadFacts(
                address=address,
                mark=ledger.mark(world.site, id_, entry),
                name=address["name"],
                version=address["version"],
            )

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: UploadFacts) -> None:
        name, version = facts.address["name"], facts.address["version"]
        director, doing = world.writing(at), f"deletion of {name}/{version}"
        if facts.mark is not None:
            tasks.resumed(world, director, ledger.read(world, at).get(facts.mark.id), doing)
            ledger.leaving(world, at, facts)
        if version in cls.versions(world, at, name):
            answer = cls.remove(director, name, version, tasks.context(world))
            tasks.follow(world, director, answer, doing)
        if facts.mark is not None:
            ledger.strike(world, at, facts.mark.id)

    @classmethod
    def remove(cls, director: Any, name: str, version: str, context: Mapping[str, str]) -> Any:
        """Asks the director to delete one version; `context` are the headers that its task is known again by."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stemcell(Upload):
    """A stemcell."""

    kind: ClassVar[str] = "bosh.stemcell"
    path: ClassVar[str] = "/stemcells"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS | {"POST /stemcells"},
        Verb.UPDATE: ledger.CALLS | {"POST /stemcells"},
        Verb.DELETE: ledger.CALLS | {"DELETE /stemcells/:name/:version"},
    }

    @classmethod
    def versions(cls, world: Reader, at: Endpoint[Any, Any], name: str) -> frozenset[str]:
        found: Any = world.session(at).get("/stemcells").json()
        return frozenset(item["version"] for item in found if item["name"] == name)

    @classmethod
    def remove(cls, director: Any, name: str, version: str, context: Mapping[str, str]) -> Any:
        return director.delete(
            f"/stemcells/{name}/{version}",
            call="DELETE /stemcells/:name/:version",
            headers=context,
            expect=(302,),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release(Upload):
    """A release."""

    kind: ClassVar[str] = "bosh.release"
    path: ClassVar[str] = "/releases"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS | {"POST /releases"},
        Verb.UPDATE: ledger.CALLS | {"POST /releases"},
        Verb.DELETE: ledger.CALLS | {"DELETE /releases/:name"},
    }

    @classmethod
    def versions(cls, world: Reader, at: Endpoint[Any, Any], name: str) -> frozenset[str]:
        found: Any = world.session(at).get("/releases").json()
        return frozenset(
            item["version"] for one in found if one["name"] == name for item in one["release_versions"]
        )

    @classmethod
    def remove(cls, director: Any, name: str, version: str, context: Mapping[str, str]) -> Any:
        return director.delete(
            f"/releases/{name}",
            call="DELETE /releases/:name",
            params={"version": version},
            headers=context,
            expect=(302,),
        )
