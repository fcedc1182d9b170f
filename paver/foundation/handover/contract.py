"""The contract between paving and what is deployed on top: the same keys on any IaaS, secrets as references.

Its schema is `paver.contract/1`; a key removed is a new major version, a key added a new minor one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from paver.driver import Check, Endpoint, Facts, Reader, Resource, Verb, Writer, encode
from paver.foundation import record
from paver.machine.jumpbox import SITES
from paver.signing import canonical

SCHEMA = "paver.contract/1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContractFacts(Facts):
    """The document as it stands."""

    document: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract(Resource[ContractFacts]):
    """The contract, a file on the jumpbox."""

    kind: ClassVar[str] = "contract.document"
    calls: ClassVar = {
        Verb.CREATE: record.CALLS,
        Verb.UPDATE: record.CALLS,
        Verb.DELETE: record.CALLS | record.REMOVE,
    }

    document: Mapping[str, Any]

    def says(self) -> str:
        return SCHEMA

    def read(self, world: Reader) -> ContractFacts | None:
        found = record.read(world, self.at, self.id)
        if found is None:
            return None
        there = _facts(world, self.at, found)
        return _gone(found) if there is None and not found.mark.complete else there

    def create(self, world: Writer) -> None:
        record.write(world, self.at, self.id, {}, complete=False)
        path = path_of(world.site)
        machine = world.writing(self.at)
        machine.mkdir(str(path.parent), 0o755, "paver:paver")
        machine.write_file(str(path), canonical.dumps(encode(self.document)) + b"\n", 0o644)
        record.write(world, self.at, self.id, {}, complete=True)

    def update(self, world: Writer, facts: ContractFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: ContractFacts) -> Iterable[Check]:
        del world
        yield Check("it is a contract of this version", facts.document.get("schema") == SCHEMA)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ContractFacts]:
        for found in record.every(world, at, cls.kind):
            yield _facts(world, at, found) or _gone(found)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ContractFacts) -> None:
        if facts.mark is not None:
            record.leaving(world, at, facts.mark.id)
        world.writing(at).remove(facts.address["path"])
        if facts.mark is not None:
            record.remove(world, at, facts.mark.id)


def path_of(site: str) -> PurePosixPath:
    """Returns where the contract of a site stands on its jumpbox."""
    return SITES / site / "contract.json"


def _gone(found: record.Record) -> ContractFacts:
    """What is begun is there by its record, also where the file is not there yet, or no more."""
    return ContractFacts(address={"path": str(path_of(found.mark.site))}, mark=found.mark, document={})


def _facts(world: Reader, at: Endpoint[Any, Any], found: record.Record) -> ContractFacts | None:
    path = path_of(world.site)
    data = world.session(at).read_file(str(path))
    if data is None:
        return None
    document = canonical.loads(data)
    return ContractFacts(
        address={"path": str(path)},
        mark=found.mark,
        document=document if isinstance(document, dict) else {},
    )
