"""`paver status`."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.driver import Driver
    from paver.engine.plan import Plan
    from paver.errors import PaverError
    from paver.sitefile.site import Site

EXAMPLES = """\
examples:
  paver status            who runs, how it stands, what ends soon, how to get in
  paver status --quick    without asking the site itself
  paver status --json

exit codes: 0 as wished (or not asked), 2 changes pending; where the site could not be asked, what that ends with: 1, 3, 4
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    parser.add_argument("--quick", action="store_true", help="ask nobody; what is on this machine only")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What the site said: a plan or why there is none, who began what runs on the jumpbox, which endpoints are not there.

    Who began it is None where the jumpbox was not heard.
    """

    plan: Plan | None = None
    error: PaverError | None = None
    there: str | None = None
    absent: frozenset[str] = frozenset()


def run(arguments: argparse.Namespace) -> int:
    """Tells how the site stands; a site that can't be asked hides nothing else."""
    from paver.errors import PaverError  # noqa: PLC0415 - `--help` does without it
    from paver.report.standing_text import standing_text  # noqa: PLC0415
    from paver.runs import holdings, standing  # noqa: PLC0415
    from paver.runs.offers import doors  # noqa: PLC0415
    from paver.trust.vault import Vault  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=not arguments.json)
    state = opening.folder_of(site)
    path, memory = opening.sealed_of(arguments, site)
    vault = Vault(path, None, "paver status", memory)
    asked = _Asked()
    if not arguments.quick:
        try:
            asked = _ask(arguments, site, driver)
        except PaverError as wrong:
            asked = _Asked(error=wrong)
    found = standing.Standing(
        site=site.name,
        holder=state.holder(),
        last=standing.last_run(state),
        plan=asked.plan,
        error=asked.error.what if asked.error is not None else "",
        holdings=tuple(holdings.of(vault.index())),
        store=str(vault.path),
        doors=doors(site, driver),
        now=dt.datetime.now(dt.UTC),
        there=asked.there,
        absent=asked.absent,
        handed=state.handed.exists(),
    )
    if arguments.json:
        out.document("paver.status/1", found.status())
    else:
        out.lines(standing_text(found, colour=out.colour(), width=out.width()))
    if asked.error is not None:
        return asked.error.exit_code
    return 2 if asked.plan is not None and asked.plan.pending else 0


def _ask(arguments: argparse.Namespace, site: Site, driver: Driver) -> _Asked:
    """Plans, and asks the jumpbox what runs there, also where no plan can be made meanwhile."""
    from paver.engine.planner import Request  # noqa: PLC0415
    from paver.errors import PaverError  # noqa: PLC0415
    from paver.runs import newest, standing, wayback  # noqa: PLC0415

    key = opening.key_of(site, arguments.key)
    plan, error = None, None
    with opening.session_of(arguments, site, driver, key, "paver status") as session:
        try:
            plan = newest.plan(session, Request(), out.note)
        except PaverError as wrong:
            error = wrong
        machine = newest.jumpbox(session)
        running = None if machine is None else wayback.running(machine, site.name)
        absent = frozenset() if plan is None else standing.absent(plan, session.paved.graph.providers)
    there = None if machine is None else "" if running is None else wayback.begun(running)
    return _Asked(plan, error, there, absent)
