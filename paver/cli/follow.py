"""`paver follow`."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING

from paver.cli import acting, opening, out
from paver.errors import Interrupted, PartlyDone, PaverError

if TYPE_CHECKING:
    from paver.engine.plan import Plan
    from paver.runs.folder import SiteFolder
    from paver.runs.follow import Local, Passed
    from paver.runs.past import Run
    from paver.runs.progress import Progress
    from paver.transport.job import JobState

EXAMPLES = """\
examples:
  paver follow            the run that is under way, here or on the jumpbox, from its beginning
  paver follow --local    of this machine only; asks nobody
  paver follow --last     the last run of this machine once more

It only watches: Ctrl-C ends the watching, never the run.
exit codes: 0 the run ended well or there is none, 1 it failed, 5 it left actions that its machine could not do,
130 you stopped watching
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    parser.add_argument("--local", action="store_true", help="only what runs on this machine")
    parser.add_argument("--last", action="store_true", help="tell the last run of this machine again")
    acting.add_progress(parser)


def run(arguments: argparse.Namespace) -> int:
    """Follows a run."""
    from paver.runs import follow  # noqa: PLC0415 - `--help` does without it

    site, _ = opening.site_of(arguments, warn=False)
    state = opening.folder_of(site)
    if arguments.last:
        return _again(arguments, state)
    here = follow.local(state)
    if here is None and (holder := state.holder()) is not None:
        out.note(
            f"{holder.get('doing', 'another command')} (process {holder.get('pid', '?')}) has begun no run yet"
        )
        here = follow.awaited(state, holder)
    if here is not None:
        return _local(arguments, state, here)
    if arguments.local:
        return _none(state)
    return _remote(arguments, state)


@dataclasses.dataclass(frozen=True)
class _Here:
    """What was seen of a run here, before it went on on the jumpbox."""

    progress: Progress
    passed: Passed


def _progress(plan: Plan | None, began: float) -> Progress:
    """Returns the progress of a run that began at `began`, seconds since 1970."""
    from paver.runs import progress  # noqa: PLC0415

    ago = max(0.0, time.time() - began) if began else 0.0
    return progress.of(plan, ago=ago, moment=progress.late)


def _again(arguments: argparse.Namespace, state: SiteFolder) -> int:
    from paver.runs import past, progress  # noqa: PLC0415

    runs = state.runs()
    if not runs:
        out.line("there is no run of this site on this machine yet: `paver apply` begins one")
        return 0
    clock = past.Clock(runs[-1])
    told = progress.of(past.plan_of(runs[-1]), clock, moment=clock.moment)
    with acting.view(acting.chosen_view(arguments.progress), told, lambda: False, "looks back") as tell:
        for event in past.events_of(runs[-1]):
            tell(event)
        clock.end()
    return _ended(past.of(runs[-1]), state)


def _local(arguments: argparse.Namespace, state: SiteFolder, here: Local) -> int:
    from paver.runs import follow  # noqa: PLC0415

    progress = _progress(here.plan(), here.began())
    with (
        opening.stopping(None) as stop,
        acting.view(acting.chosen_view(arguments.progress), progress, stop.is_set, "watches") as tell,
    ):
        passed = follow.Passed(tell)
        found = here.follow(passed, stop.is_set)
    if stop.is_set():
        raise Interrupted("stopped watching; the run goes on", do="`paver follow` shows it again")
    if _away(found, state) and not arguments.local:
        out.note(f"{_AWAY}: this goes on there")
        return _remote(arguments, state, _Here(progress, passed))
    return _ended(found, state)


def _remote(arguments: argparse.Namespace, state: SiteFolder, here: _Here | None = None) -> int:
    from paver.runs import follow, reach, wayback  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=False)
    key = opening.needed_key(site, arguments.key, "to reach the jumpbox")
    with opening.session_of(arguments, site, driver, key, "paver follow") as session:
        machine = reach.jumpbox(session)
        if machine is None:
            return _none(state)
        there = follow.Remote(machine, site.name)
        found = there.state()
        # What was handed over here is told to its end also where it ended before somebody looked.
        unseen = state.handed.exists() and found.state in {"ended", "died"}
        if found.state != "running" and not unseen:
            return _none(state)
        out.note(f"on the jumpbox: job {there.name}, {wayback.begun(found)}")
        plan = there.plan(found)
        progress = here.progress if here is not None else there.progress(found, plan)
        with (
            opening.stopping(None) as stop,
            acting.view(acting.chosen_view(arguments.progress), progress, stop.is_set, "watches") as tell,
        ):
            end = there.follow(here.passed.rest(tell) if here is not None else tell, out.note, stop.is_set)
    return _ended_there(end, plan.mode if plan is not None else "apply")


def _ended_there(end: JobState, verb: str) -> int:
    if end.state == "running":
        raise Interrupted("stopped watching; the run goes on", do="`paver follow` shows it again")
    if not end.ok:
        raise PaverError(
            f"the run on the jumpbox ended with {end.code if end.code is not None else end.state}",
            do=f"`paver {verb}` goes on where it stopped; its journal is on the jumpbox",
        )
    out.line("the run on the jumpbox ended well")
    return 0


def _none(state: SiteFolder) -> int:
    from paver.runs import past  # noqa: PLC0415

    out.line("nothing is under way")
    runs = state.runs()
    if runs:
        last = past.of(runs[-1])
        how = f"destroy: {last.state}" if last.mode == "destroy" else last.state
        out.line(f"  last  {how}, {last.ended or last.began}: `paver follow --last` tells it again")
    return 0


def _away(run: Run, state: SiteFolder) -> bool:
    """Tells whether `run` was handed over to the jumpbox, and nobody here has seen it to its end."""
    return run.handed_over and state.handed.exists()


def _ended(run: Run, state: SiteFolder) -> int:
    if run.state == "done" and run.left:
        from paver.report.words import plural  # noqa: PLC0415 - only where something is left

        raise PartlyDone(
            f"the run ended, and left {plural(run.left, 'action')} that its machine could not do",
            seen=str(run.folder),
            do="`paver status` says how the site stands, `paver plan` what is left",
        )
    if run.state == "done":
        out.line("the run ended well")
        return 0
    if _away(run, state):
        raise PaverError(
            _AWAY,
            seen=str(run.folder),
            do="`paver follow` shows it there; the same command as before attaches to it",
        )
    raise PaverError(
        _HOW[run.state],
        seen=str(run.folder),
        do=f"`paver status` says how the site stands; `paver {run.mode or 'apply'}` goes on",
    )


_AWAY = "the run was handed over to the jumpbox, and is followed from here no longer"
_HOW = {
    "failed": "the run failed",
    "interrupted": "the run was interrupted",
    "unfinished": "the run did not come to its end: it was killed",
}
