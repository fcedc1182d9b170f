"""The sealed store as an endpoint: what resources may ask of it, and how they refer to what it holds.

The engine only knows these faces; `paver.sealed` holds the file, `paver.trust` connects the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from paver.engine.mark import Mark
from paver.engine.resource import Endpoint
from paver.engine.values import ResourceId, Secret, resource_id
from paver.signing.canonical import Json


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of an entry without its value: version, public parts (certificate, public key), mark."""

    name: str
    version: str
    public: Mapping[str, Json]
    mark: Mark | None


class StoreReader(Protocol):
    """Reads the store's index; no key is needed."""

    def entry(self, name: str) -> Entry | None:
        """Returns the entry, None if there is none."""
        ...

    def entries(self) -> tuple[Entry, ...]:
        """Returns all entries, by name."""
        ...


class StoreWriter(StoreReader, Protocol):
    """Writes the store; each write passes the gate under the calls `seal:put` and `seal:remove`."""

    def value(self, name: str) -> str:
        """Returns an entry's secret value, for the moment of use only."""
        ...

    def put(self, name: str, value: str, public: Mapping[str, Json], mark: Mark) -> Entry:
        """Seals a value under a new random version (an empty one for an entry that is public only)."""
        ...

    def remove(self, name: str) -> None:
        """Removes an entry and its history."""
        ...


STORE: Endpoint[StoreReader, StoreWriter] = Endpoint("store", slots=4)
"""Entries are independent, and its one writer puts them one after the other; making their keys takes seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Material:
    """Trust material that a driver or the foundation needs, made in the phase `trust`.

    Attributes:
        kind: `password`, `ssh-key`, `authority` or `certificate`; its resource is `trust.<kind>:<name>`.
        name: of the entry in the sealed store.
        policy: for passwords: `vcenter`, `generic`, `s3`; for keys and certificates: `rsa`, `ed25519`, `ec`.
        brought: for passwords: another policy that one put in by hand is held to; whatever `policy` makes fits it.
        common_name: of an authority or a certificate.
        dns: names that a certificate is for.
        ip: addresses that it is for.
        authority: name of the authority that issues it.
        by_hand: where another password is set, if no resource brings it to whoever asks for it.
    """

    kind: str
    name: str
    policy: str = "generic"
    brought: str = ""
    common_name: str = ""
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    authority: str = "root"
    by_hand: str = ""

    @property
    def id(self) -> ResourceId:
        """Of the resource that makes it; its facts are `version` and, by kind, `public`, `pem`, `chain`."""
        return resource_id(f"trust.{self.kind}", self.name)

    @property
    def secret(self) -> Secret:
        """The reference to its value (a password, or a private key in PEM)."""
        return Secret(self.name, self.id)
