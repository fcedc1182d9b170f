"""What a live view is told, here and from the other station: one canonical line an event."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from paver.engine.executor import Event
from paver.errors import one_line
from paver.signing import canonical
from paver.signing.canonical import CanonicalError

PREFIX = "paver-event "
What: TypeAlias = Literal[
    "begun", "doing", "done", "skipped", "failed", "handed-off", "returned", "unheard", "heard"
]
WHAT = frozenset(get_args(What))
BETWEEN = frozenset({"handed-off", "returned", "unheard", "heard"})
"""Between stations."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Happening:
    """One event of a run: the rest of a line that begins with `paver-event `.

    Attributes:
        what: what happened; `doing` tells how far it is, `handed-off` and `returned` stand between the stations, and
            while the run goes on over there, `unheard` where the line broke and `heard` where it stands again.
        resource: the id of the resource that it is about.
        kind: its kind.
        phase: its phase.
        verb: what is done with it: the verb of a plan.
        says: what the resource is, in a few words.
        station: where that is done: `outside` or `jumpbox`.
        text: what is done at this moment, or what went wrong, in words.
        done: how much is done, in units.
        total: of how much; 0 where that is not known.
        unit: `B` for bytes, `%`, or empty for a count.
        millis: how long the action took, for done and failed.
        estimate: how many seconds it is expected to take.
        at: when it was told first, in seconds since 1970: whoever follows later is told the same time.
    """

    what: What
    resource: str
    kind: str = ""
    phase: str = ""
    verb: str = ""
    says: str = ""
    station: str = ""
    text: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    millis: int = 0
    estimate: int = 0
    at: int = dataclasses.field(default_factory=lambda: int(time.time()), compare=False)

    def line(self) -> str:
        """Returns the event as a line of a log, to be found again by `parse`."""
        return PREFIX + canonical.dumps(dataclasses.asdict(self)).decode()


Tell = Callable[[Happening], None]


def breaks(tell: Tell, station: str) -> Callable[[str], None]:
    """Returns what is told why the line to `station` broke, and an empty text once it stands again."""

    def told(why: str) -> None:
        what: What = "unheard" if why else "heard"
        tell(Happening(what=what, resource=station, station=station, text=one_line(why)))

    return told


def happening(event: Event, station: str) -> Happening:
    """Returns an executor's event as a view is told it."""
    action = event.action
    return Happening(
        what=event.what,
        resource=action.resource,
        kind=action.kind,
        phase=action.phase,
        verb=action.verb.value,
        says=one_line(action.says),
        station=station,
        text=one_line(event.text),
        done=event.done,
        total=event.total,
        unit=event.unit,
        millis=int(event.seconds * 1000),
        estimate=action.estimate,
    )


def parse(line: str) -> Happening | None:
    """Returns the event that a log's line holds, None where it holds none: the log may be another machine's."""
    if not line.startswith(PREFIX):
        return None
    try:
        found = canonical.loads(line.removeprefix(PREFIX))
    except CanonicalError:
        return None
    if not isinstance(found, dict) or found.get("what") not in WHAT or "resource" not in found:
        return None
    if any(type(value) is not _TYPES.get(name) for name, value in found.items()):
        return None
    told: dict[str, Any] = {
        name: one_line(value) if isinstance(value, str) else value for name, value in found.items()
    }
    return Happening(**told) if 0 <= told.get("at", 0) < _LATEST else None


_LATEST = 2**33
"""A moment that no clock shows any more: in 2242."""

_TYPES = {
    field.name: {"str": str, "int": int, "What": str}[str(field.type)]
    for field in dataclasses.fields(Happening)
}
