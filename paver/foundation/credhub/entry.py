"""Entries of CredHub: the published copy of what the sealed store holds, one way.

Mark and version stand in the entry's metadata, so that comparing needs no value. Metadata have 7000 characters at most
(credhub `BaseCredentialSetRequest.kt`), so a text that is longer than a name stands there by its digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Secret, Verb, Writer

DEPLOYED = ("object-store", "registry")
"""Deployments whose secrets paver writes, below `/<site>/`: there a director has those of all others too."""
SHARED = frozenset(
    {
        "object_store_access_key",
        "object_store_ca",
        "object_store_secret_key",
        "registry_ca",
        "registry_password",
        "root_ca",
    }
)
"""What a team's pipelines get, below `/concourse/<team>/`: beside it lies what is the team's own."""
PATH = "/api/v1/data"
PUT = frozenset({f"PUT {PATH}"})
_LONGEST = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class EntryFacts(Facts):
    """What stands there: type and the versions in the metadata."""

    type_: str
    parts: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CredhubEntry(Resource[EntryFacts]):
    """An entry of CredHub.

    Attributes:
        path: its name, `/…`.
        type_: `password`, `value`, `certificate` or `user`.
        parts: of the value by field (`value` for a password): secrets, outputs or text.
    """

    kind: ClassVar[str] = "credhub.entry"
    calls: ClassVar = {Verb.CREATE: PUT, Verb.UPDATE: PUT, Verb.DELETE: frozenset({f"DELETE {PATH}"})}
    unmanaged: ClassVar[frozenset[str]] = frozenset({"path"})
    replaces: ClassVar[frozenset[str]] = frozenset({"type_"})
    dies_with_parent: ClassVar[bool] = True

    path: str
    type_: str
    parts: Mapping[str, Any]

    def says(self) -> str:
        return self.type_

    def read(self, world: Reader) -> EntryFacts | None:
        return _facts(world, self.at, self.path)

    def wish(self) -> dict[str, Any]:
        """Returns the wished fields, parts in the words that stand for them in the metadata."""
        parts = {name: _short(v) if isinstance(v, str) else v for name, v in self.parts.items()}
        return {**super().wish(), "parts": parts}

    def create(self, world: Writer) -> None:
        fields = {name: world.reveal(v) if isinstance(v, Secret) else v for name, v in self.parts.items()}
        value = fields["value"] if self.type_ in {"password", "value"} else fields
        mark = world.mark(complete=True)
        held = {name: _held(world, part) for name, part in self.parts.items()}
        metadata = {"paver": {**mark.document(), "parts": held}}
        body = {"name": self.path, "type": self.type_, "value": value, "metadata": metadata}
        world.writing(self.at).put(PATH, call=f"PUT {PATH}", json=body)

    def update(self, world: Writer, facts: EntryFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[EntryFacts]:
        # Whose an entry is stands beside its value, and who asks for one gets both: nobody else's secret is asked for.
        for base in (*(f"/{world.site}/{name}" for name in DEPLOYED), "/concourse"):
            answer: Any = world.session(at).get(PATH, params={"path": base}).json()
            for item in answer["credentials"]:
                found = _facts(world, at, item["name"]) if may_be_ours(world.site, item["name"]) else None
                if found is not None and found.mark is not None:
                    yield found

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: EntryFacts) -> None:
        world.writing(at).delete(
            PATH, call=f"DELETE {PATH}", params={"name": facts.address["path"]}, expect=(404,)
        )


def may_be_ours(site: str, path: str) -> bool:
    """Tells whether paver writes entries of that name for a site."""
    match path.split("/"):
        case ["", "concourse", _, name]:
            return name in SHARED
        case ["", first, name, _]:
            return first == site and name in DEPLOYED
    return False


def _held(world: Writer, part: Any) -> str:
    """Returns what stands for a part in the metadata: a secret's version, or the text."""
    return world.version(part) or "" if isinstance(part, Secret) else _short(str(part))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _facts(world: Reader, at: Endpoint[Any, Any], path: str) -> EntryFacts | None:
    answer = world.session(at).get(PATH, params={"name": path, "current": "true"}, expect=(404,))
    if answer.status == 404:
        return None
    found: Any = answer.json()["data"][0]
    held = (found.get("metadata") or {}).get("paver")
    # Value and mark come in one call, so an entry is complete from its birth; that is not said in the first ones.
    ours = {"complete": True, **held} if isinstance(held, dict) else {}
    mark = Mark.of(ours)
    return EntryFacts(
        address={"path": path},
        mark=mark,
        type_=found["type"],
        parts=ours["parts"] if mark is not None else {},
    )
