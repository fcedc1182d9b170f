"""`paver plan`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from paver.cli import opening
from paver.engine.planner import Request
from paver.report.plan_text import plan_text

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
    opening.add_selection(parser)
    parser.add_argument("-o", "--out", type=Path, help="write the plan to this file")
    parser.add_argument("--offline", action="store_true", help="ask nobody; everything counts as absent")
    parser.add_argument(
        "--opaque", action="store_true", help="show what tools that act by themselves will do"
    )
    parser.add_argument("--destroy", action="store_true", help="plan to take everything away")
    parser.add_argument("--json", action="store_true", help="print the plan itself")


def run(arguments: argparse.Namespace) -> int:
    """Plans and shows."""
    site, driver = opening.site_of(arguments)
    key = opening.key_of(site, arguments.key)
    request = Request(
        mode="destroy" if arguments.destroy else "apply",
        phases=tuple(arguments.phase),
        only=tuple(arguments.only),
        allow=tuple(arguments.allow),
        offline=arguments.offline,
    )
    with opening.session_of(arguments, site, driver, key, "paver plan") as session:
        plan = session.plan(request)
    if arguments.out is not None:
        arguments.out.write_bytes(plan.dumps())
    if arguments.json:
        sys.stdout.write(plan.dumps().decode())
    else:
        for line in plan_text(plan, colour=sys.stdout.isatty(), opaque=arguments.opaque):
            print(line)  # noqa: T201 - the command's output
        if arguments.out is not None:
            print(f" written to {arguments.out}: `paver apply {arguments.out}` does exactly that")  # noqa: T201
    return 2 if plan.pending else 0
