"""`paver plan`."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.engine.plan import Plan

_PLAN = b'{"actions":['
"""How every plan begins: its keys are in order."""

EXAMPLES = """\
examples:
  paver plan                        what would happen
  paver plan --out site.plan        keep it, to be approved and applied as it is
  paver plan --phase hosts          only the hosts
  paver plan --offline              for a first look: asks nobody, cannot be applied
  paver plan --json | jq .actions   the plan itself

exit codes: 0 nothing to do, 2 changes pending
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    opening.add_selection(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the plan to this file")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="ask nobody; everything counts as absent, so a phase is selected with those that it stands on, or refused",
    )
    parser.add_argument(
        "--opaque", action="store_true", help="show what tools that act by themselves will do"
    )
    parser.add_argument("--all", action="store_true", help="fold nothing")
    parser.add_argument("--ids", action="store_true", help="show ids, as --only and --allow take them")
    parser.add_argument("--destroy", action="store_true", help="plan to take everything away")
    parser.add_argument("--json", action="store_true", help="print the plan itself")


def run(arguments: argparse.Namespace) -> int:
    """Plans and shows."""
    from paver.engine.planner import Request  # noqa: PLC0415 - `--help` does without it
    from paver.runs import newest  # noqa: PLC0415 - same

    site, driver = opening.site_of(arguments)
    key = opening.key_of(site, arguments.key)
    request = Request(
        mode="destroy" if arguments.destroy else "apply",
        phases=tuple(arguments.phase),
        only=tuple(arguments.only),
        allow=tuple(arguments.allow),
        offline=arguments.offline,
    )
    started = time.monotonic()
    with opening.session_of(arguments, site, driver, key, "paver plan") as session:
        plan = newest.plan(session, request, out.note)
    opening.warn_of_allow(arguments, plan)
    if arguments.out is not None:
        _write(arguments.out, plan.dumps())
    if arguments.json:
        out.line(plan.dumps().decode().rstrip("\n"))
        return 2 if plan.pending else 0
    from paver.report import plan_text, words  # noqa: PLC0415 - only for people

    number = words.plural(len(plan.actions), "resource")
    took = f"read {number} in {words.span(time.monotonic() - started)}, wrote nothing"
    shown = plan_text.plan_text(
        plan,
        colour=out.colour(),
        opaque=arguments.opaque,
        every=arguments.all,
        ids=arguments.ids,
        width=out.width(),
        read="" if plan.offline else took,
    )
    out.lines(shown)
    out.lines(_next(arguments, plan))
    return 2 if plan.pending else 0


def _write(path: Path, data: bytes) -> None:
    from paver import own_files  # noqa: PLC0415
    from paver.errors import BadInput, unwritten  # noqa: PLC0415

    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        if path.exists() and not path.read_bytes().startswith(_PLAN):
            raise BadInput(
                f"{path} is there, and is no plan",
                why="it would be overwritten",
                do="name another file, or remove that one",
            )
        # Planning takes no lock: two may write to one file at once.
        own_files.put(path, data, 0o644, draft=str(os.getpid()))
    except OSError as error:
        raise unwritten(
            error, f"the plan can't be written to {path}", do="name another file with --out"
        ) from error


def _next(arguments: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """Yields what comes next: the very command, with what this one was told."""
    from paver.report import words  # noqa: PLC0415 - only for people

    written = arguments.out
    if plan.blocked:
        blocked = " blocked: mend what stands in the way, adopt it in the site file, or name it with --allow"
        yield from words.wrapped(blocked, out.width(), "   ")
    if written is not None and (plan.blocked or plan.offline or not plan.pending):
        yield f" written to {written}"
    if plan.blocked or plan.offline or not plan.pending:
        return
    site = opening.given(arguments, "site", "key", "sealed", "station")
    if written is not None:
        command = f"paver apply {shlex.quote(str(written))}{site}{opening.given(arguments, 'allow')}"
        yield f" written to {written}: `{command}` does exactly that"
        return
    verb = "destroy" if arguments.destroy else "apply"
    command = f"paver {verb}{site}{opening.given(arguments, 'phase', 'only', 'allow')}"
    yield f" next     `{command}` asks before it begins"
