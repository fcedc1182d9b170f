"""Name servers and time servers, asked from the jumpbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from paver.driver import Interrupted, PaverError, Unobservable, Writer
from paver.transport import sent

Record = tuple[str, str]
"""A full name and its address."""

_PROGRAM = Path(__file__).with_name("ask.py")
NEAR = 5.0
"""Seconds that two clocks may differ and count as one: far from what anybody refuses (vCenter's tokens: 10 minutes)."""
SETTLED = 30.0
"""Seconds that a daemon may take from its start to its first answer."""


def names(session: Any, server: str, wanted: Iterable[str]) -> Mapping[str, Any]:
    """Returns what a name server says of names and addresses; None where it says nothing."""
    return _asked(session, ["names", server], list(wanted))


def times(session: Any, servers: Iterable[str]) -> Mapping[str, Any]:
    """Returns stratum and offset of time servers; None where one says nothing, or that it knows no time."""
    return _asked(session, ["time"], list(servers))


def _asked(session: Any, words: list[str], of: list[str]) -> Mapping[str, Any]:
    ran = sent.run(session, _PROGRAM, [*words, *of], timeout=120)
    whom = [*words, *of][1]
    if not ran.ok:
        raise Unobservable(
            f"{session.name} could not ask {whom}",
            seen=ran.err.decode("utf-8", "replace").strip()[-300:],
            do="check that python3 runs there",
        )
    try:
        found = json.loads(ran.out)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {*of} <= {*found}:
        raise sent.not_its_answer(session, f"{whom} was to be asked", ran.out)
    return found


def wrong_names(session: Any, server: str, records: Iterable[Record]) -> tuple[str, ...]:
    """Returns, in words, every record that a server does not know forward and backward."""
    wanted = list(records)
    found = names(session, server, [text for record in wanted for text in record])
    wrong = []
    for name, address in wanted:
        for asked, expected in ((name, address), (address, name)):
            if found[asked] is None:
                wrong.append(f"{server} says nothing of {asked}")
            elif expected not in found[asked]:
                wrong.append(
                    f"{server} says that {asked} is {', '.join(found[asked]) or 'unknown'}, not {expected}"
                )
    return tuple(wrong)


def wrong_times(session: Any, servers: Iterable[str]) -> tuple[str, ...]:
    """Returns, in words, every server that does not tell the time."""
    found = times(session, servers)
    return tuple(f"{server} does not tell the time" for server, said in found.items() if said is None)


def apart(session: Any, servers: Iterable[str]) -> tuple[str, ...]:
    """Returns, in words, by how much a machine's clock differs from every server's; nothing where it goes as one of theirs.

    Those that say nothing do not count; where all do, that is what is returned.
    """
    found = times(session, servers)
    said = {server: answer["offset_ms"] / 1000 for server, answer in found.items() if answer is not None}
    if any(abs(ahead) <= NEAR for ahead in said.values()):
        return ()
    if not said:
        return tuple(f"{server} does not tell the time" for server in found)
    return tuple(
        f"{server} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} {session.name}"
        for server, ahead in said.items()
    )


def settle(world: Writer, look: Callable[[], tuple[str, ...]], what: str) -> None:
    """Waits until `look` finds nothing wrong.

    Raises:
        PaverError: if it still does after a while.
    """
    end = time.monotonic() + SETTLED
    while wrong := look():
        if world.stopping():
            raise Interrupted(f"stopped while {what} starts")
        if time.monotonic() > end:
            raise PaverError(
                f"{what} does not answer as it should",
                seen="\n".join(wrong),
                do="see the journal of its service on the jumpbox",
            )
        world.report(f"waiting for {what}")
        time.sleep(0.2)
