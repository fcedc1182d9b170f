"""The report of a run as one HTML page: nothing is loaded from elsewhere, and no secret is in it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from paver.engine.offer import Door
from paver.engine.plan import Action
from paver.engine.resource import Verb
from paver.report import difference, words
from paver.report.ending import DONE, Ending
from paver.runs.events import Happening

if TYPE_CHECKING:
    import jinja2

FOUND = "found done"


@dataclasses.dataclass(frozen=True)
class Row:
    """An action as the page shows it; `did` is what became of it, in a word."""

    action: Action
    did: str
    name: str
    place: str
    took: str
    writes: int
    changes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase as the page shows it: what was done of it, and how long that took in all."""

    name: str
    rows: tuple[Row, ...]
    took: str

    @property
    def writes(self) -> int:
        """How many writes left for it."""
        return sum(row.writes for row in self.rows)

    @property
    def made(self) -> str:
        """What was done, in numbers."""
        words_ = [*DONE.values(), FOUND]
        counts = {word: sum(1 for row in self.rows if row.did == word) for word in words_}
        return ", ".join(f"{number} {word}" for word, number in counts.items() if number)


def page(
    ending: Ending,
    events: Sequence[Happening],
    doors: Sequence[Door],
    *,
    now: dt.datetime,
    who: str,
    approval: str,
) -> str:
    """Returns the page.

    Args:
        ending: the run.
        events: the last one of every action.
        doors: the ways in; addresses and names of secrets, never their values.
        now: when it ended.
        who: the user, and the machine that paver ran on.
        approval: how the plan came to be approved.
    """
    phases = _phases(ending, events)
    return _template().render(
        ending=ending,
        plan=ending.plan,
        evidence=ending.evidence,
        phases=phases,
        opaque=[row for phase in phases for row in phase.rows if row.action.opaque is not None],
        doors=doors,
        failed=ending.ended.failed,
        left=ending.ended.left,
        began=_time(now - dt.timedelta(seconds=ending.seconds)),
        ended=_time(now),
        took=words.span(ending.seconds),
        who=who,
        approval=approval,
        writes=sum(sum(calls.values()) for calls in ending.evidence.writes.values()),
        argv=_argv,
        effects=_effects,
        digests=_digests,
    )


# Once a process: those of the tests run hundreds of applies.
@functools.cache
def _template() -> jinja2.Template:
    import jinja2  # noqa: PLC0415 - only here, and only at the end of a run

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(
        resources.files("paver.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _phases(ending: Ending, events: Sequence[Happening]) -> list[Phase]:
    by_id = {event.resource: event for event in events}
    changed = {action.resource for action in ending.changed}
    order = ending.plan.phases if ending.plan.mode == "apply" else tuple(reversed(ending.plan.phases))
    found = []
    for name in order:
        rows, millis = [], 0
        for action in ending.done:
            if action.phase != name:
                continue
            event = by_id.get(action.resource)
            millis += event.millis if event is not None else 0
            rows.append(
                Row(
                    action=action,
                    did=DONE[action.verb.value] if action.resource in changed else FOUND,
                    name=words.thing(action.resource, action.endpoint),
                    place=words.place(action.resource, action.endpoint),
                    took=words.span(event.millis / 1000) if event is not None and event.millis else "",
                    writes=ending.evidence.by_action.get(action.id, 0),
                    changes=tuple(_changes(action)),
                )
            )
        if rows:
            found.append(Phase(name, tuple(rows), words.span(millis / 1000)))
    return found


def _changes(action: Action) -> list[str]:
    if action.verb is Verb.CREATE:
        return []
    return [line for change in action.changes for line in difference.lines(change, every=True)]


def _argv(action: Action) -> str:
    argv = action.opaque["argv"] if action.opaque is not None else []
    return " ".join(map(str, argv)) if isinstance(argv, list) else ""


def _effects(action: Action) -> list[str]:
    effects = action.opaque["effects"] if action.opaque is not None else []
    return [str(effect) for effect in effects] if isinstance(effects, list) else []


def _digests(action: Action) -> list[str]:
    found = words.digests(action.opaque) if action.opaque is not None else {}
    return [f"{name} {digest}" for name, digest in found.items()]
