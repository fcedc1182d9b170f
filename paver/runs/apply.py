"""Carries a plan through: at this station what is this station's, at the other one what is the other's.

Both rounds repeat until nothing more can be done: a destroy begins on the jumpbox and ends outside, an
apply the other way round. A first interrupt starts nothing new and detaches from jobs.
"""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import paver
from paver.engine import held, leave
from paver.engine.again import Again
from paver.engine.executor import Event, Executor, Hands, Outcome, told
from paver.engine.journal import Journal
from paver.engine.plan import Action, Plan
from paver.engine.values import ResourceId
from paver.errors import Interrupted, PaverError, Refused
from paver.runs.events import Happening, Tell, happening
from paver.runs.folder import FAULTS, JOURNAL, PLAN
from paver.runs.outcome import Ended
from paver.runs.session import Session
from paver.signing.canonical import Json

if TYPE_CHECKING:
    from paver.transport.retry import Retry

JUMPBOX = "jumpbox"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Commission:
    """What a run is to carry out, and by whose leave: the first line of its journal says so.

    Attributes:
        plan: as approved.
        folder: of the run; gets plan and journal.
        by: who carries it out: user and machine.
        approval: in words: by --yes, confirmed on the terminal, given as a file.
        allow: patterns of the protected resources that the command lets the plan take away, at either station.
    """

    plan: Plan
    folder: Path
    by: str
    approval: str
    allow: tuple[str, ...] = ()


CarryOn = Callable[[frozenset[ResourceId], Journal, Tell], Ended]
"""Carries the plan on at the other station; gets what is done so far, returns how it went there."""


def apply(
    session: Session,
    commission: Commission,
    tell: Tell,
    stop: threading.Event,
    *,
    hand_off: CarryOn | None = None,
    only_mine: bool = False,
    done: frozenset[ResourceId] = frozenset(),
) -> Ended:
    """Carries a plan out.

    Args:
        session: the site's world at this station; its board was filled by planning.
        commission: the plan, and by whose leave.
        tell: the live view.
        stop: set to start nothing new.
        hand_off: carries on at the other station; None: everything is done here, or left.
        only_mine: do only this station's actions, and leave the others.
        done: what was done at the other station.

    Raises:
        Refused: if the plan may not be carried out.
    """
    plan, folder = commission.plan, commission.folder
    _demand_made_here(session, plan)
    again = Again(plan, session.paved, session.board, session.world, allow=commission.allow)
    again.demand_all()
    (folder / PLAN).write_bytes(plan.dumps())
    with Journal(folder / JOURNAL) as journal:
        journal.write("opened", _opening(session, commission))
        session.tell_retries(lambda retry: journal.write("retry", _retry(retry)))
        # A jumpbox cannot delete itself: a destroy there does what it can, and says what is left.
        only_mine = only_mine or (plan.mode == "destroy" and session.station == JUMPBOX)
        rounds = _Rounds(session, again, journal, folder, tell, stop, hand_off, only_mine=only_mine)
        try:
            ended = rounds.run(done)
        finally:
            session.tell_retries(None)
        error = ended.error
        journal.write("interrupted" if isinstance(error, Interrupted) else "closed", _closing(ended))
        return dataclasses.replace(ended, head=f"{journal.head.lines}:{journal.head.digest}")


class _Rounds:
    def __init__(
        self,
        session: Session,
        again: Again,
        journal: Journal,
        folder: Path,
        tell: Tell,
        stop: threading.Event,
        hand_off: CarryOn | None,
        *,
        only_mine: bool,
    ) -> None:
        self._session = session
        self._plan = again.plan
        self._journal = journal
        self._folder = folder
        self._tell: Tell = lambda event: told(tell, event)
        self._stop = stop
        self._hand_off = hand_off
        self._split = only_mine or hand_off is not None
        self._executor = Executor(again, self._hands())

    def run(self, done: frozenset[ResourceId]) -> Ended:
        pending = frozenset(a.resource for a in self._plan.pending)
        finished, acted = frozenset(done), frozenset[ResourceId]()
        failed: list[tuple[str, str]] = []
        error: BaseException | None = None
        while True:
            outcome = self._executor.run(self._mine, finished)
            finished |= outcome.done
            acted |= outcome.acted
            failed += [(id_, _what(wrong)) for id_, wrong in outcome.failed]
            self._keep_faults(outcome.failed)
            error = _first(outcome)
            if error is not None or self._stop.is_set() or self._hand_off is None or pending <= finished:
                break
            try:
                there = self._over(self._hand_off, finished)
            except Exception as broken:  # noqa: BLE001 (whatever it was, this run has an end, and what it did is told)
                self._keep_faults([("hand-off", broken)])
                error = broken
                break
            acted |= there.acted
            failed += there.failed
            error = there.error
            if error is not None or there.failed or there.done <= finished:
                finished |= there.done
                break
            finished |= there.done
        if self._stop.is_set() and error is None and not pending <= finished:
            error = Interrupted("stopped before the end", do="the same command goes on from here")
        left = tuple(sorted(pending - finished - {ResourceId(id_) for id_, _ in failed}))
        return Ended(finished & pending, acted, tuple(failed), left, "", error)

    def _keep_faults(self, failed: Iterable[tuple[str, BaseException]]) -> None:
        """Keeps where paver itself failed: lines of code, never values."""
        for id_, wrong in failed:
            if not isinstance(wrong, PaverError):
                place = "".join(traceback.format_tb(wrong.__traceback__))
                with (self._folder / FAULTS).open("a", encoding="utf-8") as file:
                    file.write(f"{id_}: {type(wrong).__name__}\n{place}\n")

    def _over(self, hand_off: CarryOn, finished: frozenset[ResourceId]) -> Ended:
        """Hands over: nothing here can start any more, so that something over there can."""
        self._journal.write("handed-off", {"done": [*map(str, sorted(finished))], "plan": self._plan.digest})
        self._tell(Happening(what="handed-off", resource=JUMPBOX, station=JUMPBOX))
        self._session.vault.close()
        there = hand_off(finished, self._journal, self._tell)
        self._session.vault.forget()
        self._session.connections.forget_all()
        self._journal.write("returned", {"head": there.head, "left": [*map(str, sorted(there.left))]})
        self._tell(Happening(what="returned", resource=JUMPBOX, station=JUMPBOX))
        return there

    def _mine(self, action: Action) -> bool:
        return not self._split or action.station == self._session.station

    def _hands(self) -> Hands:
        def told(event: Event) -> None:
            self._tell(happening(event, self._session.station))

        return Hands(
            connections=self._session.connections,
            journal=self._journal,
            versions=self._session.vault.version,
            reveal=self._session.vault.reveal,
            tell=told,
            stop=self._stop,
        )


def check(session: Session, plan: Plan, allow: tuple[str, ...]) -> None:
    """Does nothing if `plan` may be carried out; asks nobody.

    Raises:
        Refused: if something is blocked, the plan is of another site or paver, was made offline, acts otherwise than
            its kinds do, or takes away what neither plan nor command names.
    """
    _demand_made_here(session, plan)
    held.demand(plan, session.paved)
    leave.demand(plan, session.paved, allow)


def _demand_made_here(session: Session, plan: Plan) -> None:
    """Does nothing if the plan was made of this site file by this paver, of a world that was read, and nothing is blocked.

    Raises:
        Refused: if not.
    """
    if plan.site != session.site.name or plan.site_digest != session.site.digest():
        raise Refused(
            "the plan is not of this site file",
            seen=f"plan of {plan.site} {plan.site_digest[:12]}, site {session.site.name} {session.site.digest()[:12]}",
            why="the site file changed after the plan was made, or it is another site's",
            do="make a new plan, and have it approved",
        )
    for what, made, here in (
        ("paver", plan.paver, paver.__version__),
        ("the driver", plan.driver, session.driver_version),
    ):
        if made != here:
            raise Refused(
                f"the plan was made by {what} {made}",
                seen=f"this is {here}",
                do="use that version, or make a new plan",
            )
    if plan.offline:
        raise Refused(
            "a plan that was made offline cannot be applied",
            why="nothing was read for it: it only shows what an empty world would get",
            do="make a plan without --offline",
        )
    if plan.blocked:
        first = plan.blocked[0]
        raise Refused(
            f"{first.resource} is blocked: {first.reason}",
            seen=f"{len(plan.blocked)} blocked in this plan",
            do="see `paver plan`; mend what stands in the way, adopt it in the site file, or name it with --allow",
        )


def _opening(session: Session, commission: Commission) -> dict[str, Json]:
    return {
        "approval": commission.approval,
        "by": commission.by,
        "paver": paver.__version__,
        "plan": commission.plan.digest,
        "schema": "paver.journal/1",
        "site": commission.plan.site,
        "station": session.station,
    }


def _retry(retry: Retry) -> dict[str, Json]:
    return {
        "attempt": retry.attempt,
        "doing": retry.doing,
        "endpoint": retry.endpoint,
        "what": retry.error,
    }


def _closing(ended: Ended) -> dict[str, Json]:
    broken: dict[str, Json] = {}
    if ended.error is not None and not ended.failed:
        broken = {"error": _what(ended.error)}
    return {
        "done": len(ended.done),
        "failed": [id_ for id_, _ in ended.failed],
        "left": len(ended.left),
        **broken,
    }


def _first(outcome: Outcome) -> BaseException | None:
    return outcome.failed[0][1] if outcome.failed else None


def _what(error: BaseException) -> str:
    return error.what if isinstance(error, PaverError) else type(error).__name__
