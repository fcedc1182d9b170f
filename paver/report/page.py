"""The report of a run as one HTML page: nothing is loaded from elsewhere, and no secret is in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import resources
from typing import Any

from paver.engine.offer import Door
from paver.report import words
from paver.report.ending import Ending
from paver.runs.events import Happening


def page(
    ending: Ending, events: Sequence[Happening], doors: Sequence[Door], *, now: dt.datetime, where: str
) -> str:
    """Returns the page.

    Args:
        ending: the run.
        events: the last one of every action.
        doors: the ways in; addresses and names of secrets, never their values.
        now: when it ended.
        where: the machine that paver ran on.
    """
    import jinja2  # noqa: PLC0415 - only here, and only at the end of a run

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = resources.files("paver.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    plan = ending.plan
    return environment.from_string(source).render(
        ending=ending,
        plan=plan,
        phases=_phases(ending, events),
        doors=doors,
        failed=ending.report.failed,
        left=ending.report.left,
        now=now.strftime("%Y-%m-%d %H:%M:%S UTC"),
        took=words.span(ending.seconds),
        where=where,
    )


def _phases(ending: Ending, events: Sequence[Happening]) -> list[dict[str, Any]]:
    by_id = {event.resource: event for event in events}
    found = []
    for phase in ending.plan.phases:
        rows = []
        for action in ending.done:
            if action.phase != phase:
                continue
            event = by_id.get(action.resource)
            rows.append(
                {
                    "verb": action.verb.value,
                    "name": words.thing(action.resource, action.endpoint),
                    "id": action.resource,
                    "place": words.place(action.resource, action.endpoint),
                    "says": action.says,
                    "took": words.span(event.millis / 1000) if event is not None and event.millis else "",
                    "station": event.station if event is not None else action.station,
                }
            )
        if rows:
            seconds = sum(by_id[row["id"]].millis for row in rows if row["id"] in by_id) / 1000
            found.append({"name": phase, "rows": rows, "took": words.span(seconds)})
    return found
