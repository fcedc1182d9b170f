"""`paver status`."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.driver import Driver
    from paver.engine.plan import Plan
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


def run(arguments: argparse.Namespace) -> int:
    """Tells how the site stands; a site that can't be asked hides nothing else."""
    from paver.errors import PaverError  # noqa: PLC0415 - `--help` does without it
    from paver.report.standing_text import standing_text  # noqa: PLC0415
    from paver.runs import holdings, standing  # noqa: PLC0415
    from paver.runs.offers import doors  # noqa: PLC0415
    from paver.trust.vault import Vault  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=not arguments.json)
    state = opening.folder_of(site)
    vault = Vault(arguments.sealed or site.sealed_file, None, "paver status", state.sealed_seen)
    plan, error, code = None, "", 0
    if not arguments.quick:
        try:
            plan = _plan(arguments, site, driver)
            code = 2 if plan.pending else 0
        except PaverError as wrong:
            error, code = wrong.what, wrong.exit_code
    found = standing.Standing(
        site=site.name,
        holder=state.holder(),
        last=standing.last_run(state),
        plan=plan,
        error=error,
        holdings=tuple(holdings.of(vault.index())),
        store=str(vault.path),
        doors=doors(site, driver),
        now=dt.datetime.now(dt.UTC),
    )
    if arguments.json:
        out.document(found.document())
    else:
        out.lines(standing_text(found, colour=out.colour(), width=out.width()))
    return code


def _plan(arguments: argparse.Namespace, site: Site, driver: Driver) -> Plan:
    from paver.engine.planner import Request  # noqa: PLC0415
    from paver.runs import newest  # noqa: PLC0415

    key = opening.key_of(site, arguments.key)
    with opening.session_of(arguments, site, driver, key, "paver status") as session:
        return newest.plan(session, Request(), out.note)
