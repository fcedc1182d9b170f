"""`paver apply`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import acting, opening
from paver.errors import BadInput

if TYPE_CHECKING:
    from paver.engine.plan import Plan

EXAMPLES = """\
examples:
  paver apply                  plan, show, ask, do
  paver apply site.plan        do what was planned and approved, and nothing else
  paver apply --yes            in a pipeline

A plan that takes away what is protected goes only where this command names it too: --allow, as `paver plan` had it.

Stopped or killed, the same command goes on where it was. First Ctrl-C: nothing new is started;
long jobs go on by themselves and are found again.

exit codes: 0 done, or nothing to do, 1 an action failed, 3 what was given is wrong,
4 refused: blocked, stale, drifted, locked, not confirmed, 5 a rest needs another machine
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("plan", nargs="?", type=Path, help="a plan file; without it, plan and confirm")
    opening.add_site(parser)
    opening.add_selection(parser)
    acting.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Carries out a plan."""
    from paver.engine.planner import Request  # noqa: PLC0415

    given = None
    if arguments.plan is not None:
        if arguments.phase or arguments.only:
            raise BadInput(
                "--phase and --only do not go with a plan file",
                why=f"{arguments.plan} is carried out as it is, or not at all",
                do="make a plan of that part: `paver plan --out` takes both",
            )
        given = _given(arguments.plan)
    request = Request(
        mode=given.mode if given is not None else "apply",
        phases=tuple(arguments.phase),
        only=tuple(arguments.only),
        allow=given.allow if given is not None else tuple(arguments.allow),
    )
    return acting.act(arguments, request, given, "paver apply")


def _given(path: Path) -> Plan:
    from paver.engine import plan as plans  # noqa: PLC0415 - `--help` does without it
    from paver.signing.canonical import CanonicalError  # noqa: PLC0415

    try:
        return plans.loads(acting.read_plan(path))
    except CanonicalError as error:
        raise BadInput(
            f"{path} is not a plan", why=error.what, do="make one with `paver plan --out`"
        ) from error
