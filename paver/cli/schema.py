"""`paver schema`."""

from __future__ import annotations

import argparse

from paver.cli import out

EXAMPLES = """\
examples:
  paver schema > site.schema.json   for editors: `# yaml-language-server: $schema=site.schema.json`
  paver schema --markdown           the reference of all keys
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--markdown", action="store_true", help="print the reference instead")


def run(arguments: argparse.Namespace) -> int:
    """Prints the schema or the reference."""
    from paver.runs import compose  # noqa: PLC0415 - `--help` does without it
    from paver.sitefile import reference, schema  # noqa: PLC0415

    drivers = compose.drivers()
    if arguments.markdown:
        out.line(reference.reference(drivers).rstrip("\n"))
    else:
        import json  # noqa: PLC0415

        # In the order of a site file: whoever reads the schema reads it beside one.
        out.line(json.dumps(schema.schema(drivers), indent=2, ensure_ascii=False))
    return 0
