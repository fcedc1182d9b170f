"""What `apply` and `destroy` share: plan, show, ask, lock, carry out, tell how it ended."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import glob
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paver.cli import closing, opening, out
from paver.errors import BadInput, Refused, naming

if TYPE_CHECKING:
    from paver.engine.plan import Plan
    from paver.engine.planner import Request
    from paver.report.live import Seat
    from paver.runs.apply import Commission
    from paver.runs.events import Happening, Tell
    from paver.runs.outcome import Ended
    from paver.runs.progress import Progress
    from paver.runs.session import Session
    from paver.sealed.keys import KeySource

VIEWS = ("auto", "live", "lines", "events", "none")


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options of acting."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    opening.add_station(parser)
    parser.add_argument("--handed-off", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--begun-by", default="", help=argparse.SUPPRESS)
    add_progress(parser)
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says how a run is shown."""
    parser.add_argument(
        "--progress",
        choices=VIEWS,
        default="auto",
        help="how progress is shown (default: live on a terminal, lines elsewhere)",
    )


MOST_PLAN_BYTES = 64 * 1024 * 1024
"""A plan of a thousand hosts has 20 MB."""


def read_plan(path: Path) -> bytes:
    """Returns a plan file's bytes.

    Raises:
        BadInput: if it can't be read, or is larger than any plan.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_PLAN_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"the plan {path} can't be read", why=str(error.strerror), do="make one with `paver plan --out`"
        ) from error
    if len(data) > MOST_PLAN_BYTES:
        raise BadInput(
            f"{path} is not a plan: it has more than {MOST_PLAN_BYTES >> 20} MiB",
            do="make one with `paver plan --out`",
        )
    return data


def act(arguments: argparse.Namespace, request: Request, given: Plan | None, who: str) -> int:
    """Plans, asks, and carries out."""
    from paver.runs.folder import JOURNAL  # noqa: PLC0415 - a verb's help does without it

    site, driver = opening.site_of(arguments)
    key = opening.needed_key(site, arguments.key, "to act")
    with (
        naming(str(opening.folder_of(site).path)),
        opening.locked(arguments, site, who),
        opening.session_of(arguments, site, driver, key, who) as session,
    ):
        with unchanged():
            plan, approval = _approved(arguments, session, request, given)
            if plan is None:
                return 0
            folder = opening.folder_of(site).new_run()
        commission = _commission(arguments, plan, folder, approval)
        progress, chosen = _progress(plan), chosen_view("none" if arguments.json else arguments.progress)
        busy = None if chosen == "live" else progress.stopping
        started = time.monotonic()
        with (
            opening.stopping(busy) as stop,
            view(chosen, progress, stop.is_set) as show,
            _recorded(folder, show) as tell,
        ):
            try:
                ended = _carry(arguments, session, commission, tell, stop, key)
            except Exception as error:
                if not (folder / JOURNAL).exists():
                    # Refused before its first line: `paver status` would call it a run that was killed.
                    shutil.rmtree(folder, ignore_errors=True)
                    error.add_note(closing.NOTHING)
                raise
        seconds = time.monotonic() - started
    closing.tell(arguments, closing.leave(session, commission, ended, progress, seconds))
    return 0


def _approved(
    arguments: argparse.Namespace, session: Session, request: Request, given: Plan | None
) -> tuple[Plan | None, str]:
    """Returns the plan to carry out, and how it came to be approved; None where there is nothing to do.

    An interrupt until then ends the command at once: nothing was begun.

    Raises:
        Refused: if it may not be carried out, or nobody confirms it.
    """
    from paver.runs import apply as applying  # noqa: PLC0415 - a verb's help does without it
    from paver.runs import handoff, newest, wayback  # noqa: PLC0415 - same

    if given is not None:
        # What can be said without asking anybody comes before hosts that may not answer.
        applying.check(session, given, tuple(arguments.allow))
    wanted = _same_request(request, given)
    # Before anything is written here: two copies of the sealed store that are both written go different ways.
    fresh = newest.plan(session, wanted, out.note)
    # Also for a part of the site that has nothing to do with it: what runs there may change that part.
    machine = handoff.reachable(session) or newest.jumpbox(session)
    under_way = None if machine is None else _under_way(machine, fresh, given)
    if machine is not None and under_way is None:
        wayback.forget(opening.folder_of(session.site).path)
    plan = under_way or given or fresh
    if arguments.handed_off is None:
        opening.warn_of_allow(arguments, plan)
    if not plan.pending:
        _nothing_to_do(arguments, plan, fresh)
        return None, ""
    if under_way is None and given is None:
        _confirm(arguments, plan)
        # Before a view of a run begins, which would show one of which nothing is done.
        applying.check(session, plan, tuple(arguments.allow))
    return plan, _approval(arguments, under_way, given)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Notes on whatever is raised inside that nothing was changed."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(closing.NOTHING)
        raise


def _under_way(machine: Any, fresh: Plan, given: Plan | None) -> Plan | None:
    """Returns the plan that is being carried out on the jumpbox: the same command goes on with it.

    Raises:
        Refused: if it is not the given one, or where none is given, was not made by the same command.
    """
    from paver.runs import handoff, wayback  # noqa: PLC0415 - a verb's help does without it

    running = wayback.running(machine, fresh.site)
    found = None if running is None else handoff.handed_plan(machine, running)
    if running is None or found is None:
        return None
    handoff.check_same(found, running, fresh, given)
    out.note(
        f"a run of this site is under way on the jumpbox, {wayback.begun(running)}: this goes on with it"
    )
    return found


def _approval(arguments: argparse.Namespace, under_way: Plan | None, given: Plan | None) -> str:
    """Returns how the plan that was carried out came to be approved."""
    if under_way is not None:
        return "by whoever began the run that this one went on with"
    if given is not None:
        return "given as a file"
    return "by --yes" if arguments.yes else "confirmed on the terminal"


def _progress(plan: Plan) -> Progress:
    from paver.runs import progress  # noqa: PLC0415 - a verb's help does without it

    return progress.of(plan)


def _same_request(request: Request, given: Plan | None) -> Request:
    """The board is filled by reading what the plan at hand is about: the whole wish, or what was selected for it."""
    if given is None:
        return request
    wished = [action for action in given.actions if action.wish is not None] if given.selection else []
    only = tuple(glob.escape(action.resource) for action in wished)
    return dataclasses.replace(request, phases=(), only=only)


def _carry(
    arguments: argparse.Namespace,
    session: Session,
    commission: Commission,
    tell: Tell,
    stop: threading.Event,
    key: KeySource,
) -> Ended:
    from paver.runs import outcome  # noqa: PLC0415 - a verb's help does without it
    from paver.runs.apply import apply  # noqa: PLC0415 - same
    from paver.runs.folder import JOURNAL  # noqa: PLC0415
    from paver.runs.handoff import HandOff, demand_handed, read_done  # noqa: PLC0415

    handed: Path | None = arguments.handed_off
    if handed is not None:
        demand_handed(handed, commission.plan)
        ended = apply(session, commission, tell, stop, only_mine=True, done=read_done(handed))
        outcome.write(handed, ended, commission.folder / JOURNAL)
        return dataclasses.replace(ended, left=())
    if session.station == "jumpbox":
        return apply(session, commission, tell, stop)
    handoff = HandOff(session, commission, opening.folder_of(session.site).path, stop, key)
    return apply(session, commission, tell, stop, hand_off=handoff.carry_on)


def _commission(arguments: argparse.Namespace, plan: Plan, folder: Path, approval: str) -> Commission:
    from paver.runs.apply import Commission  # noqa: PLC0415 - a verb's help does without it

    by_another = arguments.handed_off is not None
    return Commission(
        plan=plan,
        folder=folder,
        by=closing.who(),
        approval=f"handed over by {arguments.begun_by}" if by_another else approval,
        allow=tuple(arguments.allow),
    )


def _nothing_to_do(arguments: argparse.Namespace, plan: Plan, fresh: Plan) -> None:
    """Tells that a plan has nothing to do; of one that was given not that all is as wished, where it is not any more."""
    if fresh.pending:
        from paver.report.words import plural  # noqa: PLC0415 - only where the world has moved on

        now = plural(len(fresh.pending), "change")
        out.note(f"warning: {now} pending, which came after this plan was made: `paver plan` shows them")
    if arguments.json:
        from paver.runs.outcome import OUTCOME, RunOutcome  # noqa: PLC0415 - only for programs

        out.document(OUTCOME, RunOutcome())
    elif fresh.pending:
        out.line("nothing to do: the plan has no changes")
    else:
        out.line(f"nothing to do: {len(plan.actions)} resources are as they are wished")


def _confirm(arguments: argparse.Namespace, plan: Plan) -> None:
    from paver.report.plan_text import plan_text  # noqa: PLC0415 - not where a plan file is given

    asked = sys.stdin.isatty() and not (plan.blocked or arguments.yes)
    if asked and (arguments.json or not sys.stdout.isatty()):
        # Whoever is to confirm it sees it, though the outcome goes into a file.
        for line in plan_text(plan):
            out.note(line)
    elif not arguments.json:
        out.lines(plan_text(plan, colour=out.colour(), width=out.width()))
        out.line()
    if plan.blocked or arguments.yes:
        return
    if not asked:
        raise Refused(
            "nobody is there to confirm the plan",
            do="run it on a terminal, give a plan file that was approved, or --yes",
        )
    out.note(" Ctrl-C stops it, also in the middle; the same command goes on from there")
    if opening.answer(f"carry this out on {plan.site}? Type the site's name: ") != plan.site:
        raise Refused("not confirmed", why="the answer is not the site's name")


@contextlib.contextmanager
def _recorded(folder: Path, show: Tell) -> Iterator[Tell]:
    """Yields what shows an event and keeps it in the run's folder, for whoever follows."""
    from paver.runs.folder import EVENTS  # noqa: PLC0415 - a verb's help does without it

    turn = threading.Lock()
    # Unbuffered: what the disk did not take is not tried again when the run is over.
    with (folder / EVENTS).open("ab", buffering=0) as events:
        warned = threading.Event()

        def tell(event: Happening) -> None:
            with turn:
                try:
                    events.write(f"{event.line()}\n".encode())
                except OSError as error:
                    if not warned.is_set():
                        out.note(
                            f"warning: {events.name} can't be written: {error.strerror}; the run goes on"
                        )
                    warned.set()
            show(event)

        yield tell


def chosen_view(asked: str) -> str:
    """Returns the view that was asked for; `auto` is live on a terminal, lines elsewhere."""
    if asked != "auto":
        return asked
    return "live" if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else "lines"


@contextlib.contextmanager
def view(
    chosen: str, progress: Progress, stopping: Callable[[], bool], seat: Seat = "acts"
) -> Iterator[Tell]:
    """Yields what shows events to who has this seat: `chosen` is one of `VIEWS`, but for `auto`."""
    if chosen == "live":
        from rich.console import Console  # noqa: PLC0415 - only on a terminal

        from paver.report.live import Live  # noqa: PLC0415

        with Live(progress, Console(no_color=not out.colour(), highlight=False), stopping, seat) as live:
            yield live
        return
    if chosen == "lines":
        from paver.report.lines import Lines  # noqa: PLC0415 - only off a terminal

        shown: Tell = Lines(_flushed)
    elif chosen == "events":
        shown = _raw
    else:
        shown = _quiet

    def tell(event: Happening) -> None:
        progress(event)
        shown(event)

    yield tell


def _flushed(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _raw(event: Happening) -> None:
    _flushed(event.line())


def _quiet(event: Happening) -> None:
    del event
