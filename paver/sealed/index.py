"""What a sealed store shows without its key: names, versions, public parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from paver.errors import BadInput
from paver.sealed.errors import NoSuchSecretError
from paver.signing.canonical import Json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One value that an entry has or had.

    `version` is random (128 bits, hex): it says nothing about the value, and stands at the value's consumer too, so
    that comparing needs no value. `public` is what may be known: a certificate, a public key, an expiry. `made_by`
    names the action or command that made it.
    """

    version: str
    public: Mapping[str, Json]
    made_by: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A secret's present version and its earlier ones, newest first, kept for rotation."""

    current: Version
    previous: tuple[Version, ...] = ()

    @property
    def version(self) -> str:
        """The present version's id."""
        return self.current.version

    @property
    def public(self) -> Mapping[str, Json]:
        """The present version's public parts."""
        return self.current.public

    def all(self) -> tuple[Version, ...]:
        """Returns every version that the store keeps, the present one first."""
        return (self.current, *self.previous)


@dataclass(frozen=True, kw_only=True)
class Index:
    """The readable part of a store.

    Fields:
        store: the store's identity, an Ed25519 public key in hex.
        generation: grows by one with each write.
        entries: by name.
        digest: SHA-256 (hex) of the file's signed part: names this very content.
        ancestry: digests of earlier generations, newest first.
    """

    store: str
    generation: int
    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    digest: str
    ancestry: tuple[str, ...] = ()

    def entry(self, name: str) -> Entry:
        """Returns the entry `name`.

        Raises:
            NoSuchSecretError: there is none.
        """
        found = self.entries.get(name)
        if found is None:
            raise NoSuchSecretError(
                f"the sealed store has no secret {name!r}",
                do=f"`paver secrets set {name}` stores one; `paver secrets list` shows what is there",
            )
        return found

    def versions(self) -> dict[str, set[str]]:
        """Returns the ids of all versions by entry."""
        return {name: {version.version for version in entry.all()} for name, entry in self.entries.items()}


def checked_name(name: str) -> str:
    """Returns `name`.

    Raises:
        BadInput: it is no name for a secret.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            "this is no name for a secret",
            why="a name has 1 to 200 letters, digits and . _ / @ : -, and begins with a letter or digit",
        )
    return name


def entries_to_json(entries: Mapping[str, Entry]) -> dict[str, Json]:
    """Returns the entries as canonical JSON takes them."""
    return {name: [_version_to_json(version) for version in entry.all()] for name, entry in entries.items()}


def entries_from_json(found: Mapping[str, Json]) -> Mapping[str, Entry]:
    """Returns the entries that `entries_to_json` wrote.

    Raises:
        ValueError: they are of another form, or have names that no secret has.
    """
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError("a name that no secret has")
    return MappingProxyType({name: _entry(versions) for name, versions in found.items()})


def _version_to_json(version: Version) -> Json:
    return {"version": version.version, "public": dict(version.public), "made_by": version.made_by}


def _entry(found: Json) -> Entry:
    if not isinstance(found, list) or not found:
        raise ValueError("an entry has a version")
    versions = tuple(_version(version) for version in found)
    return Entry(current=versions[0], previous=versions[1:])


def _version(found: Json) -> Version:
    match found:
        case {"version": str(version), "public": dict(public), "made_by": str(made_by), **rest} if not rest:
            return Version(version=version, public=MappingProxyType(public), made_by=made_by)
        case _:
            raise ValueError("a version has version, public and made_by")
