"""How a site stands: who runs, how the last run ended, what is still to be done, what ends soon. Reads only."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

from paver.driver import Door, ToolDoor
from paver.engine.plan import Plan
from paver.engine.resource import Verb
from paver.engine.values import ResourceId
from paver.runs import past
from paver.runs.folder import SiteFolder
from paver.runs.holdings import Holding
from paver.runs.past import Run

SOON_DAYS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a site's lock.

    Attributes:
        doing: the command; empty where it has not written it yet.
        host: the machine's name.
        pid: its process there.
        run: the name of the run that it began; null as long as it has not.
        user: whose process it is; empty where it does not say.
        since: when it took the lock; empty where it does not say.
    """

    doing: str
    host: str
    pid: int | None
    run: str | None
    user: str
    since: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """Something that ends.

    Attributes:
        name: its name in the sealed store.
        what: `authority`, `certificate`, …
        days: whole days that are left, less than 0 where it has ended.
        not_after: the day on which it ends: `2036-11-26`.
    """

    name: str
    what: str
    days: int
    not_after: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sealed:
    """The sealed store.

    Attributes:
        store: its file.
        entries: how many secrets it holds.
    """

    store: str
    entries: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How a site stands: who runs, what is pending, what ends, the ways in.

    Attributes:
        site: the site's name.
        running: who holds the site's lock on this machine; null if nobody does.
        running_on_jumpbox: who began the run that goes on there, and when, in words; empty where there is none, or nobody asked.
        handed_over: whether a run was handed over to the jumpbox that was not seen to its end from here: it may go on there.
        last_run: the last run of this machine; null if there was none.
        pending: how many changes are pending; null where the site was not asked, or could not be.
        error: why it could not be asked, else empty.
        phases: of each phase how many resources are to be kept, created, …: the verbs of a plan.
        ends: what ends, the next one first.
        secrets: where the secrets are.
        doors: the ways in, those that need the least first. Where the site was asked, those alone to what is there.
    """

    site: str
    running: Holder | None
    running_on_jumpbox: str
    handed_over: bool
    last_run: Run | None
    pending: int | None
    error: str
    phases: Mapping[str, Mapping[str, int]]
    ends: tuple[End, ...]
    secrets: Sealed
    doors: tuple[Door, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How a site stands.

    Attributes:
        holder: who holds the lock, None if nobody does.
        there: who began the run that goes on on the jumpbox, and when; empty where there is none; None where nobody asked,
            or nobody answered.
        handed: whether a run was handed over to the jumpbox that was not seen to its end from here.
        last: the last run of this machine.
        plan: a fresh one; None where none was made.
        error: why there is no fresh plan.
        holdings: what the sealed store holds.
        store: where the sealed store is.
        doors: the ways in, also to what is not there.
        absent: the endpoints that nobody brought into being (`absent`).
    """

    site: str
    holder: Mapping[str, object] | None
    last: Run | None
    plan: Plan | None
    error: str
    holdings: tuple[Holding, ...]
    store: str
    doors: tuple[Door, ...]
    now: dt.datetime
    there: str | None = None
    absent: frozenset[str] = frozenset()
    handed: bool = False

    @property
    def open(self) -> tuple[Door, ...]:
        """The ways in to what is there, as far as that is known."""
        return tuple(door for door in self.doors if door.endpoint not in self.absent)

    @property
    def shut(self) -> tuple[Door, ...]:
        """The ways in that lead nowhere: what they are for is not there."""
        return tuple(door for door in self.doors if door.endpoint in self.absent)

    @property
    def paved(self) -> bool:
        """False where nothing stands that anybody could come in to, but for what was there before."""
        brought = {name for door in self.doors if (name := door.endpoint)}
        return not self.absent or not brought <= self.absent

    @property
    def ending(self) -> tuple[tuple[Holding, int], ...]:
        """What ends, with the days that are left, the next one first."""
        found = [(one, days) for one in self.holdings if (days := one.days(self.now)) is not None]
        return tuple(sorted(found, key=lambda pair: pair[1]))

    def phases(self) -> tuple[tuple[str, Mapping[str, int]], ...]:
        """Returns how many resources of each phase are kept, to be created, and so on."""
        if self.plan is None:
            return ()
        return tuple((phase, counts) for phase in self.plan.phases if (counts := _counts(self.plan, phase)))

    def status(self) -> Status:
        """Returns it as it is printed for programs."""
        return Status(
            site=self.site,
            running=_holder(self.holder),
            running_on_jumpbox=self.there or "",
            handed_over=self.handed,
            last_run=self.last,
            pending=len(self.plan.pending) if self.plan is not None else None,
            error=self.error,
            phases=dict(self.phases()),
            ends=tuple(
                End(name=one.name, what=one.what, days=days, not_after=one.ends) for one, days in self.ending
            ),
            secrets=Sealed(store=self.store, entries=len(self.holdings)),
            doors=tuple(door.for_people() if isinstance(door, ToolDoor) else door for door in self.open),
        )


def _holder(found: Mapping[str, object] | None) -> Holder | None:
    """Returns who holds the lock, by what stands in it: nothing does at the moment in which it is taken."""
    if found is None:
        return None
    pid, run = found.get("pid"), found.get("run")
    return Holder(
        doing=str(found.get("doing", "")),
        host=str(found.get("host", "")),
        pid=pid if isinstance(pid, int) else None,
        run=str(run) if run is not None else None,
        user=str(found.get("user", "")),
        since=str(found.get("since", "")),
    )


def _counts(plan: Plan, phase: str) -> dict[str, int]:
    verbs = [action.verb for action in plan.actions if action.phase == phase]
    return {verb.value: verbs.count(verb) for verb in Verb if verb in verbs}


def absent(plan: Plan, providers: Mapping[str, ResourceId]) -> frozenset[str]:
    """Returns the endpoints that are not there: a fresh plan has still to create what brings them into being.

    Args:
        plan: a fresh one of the whole site.
        providers: what brings an endpoint into being, by its name.
    """
    missing = {action.resource for action in plan.actions if action.verb is Verb.CREATE}
    return frozenset(name for name, provider in providers.items() if provider in missing)


def last_run(state: SiteFolder) -> Run | None:
    """Returns the last run of this machine, None if there was none."""
    runs = state.runs()
    return past.of(runs[-1]) if runs else None
