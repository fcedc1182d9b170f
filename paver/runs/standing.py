"""How a site stands: who runs, how the last run ended, what is still to be done, what ends soon. Reads only."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from paver.driver import Door
from paver.engine.plan import Plan
from paver.engine.resource import Verb
from paver.runs import past
from paver.runs.folder import SiteFolder
from paver.runs.holdings import Holding
from paver.runs.past import Run

SOON_DAYS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How a site stands.

    Attributes:
        holder: who holds the lock, None if nobody does.
        there: who began the run that goes on on the jumpbox, and when; empty where there is none, or nobody asked.
        last: the last run of this machine.
        plan: a fresh one; None where none was made.
        error: why there is no fresh plan.
        holdings: what the sealed store holds.
        store: where the sealed store is.
        doors: the ways in.
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
    there: str = ""

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

    def document(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return {
            "schema": "paver.status/1",
            "site": self.site,
            "running": dict(self.holder) if self.holder is not None else None,
            "running_on_jumpbox": self.there,
            "last_run": self.last.document() if self.last is not None else None,
            "pending": len(self.plan.pending) if self.plan is not None else None,
            "error": self.error,
            "phases": {phase: dict(counts) for phase, counts in self.phases()},
            "ends": [
                {"name": one.name, "what": one.what, "days": days, "not_after": one.ends}
                for one, days in self.ending
            ],
            "secrets": {"store": self.store, "entries": len(self.holdings)},
            "doors": [
                {
                    "name": door.name,
                    "at": door.at,
                    "user": door.user,
                    "secret": door.secret,
                    "last_resort": door.last,
                }
                for door in self.doors
            ],
        }


def _counts(plan: Plan, phase: str) -> dict[str, int]:
    verbs = [action.verb for action in plan.actions if action.phase == phase]
    return {verb.value: verbs.count(verb) for verb in Verb if verb in verbs}


def last_run(state: SiteFolder) -> Run | None:
    """Returns the last run of this machine, None if there was none."""
    runs = state.runs()
    return past.of(runs[-1]) if runs else None
