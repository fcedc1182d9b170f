"""The way back to a run that was handed over and not seen to its end.

The run on the jumpbox goes on by itself: it adds the hosts to vCenter, which gives them other certificates, and seals
what vouches for these. Whoever stopped following knows neither, so the hosts that vouch for the jumpbox would seem to be
others. Therefore this station notes how it reaches the jumpbox, the host key that it learned over the pinned connection
included, before it hands over; and fetches what was sealed there, by that note, before it asks anybody else.

    <state>/<site>/handed.json      paver.handed/1; gone once journal and sealed store are back

Here is also what is asked of that run by whoever comes upon it: whether it goes on, who began it, and what it sealed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paver import own_files
from paver.engine.values import substitute
from paver.errors import PaverError, Refused, Unobservable
from paver.machine.jumpbox import SITES
from paver.runs.folder import HANDED
from paver.runs.session import Session
from paver.sealed import store
from paver.sealed.errors import DivergedError
from paver.signing import canonical
from paver.transport import job
from paver.transport.ssh import HostKeyError

SCHEMA = "paver.handed/1"
FIELDS = ("address", "host_keys", "port", "user")
BY = "--begun-by="
"""Before who handed a run over, among the arguments of its job."""


def note(session: Session, folder: Path) -> None:
    """Notes in `folder`, the site's, how the jumpbox is reached now."""
    endpoint = session.paved.jumpbox
    if endpoint is None:
        return
    connector: Any = substitute(session.paved.connectors[endpoint.name], session.board.for_reading)
    found = {name: getattr(connector, name) for name in FIELDS}
    own_files.put(folder / HANDED, canonical.dumps({**found, "schema": SCHEMA}), 0o600)


def forget(folder: Path) -> None:
    """Forgets the note: all that was made over there is known here."""
    (folder / HANDED).unlink(missing_ok=True)


def fetch(session: Session, folder: Path) -> bool:
    """Takes in what was sealed on the jumpbox, where a note leads there; returns whether it was asked.

    A jumpbox that does not answer is no error here: whoever asks it next will say so.

    Raises:
        PaverError: if its copy of the sealed store and ours were both written since they were the same.
    """
    with contextlib.ExitStack() as opened:
        try:
            machine = opened.enter_context(_jumpbox(session, folder))
        except (Unobservable, HostKeyError):
            return False
        if machine is not None:
            take_in(session, machine)
        return machine is not None


def settle(session: Session, folder: Path) -> None:
    """Takes in what was sealed on the jumpbox, for whoever writes the store next, where a note leads there.

    Raises:
        Refused: if the run over there goes on, or nobody can say that it does not.
        PaverError: as `fetch`.
    """
    why = "it seals secrets there: two copies of the store that are both written go different ways"
    try:
        with _jumpbox(session, folder) as machine:
            if machine is None:
                return
            under_way = running(machine, session.site.name)
            if under_way is None:
                take_in(session, machine)
    except (Unobservable, HostKeyError) as error:
        raise Refused(
            "a run was handed over to the jumpbox, which cannot be asked whether it goes on",
            seen=error.what,
            why=why,
            do="`paver follow` shows it, once the jumpbox answers; then run the same command again\n"
            f"if that jumpbox is gone for good, remove {folder / HANDED}",
        ) from error
    if under_way is not None:
        raise Refused(
            "a run of this site goes on on the jumpbox",
            seen=begun(under_way),
            why=why,
            do="`paver follow` shows it; wait until it ends, then run the same command again",
        )


@contextlib.contextmanager
def _jumpbox(session: Session, folder: Path) -> Iterator[Any]:
    """Yields the jumpbox's reading face, reached by the note; None where there is none, or this station cannot follow it."""
    endpoint = session.paved.jumpbox
    known = _known(folder / HANDED)
    if endpoint is None or known is None or session.station == "jumpbox" or not session.vault.opens:
        yield None
        return
    connector: Any = dataclasses.replace(session.paved.connectors[endpoint.name], **known)  # type: ignore[type-var]
    with contextlib.closing(session.reach(connector)) as connection:
        yield connection.reader()


def _known(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise PaverError(
            f"{path} can't be read", why=type(error).__name__, do="remove it if no run is under way"
        ) from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        return None
    keys = found["host_keys"]
    return {
        **{name: found[name] for name in FIELDS},
        "host_keys": keys if isinstance(keys, str) else tuple(keys),
    }


def take_in(session: Session, machine: Any) -> bool:
    """Takes in what was sealed on the jumpbox since; returns whether that was anything. `machine` may be a reading face.

    Raises:
        DivergedError: if both copies were written since they were the same.
    """
    return received(session, machine.read_file(sealed_there(session.site.name)))


def received(session: Session, copy: bytes | None) -> bool:
    """Takes in the jumpbox's copy, None where it has none."""
    if copy is None:
        return False
    vault, there = session.vault, sealed_there(session.site.name)
    name = "the jumpbox's sealed store"
    try:
        # Looked at before any lock is taken: whoever only looks needs no right to write.
        taken = store.follows(vault.path, copy, name) and store.receive(
            vault.path, copy, who="paver apply", name=name
        )
    except DivergedError as error:
        error.do += f"\nmostly the site runs on the jumpbox's, {there}: put it in the place of {vault.path}"
        if vault.memory is not None:
            error.do += f", and remove {vault.memory}, which would refuse it as an older or another one"
        raise
    vault.forget()
    return taken


def sealed_there(site: str) -> str:
    """Returns where a site's sealed store lies on the jumpbox."""
    return str(SITES / site / "site.sealed")


def begun(found: job.JobState) -> str:
    """Returns who handed over what runs on the jumpbox, from which machine, and when."""
    by = next((word.removeprefix(BY) for word in found.argv if word.startswith(BY)), "somebody")
    return f"begun by {by}, {dt.datetime.fromtimestamp(found.started, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def job_of(site: str) -> str:
    """Returns the name of the job on the jumpbox: one a site, whatever its plan."""
    return f"apply-{site}"


def running(machine: Any, site: str) -> job.JobState | None:
    """Returns how the site's run on the jumpbox stands, None if there is none at this moment."""
    found = job.state(machine, job_of(site))
    return found if found.state == "running" else None
