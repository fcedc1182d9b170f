"""How a run ends for whoever started it: the page that is left, and the last lines."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.report.ending import Ending
    from paver.runs.apply import Commission
    from paver.runs.outcome import Ended
    from paver.runs.progress import Progress
    from paver.runs.session import Session


NOTHING = "nothing was changed"


def leave(
    session: Session, commission: Commission, ended: Ended, progress: Progress, seconds: float
) -> Ending:
    """Writes the page of a run, which took so many seconds, and returns its ending."""
    import datetime as dt  # noqa: PLC0415 - not before a run ends

    from paver.engine.resource import Verb  # noqa: PLC0415
    from paver.report import page  # noqa: PLC0415
    from paver.report.ending import Ending  # noqa: PLC0415
    from paver.runs.evidence import evidence  # noqa: PLC0415
    from paver.runs.folder import REPORT  # noqa: PLC0415
    from paver.runs.offers import doors, tools  # noqa: PLC0415

    folder = commission.folder
    ending = Ending(
        plan=commission.plan,
        ended=ended,
        folder=_near(folder),
        seconds=seconds,
        evidence=evidence(folder),
        tools=tools(session.site, session.driver),
    )
    deleted = {action.resource for action in ending.done if action.verb is Verb.DELETE}
    gone = {name for name, provider in session.paved.graph.providers.items() if provider in deleted}
    text = page.page(
        ending,
        progress.last(),
        [door for door in doors(session.site, session.driver) if door.endpoint not in gone],
        now=dt.datetime.now(dt.UTC),
        who=who(),
        approval=commission.approval,
    )
    try:
        (folder / REPORT).write_text(text, encoding="utf-8")
    except OSError as error:
        # The run itself is journalled and over: a full disk costs the page only.
        out.note(f"warning: the report can't be written: {error.strerror}")
        return ending
    return dataclasses.replace(ending, page=_near(folder) / REPORT)


def tell(arguments: argparse.Namespace, ending: Ending) -> None:
    """Tells how the run ended, and raises what it ended with, if it did not do everything."""
    from paver.report.ending import ending_text  # noqa: PLC0415
    from paver.runs.outcome import OUTCOME, demand_whole  # noqa: PLC0415

    verb = "destroy" if ending.plan.mode == "destroy" else "apply"
    rest = (
        f"copy {ending.folder.absolute()} away: its journal goes with this machine\n"
        "then, where the hosts are reached from outside, beside site file, sealed store and key:\n"
        f"paver {verb}{opening.given(arguments, 'phase', 'only', 'allow')}"
    )
    if arguments.json:
        out.document(OUTCOME, ending.ended.outcome(ending.folder))
        with out.documented(), _untouched(ending):
            demand_whole(ending.ended, rest)
        return
    if arguments.progress != "events":
        out.line()
        out.lines(ending_text(ending))
    with _untouched(ending):
        demand_whole(ending.ended, rest)


@contextlib.contextmanager
def _untouched(ending: Ending) -> Iterator[None]:
    """Notes on what a run ended with that nothing was changed, where its journals hold no write at all."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not (ending.evidence.writes or ending.evidence.broken or ending.ended.acted):
            error.add_note(NOTHING)
        raise


def who() -> str:
    """Returns the user and the machine that paver runs on."""
    import socket  # noqa: PLC0415 - not before a run

    from paver.runs.who import user  # noqa: PLC0415 - same

    return f"{user()} on {socket.gethostname()}"


def _near(folder: Path) -> Path:
    """Returns a folder as it is shorter to read: relative, where it lies below the present one."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
