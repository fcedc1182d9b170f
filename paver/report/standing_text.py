"""How a site stands, as text."""

from __future__ import annotations

from collections.abc import Iterator

from paver.engine.offer import Door
from paver.report import words
from paver.report.table import table
from paver.runs import who
from paver.runs.past import Run
from paver.runs.standing import SOON_DAYS, Standing

MOST_ENDING = 5
VERBS = {
    "keep": "as wished",
    "create": "to create",
    "update": "to change",
    "replace": "to replace",
    "delete": "to delete",
    "adopt": "to adopt",
    "blocked": "blocked",
}


def standing_text(standing: Standing, *, colour: bool = False, width: int | None = None) -> Iterator[str]:
    """Yields the lines that tell how a site stands, for a terminal of `width`."""
    yield f"site {standing.site}"
    for label, told in (("running", _holder), ("last run", _last), ("now", _now)):
        yield from words.wrapped(f"  {label:<8}  {told(standing)}", width, " " * 4)
    phases = standing.phases()
    if phases:
        yield ""
        rows = [
            (
                f"  {phase}",
                ", ".join(f"{number} {VERBS[verb]}" for verb, number in counts.items()),
            )
            for phase, counts in phases
        ]
        yield from list(table(("", ""), rows, width=width))[1:]
    yield ""
    passwords = f"  passwords are in {standing.store}: `paver secrets list`, `paver secrets show NAME`"
    for told_of in (*_ending(standing), passwords):
        yield from words.wrapped(told_of, width, " " * 4)
    yield ""
    if standing.open:
        yield from _ways_in(standing, colour=colour, width=width)
    if standing.shut:
        names = ", ".join(door.name for door in standing.shut)
        told_of = f"no way in to what is not there: {names}"
        yield from words.wrapped(told_of, width, "  ")


def _ways_in(standing: Standing, *, colour: bool, width: int | None) -> Iterator[str]:
    heading = "ways in, those that need the least first (the last resort works when all else is down):"
    yield from words.wrapped(heading, width, "  ")
    doors = [
        (f"  {door.name}", door.at, door.user, _opener(door), "last resort" if door.last_resort else "")
        for door in standing.open
    ]
    yield from table(("  to", "at", "as", "secret", ""), doors, colour=colour, width=width)


def _opener(door: Door) -> str:
    """Returns the name of the secret that opens it; who has a user and no password there comes with a key."""
    return door.secret or ("(your SSH key)" if door.user else "")


def _holder(standing: Standing) -> str:
    if standing.holder is None and standing.there:
        return f"on the jumpbox, {standing.there}: `paver follow`"
    if standing.holder is None and standing.handed and standing.there is None:
        return "nothing, on this machine; what was handed over to the jumpbox may go on there: `paver follow`"
    if standing.holder is None and standing.handed:
        return "nothing; what was handed over to the jumpbox has ended there: `paver follow` tells how"
    if standing.holder is None:
        return "nothing, on this machine"
    return f"{who.told(standing.holder)}: `paver follow`"


def _last(standing: Standing) -> str:
    run = standing.last
    if run is None:
        return "none from this machine"
    return f"destroy: {_how(run, standing)}" if run.mode == "destroy" else _how(run, standing)


def _how(run: Run, standing: Standing) -> str:
    if run.state == "unfinished" and standing.holder is not None:
        return f"going on since {run.began}"
    if run.handed_over and standing.handed:
        told = f", {run.ended or run.began}  {run.folder}"
        return f"handed over to the jumpbox, and followed from here no longer{told}"
    if run.handed_over and run.state != "failed":
        # Nothing goes on there by now; how it ended, and whether anything is left of it, nobody knows here.
        return (
            f"handed over to the jumpbox, and not followed to its end, {run.ended or run.began}  {run.folder}"
        )
    how = {"unfinished": "killed before its end", "interrupted": "interrupted"}.get(run.state, run.state)
    left = f", {words.plural(run.left, 'action')} left" if run.left else ""
    failed = f", failed at {run.failed[0]}" if run.failed else ""
    return f"{how}, {run.ended or run.began}{failed}{left}  {run.folder}"


def _now(standing: Standing) -> str:
    if standing.error:
        return f"not known: {standing.error}"
    if standing.plan is None:
        return "not asked (--quick)"
    pending = standing.plan.pending
    if not pending:
        return f"as wished: {words.plural(len(standing.plan.actions), 'resource')}"
    blocked = f", {len(standing.plan.blocked)} of them blocked" if standing.plan.blocked else ""
    paved = "" if standing.paved else "not paved: "
    return f"{paved}{words.plural(len(pending), 'change')} pending{blocked}: `paver plan` shows them"


def _ending(standing: Standing) -> Iterator[str]:
    ending = standing.ending
    if not ending:
        return
    soon = [pair for pair in ending if pair[1] <= SOON_DAYS]
    for one, days in soon[:MOST_ENDING]:
        when = f"ends in {words.plural(days, 'day')}" if days >= 0 else "has ended"
        yield f"  ! {one.what} {one.name} {when} ({one.ends}): `paver plan` renews it"
    if not soon:
        first, days = ending[0]
        yield f"  the next to end is {first.what} {first.name}, in {words.plural(days, 'day')} ({first.ends})"
