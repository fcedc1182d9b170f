"""`paver schema`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from paver.cli import documents, out

SITE = "site"

EXAMPLES = """\
examples:
  paver schema > site.schema.json   for editors: `# yaml-language-server: $schema=site.schema.json`
  paver schema --markdown           the reference of all keys
  paver schema --of status          what `paver status --json` prints
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--of",
        choices=(SITE, documents.CONTRACT, *documents.DOCUMENTS),
        default=SITE,
        metavar="NAME",
        help="of the site file, of the contract, or of what --json prints: "
        f"{', '.join((SITE, documents.CONTRACT, *documents.DOCUMENTS))} (default: %(default)s)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the reference instead")


def run(arguments: argparse.Namespace) -> int:
    """Prints the schema or the reference."""
    if arguments.of == SITE:
        from paver.runs import compose  # noqa: PLC0415 - `--help` does without it
        from paver.sitefile import reference, schema  # noqa: PLC0415

        drivers = compose.drivers()
        if arguments.markdown:
            out.line(reference.reference(drivers).rstrip("\n"))
        else:
            _print(schema.schema(drivers))
    elif arguments.markdown:
        out.line(documents.section(arguments.of))
    else:
        _print(documents.schema(arguments.of))
    return 0


def _print(schema: dict[str, Any]) -> None:
    # In the order of what it describes: whoever reads the schema reads it beside one.
    out.line(json.dumps(schema, indent=2, ensure_ascii=False))
