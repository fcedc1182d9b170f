"""The way back to a run that was handed over and not seen to its end.

The run on the jumpbox goes on by itself: it adds the hosts to vCenter, which gives them other certificates, and seals
what vouches for these. Whoever stopped following knows neither, so the hosts that vouch for the jumpbox would seem to be
others. Therefore this station notes how it reaches the jumpbox, the host key that it learned over the pinned connection
included, before it hands over; and fetches what was sealed there, by that note, before it asks anybody else.

    <state>/<site>/handed.json      paver.handed/1; gone once journal and sealed store are back
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paver import own_files
from paver.engine.values import substitute
from paver.errors import PaverError, Refused, Unobservable
from paver.runs.folder import HANDED
from paver.runs.session import Session
from paver.signing import canonical
from paver.transport.ssh import HostKeyError

SCHEMA = "paver.handed/1"
FIELDS = ("address", "host_keys", "port", "user")


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
    from paver.runs import handoff  # noqa: PLC0415 - it brings all that a run needs

    with contextlib.ExitStack() as opened:
        try:
            machine = opened.enter_context(_jumpbox(session, folder))
        except (Unobservable, HostKeyError):
            return False
        if machine is not None:
            handoff.take_in(session, machine)
        return machine is not None


def settle(session: Session, folder: Path) -> None:
    """Takes in what was sealed on the jumpbox, for whoever writes the store next, where a note leads there.

    Raises:
        Refused: if the run over there goes on, or nobody can say that it does not.
        PaverError: as `fetch`.
    """
    from paver.runs import handoff  # noqa: PLC0415 - as above

    why = "it seals secrets there: two copies of the store that are both written go different ways"
    try:
        with _jumpbox(session, folder) as machine:
            if machine is None:
                return
            running = handoff.running(machine, session.site.name)
            if running is None:
                handoff.take_in(session, machine)
    except (Unobservable, HostKeyError) as error:
        raise Refused(
            "a run was handed over to the jumpbox, which cannot be asked whether it goes on",
            seen=error.what,
            why=why,
            do="`paver follow` shows it, once the jumpbox answers; then run the same command again\n"
            f"if that jumpbox is gone for good, remove {folder / HANDED}",
        ) from error
    if running is not None:
        raise Refused(
            "a run of this site goes on on the jumpbox",
            seen=handoff.begun(running),
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
