"""What `apply` and `destroy` share: plan, show, ask, lock, carry out, tell how it ended."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import threading
from pathlib import Path

from paver.cli import opening
from paver.engine.plan import Plan
from paver.engine.planner import Request
from paver.errors import BadInput, Refused
from paver.report.lines import Lines
from paver.report.plan_text import plan_text
from paver.runs.apply import Report, apply, ended
from paver.runs.events import Happening, Tell
from paver.runs.handoff import Station, read_done, write_outcome
from paver.runs.session import Session
from paver.sealed.keys import KeySource


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options of acting."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--station",
        choices=("outside", "jumpbox"),
        default="outside",
        help="where this runs; on the jumpbox itself, everything is done there",
    )
    parser.add_argument("--handed-off", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "--progress",
        choices=("auto", "lines", "live", "events", "none"),
        default="auto",
        help="how progress is shown (default: live on a terminal, lines elsewhere)",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def read_plan(path: Path) -> bytes:
    """Returns a plan file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"the plan {path} can't be read", why=str(error.strerror)) from error


def act(arguments: argparse.Namespace, request: Request, given: Plan | None, who: str) -> int:
    """Plans, asks, and carries out."""
    site, driver = opening.site_of(arguments)
    key = opening.key_of(site, arguments.key)
    if key is None:
        raise BadInput(
            "the sealed store's key is needed to act",
            seen=f"secrets.key: {site.secrets.key}",
            do="make one with `paver secrets init`, or name it with --key",
        )
    state = opening.folder_of(site)
    with (
        opening.stopping() as stop,
        state.locked(who),
        opening.session_of(arguments, site, driver, key, who) as session,
    ):
        fresh = session.plan(_same_request(request, given))
        plan = given or fresh
        if not plan.pending:
            print(f"nothing to do: {len(plan.actions)} resources are as they are wished")  # noqa: T201
            return 0
        if given is None:
            _confirm(arguments, plan)
        folder = state.new_run()
        tell = _teller(arguments, folder)
        report = _carry(arguments, session, plan, folder, tell, stop, key)
    _end(arguments, report, folder, plan)
    return 0


def _same_request(request: Request, given: Plan | None) -> Request:
    """The board is filled by reading the whole wish, also where the plan at hand is a part of it."""
    return request if given is None else dataclasses.replace(request, phases=(), only=())


def _carry(
    arguments: argparse.Namespace,
    session: Session,
    plan: Plan,
    folder: Path,
    tell: Tell,
    stop: threading.Event,
    key: KeySource,
) -> Report:
    handed: Path | None = arguments.handed_off
    if handed is not None:
        report = apply(session, plan, folder, tell, stop, only_mine=True, done=read_done(handed))
        write_outcome(handed, report, folder / "journal.jsonl")
        return dataclasses.replace(report, left=())
    if arguments.station == "jumpbox":
        return apply(session, plan, folder, tell, stop)
    station = Station(session, folder, stop, key)
    return apply(session, plan, folder, tell, stop, hand_off=station.carry_on)


def _confirm(arguments: argparse.Namespace, plan: Plan) -> None:
    for line in plan_text(plan, colour=sys.stdout.isatty()):
        print(line)  # noqa: T201 - the command's output
    if plan.blocked or arguments.yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            "nobody is there to confirm the plan",
            do="run it on a terminal, give a plan file that was approved, or --yes",
        )
    answer = input(f"\ncarry this out on {plan.site}? Type the site's name: ")
    if answer.strip() != plan.site:
        raise Refused("not confirmed; nothing was done")


def _teller(arguments: argparse.Namespace, folder: Path) -> Tell:
    show = _view(arguments)
    events = (folder / "events.jsonl").open("a", encoding="utf-8", buffering=1)

    def tell(event: Happening) -> None:
        events.write(event.line() + "\n")
        show(event)

    return tell


def _view(arguments: argparse.Namespace) -> Tell:
    def line(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def raw(event: Happening) -> None:
        line(event.line())

    def nothing(event: Happening) -> None:
        del event

    if arguments.progress == "none" or arguments.json:
        return nothing
    return raw if arguments.progress == "events" else Lines(line)


def _end(arguments: argparse.Namespace, report: Report, folder: Path, plan: Plan) -> None:
    if arguments.json:
        from paver.signing import canonical  # noqa: PLC0415 - only here

        sys.stdout.write(canonical.dumps({**report.document(), "folder": str(folder)}).decode() + "\n")
    ended(report)
    if arguments.json or arguments.progress == "events":
        return
    print(f"\n{plan.site}: {len(report.done)} done, {len(report.acted)} of them here, in this run")  # noqa: T201
    print(f"  journal  {folder / 'journal.jsonl'}  head {report.head}")  # noqa: T201
    if plan.mode == "apply":
        print("  next     paver status · paver env · paver contract")  # noqa: T201
