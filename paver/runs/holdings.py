"""What a sealed store holds, without its values: what each thing is, who made it, when it ends."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from paver.driver import MARK_KEY, Mark
from paver.sealed.index import Entry, Index
from paver.trust import authority


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holding:
    """One secret.

    Attributes:
        name: its name in the sealed store.
        what: `authority`, `certificate`, `ssh-key`, `password`, or `given` by the user.
        version: the present one.
        versions: how many are kept.
        made_by: who made it: `paver`, or the command that did.
        not_after: when a certificate ends; null where nothing ends.
    """

    name: str
    what: str
    version: str
    versions: int
    made_by: str
    not_after: dt.datetime | None = None

    @property
    def ends(self) -> str:
        """The day on which it ends, empty where it does not."""
        return self.not_after.strftime("%Y-%m-%d") if self.not_after is not None else ""

    def days(self, now: dt.datetime) -> int | None:
        """Returns how many whole days are left, None where it does not end."""
        return (self.not_after - now).days if self.not_after is not None else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Secrets:
    """What the sealed store holds, and what it lacks; never a value.

    Attributes:
        store: its file.
        generation: how often it was written; null where there is no store yet.
        identity: its public key; null where there is no store yet.
        missing: secrets that the site file refers to, nobody makes, and the store does not have.
        secrets: what it holds, by name.
    """

    store: str
    generation: int | None
    identity: str | None
    missing: tuple[str, ...]
    secrets: tuple[Holding, ...]


def of(index: Index | None) -> list[Holding]:
    """Returns what a store holds, by name."""
    return [] if index is None else [_holding(name, entry) for name, entry in sorted(index.entries.items())]


def _holding(name: str, entry: Entry) -> Holding:
    public = entry.public
    mark = Mark.of(public.get(MARK_KEY))
    made_for = mark.id if mark is not None else ""
    return Holding(
        name=name,
        what=made_for.partition(":")[0].removeprefix("trust.") if made_for else "given",
        version=entry.version,
        versions=len(entry.all()),
        made_by=entry.current.made_by if entry.current.made_by.startswith("paver ") else "paver",
        not_after=_end(public),
    )


def _end(public: Mapping[str, Any]) -> dt.datetime | None:
    """Returns when a certificate ends, or the first of those that are sealed together."""
    pem, ends = public.get("pem"), public.get("ends")
    if isinstance(pem, str) and "BEGIN CERT" in pem:
        return authority.statement(pem).not_after
    return dt.datetime.fromisoformat(ends) if isinstance(ends, str) and ends else None
