"""Looks for everything that stands in the way of a site, before anything is planned; writes nothing.

Each finding stands for itself: a missing file hides no wrong password. What only the IaaS can tell comes from the
driver's own `preflight`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from paver.driver import Driver, Finding, Grade, Secret
from paver.errors import BadInput, PaverError
from paver.foundation import named_files
from paver.foundation.bucc import packed
from paver.runs.compose import compose, given
from paver.sealed import keys, passwords
from paver.sealed.index import Index
from paver.sealed.keys import KeySource
from paver.sitefile.site import Site
from paver.transport.context import Station, Wire
from paver.trust.vault import Vault

WORST = (
    # What the user can mend first comes first.
    (Grade.INPUT, 3),
    (Grade.REFUSED, 4),
    (Grade.UNREACHABLE, 1),
    (Grade.WARNING, 2),
)
SEALED = "sealed store"
FILES = "files"
SECRETS = "secrets"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preflight:
    """Everything that was looked at before a run.

    Attributes:
        site: the site's name.
        exit: the exit code: 0 nothing stands in the way, else as the worst grade has it.
        findings: each of them.
    """

    site: str
    exit: int
    findings: tuple[Finding, ...]


def exit_code(findings: Iterable[Finding]) -> int:
    """Returns the exit code for what was found: 3, 4, 1, 2 or 0, the first that applies."""
    grades = {finding.grade for finding in findings}
    return next((code for grade, code in WORST if grade in grades), 0)


def look(
    site: Site, driver: Driver, vault: Vault, key: KeySource | None, *, station: Station
) -> Iterator[Finding]:
    """Yields every finding: sealed store, secrets, files, then what the driver sees."""
    yield from _store(site, vault, key)
    yield from _secrets(site, driver, vault, key)
    yield from _files(site, station)
    offered = getattr(driver, "preflight", None)
    if offered is not None:
        yield from offered(site, _wire(vault, station))


def _wire(vault: Vault, station: Station) -> Wire:
    def reveal(secret: Any) -> str:
        return vault.reveal(Secret(secret.name))

    return Wire(station=station, reveal=reveal, anchor=vault.pem)


def _store(site: Site, vault: Vault, key: KeySource | None) -> Iterator[Finding]:
    if key is None:
        lost = keys.missing("", named=site.secrets.key, sealed=vault.path)
        yield Finding(
            subject=SEALED, check="key", grade=Grade.INPUT, seen=lost.seen, why=lost.why, do=lost.do
        )
    try:
        index = vault.index()
        if index is None:
            yield Finding(
                subject=SEALED,
                check="file",
                grade=Grade.INPUT,
                seen=f"no {vault.path}",
                do="`paver secrets init` makes it",
            )
        else:
            number = len(index.entries)
            count = f"{number} {'entry' if number == 1 else 'entries'}, generation {index.generation}"
            yield Finding(subject=SEALED, check="file", seen=count)
            if key is not None:
                vault.values()
                yield Finding(subject=SEALED, check="key", seen="opens it")
    except PaverError as error:
        yield _problem(SEALED, "opening", error)


def _secrets(site: Site, driver: Driver, vault: Vault, key: KeySource | None) -> Iterator[Finding]:
    try:
        index = vault.index()
    except PaverError:
        return  # said already
    try:
        paved = compose(site, driver)
    except BadInput as error:
        yield _problem(SECRETS, "which are needed", error)
        return
    yield from _missing(given(paved), index)
    policies = {
        one.id.partition(":")[2]: str(one.wish()["policy"])
        for one in paved.resources
        if one.id.startswith("trust.password:")
    }
    yield from _policies(policies, index, vault, key)


def _missing(names: Iterable[str], index: Index | None) -> Iterator[Finding]:
    for name in sorted(names):
        there = index is not None and name in index.entries
        yield Finding(
            subject=SECRETS,
            check=name,
            grade=Grade.OK if there else Grade.INPUT,
            seen="in the sealed store" if there else "not in the sealed store",
            do="" if there else f"paver secrets set {name}",
        )


def _policies(
    policies: dict[str, str], index: Index | None, vault: Vault, key: KeySource | None
) -> Iterator[Finding]:
    """Yields which passwords that a user put in would be refused by what they are for."""
    if index is None or key is None:
        return
    for name, policy in sorted(policies.items()):
        if name not in index.entries:
            continue
        wrong = passwords.check(policy, vault.reveal(Secret(name)))
        if wrong:
            yield Finding(
                subject=SECRETS,
                check=name,
                grade=Grade.INPUT,
                seen="; ".join(wrong),
                wanted=f"policy {policy}",
                do=f"paver secrets set {name}",
            )


def _files(site: Site, station: Station) -> Iterator[Finding]:
    yield _artefact(site, "BUCC artefact", site.bucc.artefact, station)
    for what, text in site.named_files:
        try:
            named_files.READERS[what](site, text)
        except BadInput as error:
            yield _problem(FILES, what.value, error)
        else:
            yield Finding(subject=FILES, check=what.value, seen=text)


def _artefact(site: Site, check: str, text: str, station: Station) -> Finding:
    if not site.path(text).is_file():
        if station == "jumpbox":
            return Finding(
                subject=FILES,
                check=check,
                grade=Grade.WARNING,
                seen=f"no {text} beside the site file",
                why="the plan takes what was brought to the jumpbox before, and refuses where nothing was",
                do="nothing, if it was brought; else put it there",
            )
        return Finding(
            subject=FILES,
            check=check,
            grade=Grade.INPUT,
            seen=f"no {text}",
            wanted=str(site.path(text)),
            do="put it there, or correct the site file",
        )
    try:
        packed.check(site.path(text), text)
    except BadInput as error:
        why = "\n".join(part for part in (error.seen, error.why) if part)
        return Finding(subject=FILES, check=check, grade=Grade.INPUT, seen=error.what, why=why, do=error.do)
    with site.path(text).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = site.path(text).stat().st_size
    return Finding(subject=FILES, check=check, seen=f"{text}, {size / 1e6:.1f} MB, sha256 {digest}")


def _problem(subject: str, check: str, error: PaverError) -> Finding:
    grade = {3: Grade.INPUT, 4: Grade.REFUSED}.get(error.exit_code, Grade.UNREACHABLE)
    return Finding(subject=subject, check=check, grade=grade, seen=error.what, why=error.why, do=error.do)
