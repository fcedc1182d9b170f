"""Plans by the newest secrets there are.

The jumpbox may have sealed others since: another station's run, or one that began over there, rotated a login. By the
store at hand a plan would then put the former ones back, or not get in at all. So the jumpbox is asked, where it answers,
and what it sealed is taken in before anybody sees the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paver.engine.plan import Plan
from paver.engine.planner import Request
from paver.errors import PaverError, Refused
from paver.runs import handoff, reach, wayback
from paver.runs.session import Session
from paver.sealed.errors import StoreLockedError
from paver.transport.logins import LoginError
from paver.transport.tls import TrustError

TAKEN = "the jumpbox has sealed newer secrets: they are taken in, and the plan is by them"


def plan(session: Session, request: Request, tell: Callable[[str], None]) -> Plan:
    """Returns the plan, and tells if what the jumpbox sealed since had to be taken in for it.

    Raises:
        DivergedError: if both copies of the sealed store were written since they were the same.
        PaverError: if the jumpbox's is newer and cannot be put in the place of ours; or what planning raises.
    """
    if request.offline or session.station == "jumpbox" or not session.vault.opens:
        return session.plan(request)
    try:
        found = session.plan(request)
    except (LoginError, TrustError):
        # Not let in by a former password, or by what vouched for a former certificate.
        if not _took_in(session, jumpbox(session)):
            raise
    else:
        if not _took_in(session, handoff.reachable(session)):
            return found
    tell(TAKEN)
    return session.plan(request)


def jumpbox(session: Session) -> Any:
    """Returns the jumpbox's reading face from outside, also where no plan read it; None where it is not there or silent."""
    if session.station == "jumpbox" or session.paved.jumpbox is None:
        return None
    try:
        return reach.jumpbox(session)
    except PaverError:
        return None


def _took_in(session: Session, machine: Any) -> bool:
    if machine is None:
        return False
    try:
        return wayback.take_in(session, machine)
    except StoreLockedError:
        # A run of this machine writes it at this moment; it brings back what is newer itself.
        return False
    except Refused:
        raise
    except PaverError as error:
        raise PaverError(
            "the jumpbox has sealed newer secrets, and they cannot be taken in: the plan would be by former ones",
            seen=error.what,
            why=error.why,
            do=f"mend that, or copy {wayback.sealed_there(session.site.name)} from there, and name the copy with --sealed",
        ) from error
