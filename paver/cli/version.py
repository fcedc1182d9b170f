"""`paver version`."""

from __future__ import annotations

import argparse

import paver
from paver.cli import out

EXAMPLES = """\
examples:
  paver version
  paver version --json     with Python's version and the plan, journal and contract formats
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--json", action="store_true", help="print what support asks for")


def run(arguments: argparse.Namespace) -> int:
    """Prints the version."""
    if not arguments.json:
        out.line(f"paver {paver.__version__}")
        return 0
    from paver.runs import versions  # noqa: PLC0415 - not for the mere number

    out.document("paver.version/1", versions.versions())
    return 0
