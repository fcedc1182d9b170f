"""Cloud and runtime configs: documents that the director keeps by type and name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Verb, Writer
from paver.foundation import yaml_text
from paver.foundation.director import ledger
from paver.foundation.documents import kept, plain


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfigFacts(Facts):
    """The document as it stands there, parsed."""

    document: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resource[ConfigFacts]):
    """A cloud or runtime config of the director.

    Attributes:
        type_: `cloud` or `runtime`.
        name: of the config.
        document: what it says.
    """

    kind: ClassVar[str] = "bosh.config"
    calls: ClassVar = {
        Verb.CREATE: ledger.CALLS,
        Verb.UPDATE: ledger.CALLS,
        Verb.DELETE: ledger.CALLS,
        Verb.ADOPT: ledger.CALLS,
    }
    unmanaged: ClassVar[frozenset[str]] = frozenset({"type_", "name"})
    dies_with_parent: ClassVar[bool] = True

    type_: str
    name: str
    document: Mapping[str, Any]

    def says(self) -> str:
        return f"{self.type_} config {self.name}"

    def read(self, world: Reader) -> ConfigFacts | None:
        entry = ledger.read(world, self.at).get(self.id)
        there = _facts(world, self.at, self.id, self._address(), entry)
        mark = ledger.mark(world.site, self.id, entry)
        return _gone(self._address(), mark) if there is None and ledger.begun(mark) else there

    def _address(self) -> Mapping[str, str]:
        return {"type": self.type_, "name": self.name}

    def create(self, world: Writer) -> None:
        address = self._address()
        ledger.note(world, self.at, complete=False, address=address)
        content = yaml_text.dumps(plain(self.document), sort_keys=True)
        world.writing(self.at).post("/configs", call="POST /configs", json={**address, "content": content})
        ledger.note(world, self.at, complete=True, address=address)

    def update(self, world: Writer, facts: ConfigFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ConfigFacts]:
        for id_, entry in ledger.of_kind(world, at, cls.kind):
            address, mark = entry["address"], ledger.mark(world.site, id_, entry)
            yield _facts(world, at, id_, address, entry) or _gone(address, mark)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ConfigFacts) -> None:
        ledger.leaving(world, at, facts)
        world.writing(at).delete(
            "/configs", call="DELETE /configs", params=dict(facts.address), expect=(404,)
        )
        if facts.mark is not None:
            ledger.strike(world, at, facts.mark.id)


def _gone(address: Mapping[str, str], mark: Mark | None) -> ConfigFacts:
    return ConfigFacts(address=dict(address), mark=mark, document={})


def _facts(
    world: Reader,
    at: Endpoint[Any, Any],
    id_: str,
    address: Mapping[str, str],
    entry: Mapping[str, Any] | None,
) -> ConfigFacts | None:
    found: Any = world.session(at).get("/configs", params={**address, "latest": "true"}).json()
    if not found:
        return None
    return ConfigFacts(
        address=dict(address),
        mark=ledger.mark(world.site, id_, entry),
        document=kept(found[0]["content"], f"the director's {address['type']} config {address['name']}"),
    )
