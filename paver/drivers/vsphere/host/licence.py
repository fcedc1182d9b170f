"""The licence of a host: one that lets the API write, given by the site file or there already.

The free licence makes the API read-only, the ledger's file included; so a licence that replaces
it is the one setting whose entry is written after it. Without a key of the site file this is a check, made before anything else.

On a host that a vCenter manages no key stays that is set on the host itself: the one that is assigned to it in vCenter takes its
place ("The License Key of an ESXi Host Is Replaced", vCenter Server and Host Management). There `vsphere.cluster-host` assigns it and
sees whether it is still assigned, and here counts which one was noted.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from paver.driver import Check, Endpoint, Facts, PaverError, Reader, Refused, Resource, Secret, Writer
from paver.drivers.vsphere import evaluation, ledger
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import declared

FREE = "esxBasic"
"""How the editions of the free licence begin."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LicenceFacts(Facts):
    """The licence as it is; `key` is the version of the secret that was assigned, None for any other key.

    On a host that a vCenter manages it is the version of the one that was noted.
    """

    key: str | None = None
    edition: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """The licence in force, as the host shows it."""

    key: str
    name: str
    edition: str

    @property
    def writes(self) -> bool:
        """False for the free licence."""
        return not self.edition.startswith(FREE)

    @property
    def evaluates(self) -> bool:
        """True where no licence was assigned."""
        return self.key == evaluation.KEY


def look(session: Any) -> Seen:
    """Returns the licence in force; without any the host runs its evaluation."""
    licences = session.value(session.content.licenseManager, "licenses") or ()
    if not licences:
        return Seen(evaluation.KEY, "Evaluation Mode", "eval")
    # The evaluation stays in the list behind a licence that was assigned.
    first = next((one for one in licences if one.licenseKey != evaluation.KEY), licences[0])
    return Seen(first.licenseKey, first.name, first.editionKey)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Licence(Resource[LicenceFacts]):
    """A licence that can write.

    Attributes:
        ledger_on: the datastore on which the host's ledger is begun.
        key: the licence key to assign; None keeps the host's own.
    """

    kind = "vsphere.licence"
    setting = True
    unmanaged = frozenset({"ledger_on"})
    calls = declared("UpdateLicense")

    ledger_on: str
    key: Secret | None = None

    def read(self, world: Reader) -> LicenceFacts | None:
        """Returns the licence in force.

        Raises:
            Refused: if it cannot write and the site file gives no other.
        """
        session = world.session(self.at)
        seen = look(session)
        if not seen.writes and self.key is None:
            host = self.at.name.partition(":")[2]
            raise Refused(
                f"{host} refuses to be written to: its licence is the free one (RestrictedVersion)",
                seen=f'licence "{seen.name}", edition {seen.edition}',
                why="the free licence makes the API read-only; vCenter's installer would fail as well",
                do=f"set iaas.hosts.{host}.licence to a reference, or start the 60-day evaluation on the host, "
                "then run the same command again",
            )
        return _facts(world, session, ledger.read(world, self.at).get(self.id))

    def create(self, world: Writer) -> None:
        """Assigns the key, then notes what was there before."""
        if self.key is None:
            raise PaverError(f"{self.id}: there is no licence key to assign")
        session = world.writing(self.at)
        before = look(session)
        entry = ledger.read(world, self.at).get(self.id)
        key = world.reveal(self.key)
        begun = ledger.Entry(
            self.id,
            world.mark(complete=False).action,
            complete=False,
            address=_address(entry, _digest(key), world.version(self.key) or ""),
            baseline=entry.baseline if entry is not None else {"key": before.key},
        )
        if before.writes:
            ledger.note(world, self.at, begun, self.ledger_on)
        if before.key != key:
            session.call(session.content.licenseManager, "UpdateLicense", licenseKey=key)
        ledger.note(world, self.at, dataclasses.replace(begun, complete=True), self.ledger_on)

    def update(self, world: Writer, facts: LicenceFacts, fields: frozenset[str]) -> None:
        """Assigns the key."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: LicenceFacts) -> Iterable[Check]:
        """Yields that the host can be written to, and of an evaluation that it goes on."""
        session = world.session(self.at)
        seen = look(session)
        yield Check("the licence lets the API write", seen.writes, f"{seen.name}, edition {facts.edition}")
        if seen.evaluates:
            host = self.at.name.partition(":")[2]
            do = f"set iaas.hosts.{host}.licence to a reference, then `paver apply`"
            yield evaluation.check(host, evaluation.until(session), do)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[LicenceFacts]:
        """Yields the licence if paver assigned it."""
        for entry in ledger.read(world, at).of_kind(cls.kind):
            yield _facts(world, world.session(at), entry)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: LicenceFacts) -> None:
        """Strikes the entry, then puts the former licence back: it may be one that forbids to write."""
        entry = ledger.read(world, at).get(facts.mark.id) if facts.mark is not None else None
        if entry is None:
            raise PaverError(f"{at.name}: the ledger no longer knows the former licence")
        ledger.strike(world, at, entry.id)
        session = world.writing(at)
        former = str(entry.baseline["key"])
        if look(session).key != former:
            session.call(session.content.licenseManager, "UpdateLicense", licenseKey=former)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"secret:{self.key.name}" if self.key is not None else "can write"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _address(entry: ledger.Entry | None, digest: str, version: str) -> dict[str, str]:
    """Returns what is noted of a key, and of the one before it: until it is assigned in vCenter that one is in force."""
    now = {"digest": digest, "version": version}
    if entry is None:
        return now
    if entry.address["digest"] == digest:
        return {**entry.address, **now}
    return {**now, "former_digest": entry.address["digest"], "former_version": entry.address["version"]}


def noted(entry: ledger.Entry | None, key: str) -> str | None:
    """Returns the version of the secret that a licence key is noted as in the host's ledger, None for any other key."""
    ours: Mapping[str, str] = entry.address if entry is not None else {}
    known = {ours.get(f"{one}digest"): ours.get(f"{one}version") for one in ("former_", "")}
    return known.get(_digest(key))


def _facts(world: Reader, session: Any, entry: ledger.Entry | None) -> LicenceFacts:
    seen = look(session)
    version = noted(entry, seen.key)
    meant = entry.address["version"] if entry is not None else None
    if version != meant and reading.of(session, reading.MANAGER):
        version = meant
    return LicenceFacts(
        mark=entry.mark(world.site) if entry is not None else None,
        key=version,
        edition=seen.edition,
    )
