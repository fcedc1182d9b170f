"""Authorities, certificates, SSH keys and passwords as resources of the sealed store.

Each is one entry; what may be known of it (certificate, public key, how it was made) is its public part, so
that a plan needs no key. A certificate that ends soon, or whose issuer changed, is made anew.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from paver.driver import (
    STORE,
    Check,
    Endpoint,
    Entry,
    Facts,
    Reader,
    Resource,
    Secret,
    StoreReader,
    Verb,
    Writer,
)
from paver.sealed import passwords
from paver.sealed.secret import SecretValue
from paver.signing.canonical import Json
from paver.trust import authority, ssh_keys

T = TypeVar("T")
PUT = frozenset({"seal:put"})
KEY = "rsa-2048"
CALLS: Mapping[Verb, frozenset[str]] = {
    Verb.CREATE: PUT,
    Verb.UPDATE: PUT,
    Verb.DELETE: frozenset({"seal:remove"}),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PasswordFacts(Facts):
    """A password, without its value."""

    version: str
    policy: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SshKeyFacts(Facts):
    """An SSH key: `public` is the line for authorized_keys."""

    version: str
    algorithm: str
    public: str
    fingerprint: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuthorityFacts(Facts):
    """A root: `pem` is its certificate."""

    version: str
    algorithm: str
    common_name: str
    pem: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CertificateFacts(Facts):
    """A certificate: `fresh` until it is to be renewed."""

    version: str
    common_name: str
    dns: frozenset[str]
    ip: frozenset[str]
    issuer: str
    issuer_version: str
    pem: str
    fresh: bool


def _entry(world: Reader, name: str) -> Entry | None:
    store: StoreReader = world.session(STORE)
    return store.entry(name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Password(Resource[PasswordFacts]):
    """A random password under a policy.

    Attributes:
        name: of the entry.
        policy: that it is made under.
        brought: another one that a password put in by hand is held to; one that is made fits it.
    """

    kind: ClassVar[str] = "trust.password"
    calls: ClassVar = CALLS
    remade: ClassVar[frozenset[str]] = frozenset({"version"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name", "brought"})

    name: str
    policy: str
    brought: str = ""

    def read(self, world: Reader) -> PasswordFacts | None:
        return _found(_entry(world, self.name), _password)

    def create(self, world: Writer) -> None:
        value = passwords.generate(self.policy).reveal()
        world.writing(STORE).put(self.name, value, {"policy": self.policy}, world.mark(complete=True))

    def update(self, world: Writer, facts: PasswordFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: PasswordFacts) -> Iterable[Check]:
        del world
        yield Check("it has a version", bool(facts.version))

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[PasswordFacts]:
        return _all(world, at, cls.kind, _password)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: PasswordFacts) -> None:
        world.writing(at).remove(facts.address["name"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class SshKey(Resource[SshKeyFacts]):
    """A key pair for SSH."""

    kind: ClassVar[str] = "trust.ssh-key"
    calls: ClassVar = CALLS
    remade: ClassVar[frozenset[str]] = frozenset({"version", "public", "fingerprint"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str
    algorithm: str

    def read(self, world: Reader) -> SshKeyFacts | None:
        return _found(_entry(world, self.name), _ssh_key)

    def create(self, world: Writer) -> None:
        pair = ssh_keys.new_key_pair(self.algorithm, comment=f"paver {world.site} {self.name}")
        public: dict[str, Json] = {
            "algorithm": self.algorithm,
            "fingerprint": pair.fingerprint,
            "public": pair.public_key,
        }
        world.writing(STORE).put(self.name, pair.private_key.reveal(), public, world.mark(complete=True))

    def update(self, world: Writer, facts: SshKeyFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[SshKeyFacts]:
        return _all(world, at, cls.kind, _ssh_key)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: SshKeyFacts) -> None:
        world.writing(at).remove(facts.address["name"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Authority(Resource[AuthorityFacts]):
    """A self-signed root."""

    kind: ClassVar[str] = "trust.authority"
    calls: ClassVar = CALLS
    replaces: ClassVar[frozenset[str]] = frozenset({"algorithm", "common_name"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name", "days"})

    name: str
    common_name: str
    algorithm: str
    days: int
    protected: bool = True

    def says(self) -> str:
        return f"{self.common_name}, {self.algorithm}, {self.days} days"

    def read(self, world: Reader) -> AuthorityFacts | None:
        return _found(_entry(world, self.name), _authority)

    def create(self, world: Writer) -> None:
        made = authority.new_authority(
            self.common_name, now=dt.datetime.now(dt.UTC), days=self.days, algorithm=self.algorithm
        )
        public: dict[str, Json] = {
            "algorithm": self.algorithm,
            "common_name": self.common_name,
            "pem": made.certificate,
        }
        world.writing(STORE).put(self.name, made.private_key.reveal(), public, world.mark(complete=True))

    def checks(self, world: Reader, facts: AuthorityFacts) -> Iterable[Check]:
        del world
        yield Check("it is an authority", authority.statement(facts.pem).authority)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[AuthorityFacts]:
        return _all(world, at, cls.kind, _authority)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: AuthorityFacts) -> None:
        world.writing(at).remove(facts.address["name"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificate(Resource[CertificateFacts]):
    """A certificate that one of the authorities issues, with an RSA key of 2048 bits, CredHub's own default.

    CredHub takes no other kind of key ("Key file does not contain an RSA private key", credhub `PrivateKeyReader.kt`),
    and it is CredHub that hands certificates to deployments.

    Attributes:
        issuer: name of the authority.
        issuer_version: of the authority's key: a new one means a new certificate.
        fresh: wished True; found False once it is to be renewed, or where its key is not RSA.
    """

    kind: ClassVar[str] = "trust.certificate"
    calls: ClassVar = CALLS
    remade: ClassVar[frozenset[str]] = frozenset({"version", "pem"})
    unmanaged: ClassVar[frozenset[str]] = frozenset({"name", "days", "renew_before_days"})

    name: str
    common_name: str
    dns: frozenset[str]
    ip: frozenset[str]
    issuer: str
    issuer_version: str
    days: int
    renew_before_days: int
    fresh: bool = True

    def says(self) -> str:
        return ", ".join([*sorted(self.dns), *sorted(self.ip)])

    def read(self, world: Reader) -> CertificateFacts | None:
        return _found(_entry(world, self.name), lambda entry: _certificate(entry, self.renew_before_days))

    def foresees(self, world: Reader, facts: CertificateFacts | None) -> str:
        del world
        if facts is None or facts.fresh:
            return ""
        shown = authority.statement(facts.pem)
        if not shown.key.startswith("rsa "):
            return f"its key is {shown.key}, and CredHub takes RSA alone"
        return f"it holds until {shown.not_after:%Y-%m-%d} only"

    def create(self, world: Writer) -> None:
        store = world.writing(STORE)
        issuer = store.entry(self.issuer)
        if issuer is None:
            msg = f"the authority {self.issuer} is not there, though it comes first"
            raise LookupError(msg)
        key = SecretValue(world.reveal(Secret(self.issuer)))
        made = authority.issue(
            authority.Issued(str(issuer.public["pem"]), key),
            common_name=self.common_name,
            now=dt.datetime.now(dt.UTC),
            days=self.days,
            dns=sorted(self.dns),
            ip=sorted(self.ip),
            algorithm=KEY,
        )
        public: dict[str, Json] = {
            "issuer": self.issuer,
            "issuer_version": issuer.version,
            "common_name": self.common_name,
            "pem": made.certificate,
        }
        store.put(self.name, made.private_key.reveal(), public, world.mark(complete=True))

    def update(self, world: Writer, facts: CertificateFacts, fields: frozenset[str]) -> None:
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[CertificateFacts]:
        return _all(world, at, cls.kind, lambda entry: _certificate(entry, 0))

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: CertificateFacts) -> None:
        world.writing(at).remove(facts.address["name"])


def _found(entry: Entry | None, make: Callable[[Entry], T]) -> T | None:
    return None if entry is None else make(entry)


def _all(world: Reader, at: Endpoint[Any, Any], kind: str, make: Callable[[Entry], T]) -> Iterable[T]:
    for entry in world.session(at).entries():
        if entry.mark is not None and str(entry.mark.id).startswith(f"{kind}:"):
            yield make(entry)


def _password(entry: Entry) -> PasswordFacts:
    return PasswordFacts(
        address={"name": entry.name},
        mark=entry.mark,
        version=entry.version,
        policy=str(entry.public.get("policy", "")),
    )


def _ssh_key(entry: Entry) -> SshKeyFacts:
    public = {key: str(entry.public.get(key, "")) for key in ("algorithm", "public", "fingerprint")}
    return SshKeyFacts(address={"name": entry.name}, mark=entry.mark, version=entry.version, **public)


def _authority(entry: Entry) -> AuthorityFacts:
    public = {key: str(entry.public.get(key, "")) for key in ("algorithm", "common_name", "pem")}
    return AuthorityFacts(address={"name": entry.name}, mark=entry.mark, version=entry.version, **public)


def _certificate(entry: Entry, renew_before_days: int) -> CertificateFacts:
    pem = str(entry.public.get("pem", ""))
    shown = authority.statement(pem)
    left = shown.not_after - dt.datetime.now(dt.UTC)
    return CertificateFacts(
        address={"name": entry.name},
        mark=entry.mark,
        version=entry.version,
        common_name=str(entry.public.get("common_name", "")),
        dns=shown.dns,
        ip=shown.ip,
        issuer=str(entry.public.get("issuer", "")),
        issuer_version=str(entry.public.get("issuer_version", "")),
        pem=pem,
        fresh=left > dt.timedelta(days=renew_before_days) and shown.key.startswith("rsa "),
    )
