"""`paver ports`."""

from __future__ import annotations

import argparse
import csv
import sys
from typing import TYPE_CHECKING

from paver.cli import opening, out
from paver.report.table import table

if TYPE_CHECKING:
    from paver.driver import Port

EXAMPLES = """\
examples:
  paver ports                 who opens a connection to whom, for the firewall team
  paver ports --csv > ports.csv
"""

FIELDS = ("source", "source_address", "target", "target_address", "port", "protocol", "why")
HEADINGS = ("from", "from address", "to", "to address", "port", "protocol", "why")


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site_file(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument("--csv", action="store_true", help="print it as CSV")


def run(arguments: argparse.Namespace) -> int:
    """Prints the matrix."""
    from paver.runs import offers  # noqa: PLC0415 - `--help` does without it

    site, driver = opening.site_of(arguments)
    found = offers.ports(site, driver)
    rows = [_row(row) for row in found]
    if arguments.json:
        out.document("paver.ports/1", offers.Matrix(site=site.name, rows=found))
    elif arguments.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(HEADINGS)
        writer.writerows(rows)
    else:
        out.lines(table(HEADINGS, rows, colour=out.colour(), width=out.width()))
    return 0


def _row(row: Port) -> tuple[str, ...]:
    return tuple(str(getattr(row, field)) for field in FIELDS)
