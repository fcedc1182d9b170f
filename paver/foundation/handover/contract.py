"""The contract between paving and what is deployed on top: the same keys on any IaaS, secrets as references.

Its schema is `paver.contract/1`; a key removed is a new major version, a key added a new minor one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from paver.driver import Check, Endpoint, Facts, Reader, Resource, Verb, Writer, encode
from paver.errors import PaverError
from paver.foundation import record
from paver.machine.jumpbox import SITES
from paver.signing import canonical, public_line

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


def loads(data: bytes) -> Mapping[str, Any]:
    """Returns a contract as it was read on the jumpbox.

    Raises:
        PaverError: it is none of this version's.
    """
    try:
        document = canonical.loads(data)
    except canonical.CanonicalError as error:
        raise _not_a_contract(error.what) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _not_a_contract(f"its schema is not {SCHEMA}")
    return document


def known_hosts(document: Mapping[str, Any], address: str) -> list[str]:
    """Returns the host keys that a contract names, as lines of a known_hosts file.

    Args:
        document: the contract.
        address: the jumpbox's, by the site file: whoever may write the contract must not vouch for other machines.

    Raises:
        PaverError: one of them is no public key in one line.
    """
    match document.get("jumpbox"):
        case {"host_keys": [*keys]}:
            pass
        case {"host_keys": str(text)}:
            keys = text.splitlines()
        case _:
            keys = []
    return [f"{address} {_host_key(key)}" for key in keys]


def _host_key(line: object) -> str:
    words = line.split(" ") if isinstance(line, str) else []
    if len(words) < 2 or words[0] not in public_line.KINDS or not public_line.is_whole(words[0], words[1]):
        raise _not_a_contract(f"a host key: {str(line)[:60]}")
    return " ".join(words[:2])


def _not_a_contract(seen: str) -> PaverError:
    return PaverError(
        "the contract on the jumpbox is damaged, or was changed there",
        seen=seen,
        do="`paver plan` shows what differs, `paver apply` writes it anew; find out who changed it",
    )


def _gone(found: record.Record) -> ContractFacts:
    """What is begun is there by its record, also where the file is not there yet, or no more."""
    return ContractFacts(address={"path": str(path_of(found.mark.site))}, mark=found.mark, document={})


def _facts(world: Reader, at: Endpoint[Any, Any], found: record.Record) -> ContractFacts | None:
    path = path_of(world.site)
    data = world.session(at).read_file(str(path))
    if data is None:
        return None
    try:
        document = canonical.loads(data)
    except canonical.CanonicalError:
        # Damaged, or changed there: it differs from what is wished, and is written anew.
        document = None
    return ContractFacts(
        address={"path": str(path)},
        mark=found.mark,
        document=document if isinstance(document, dict) else {},
    )
