"""`paver validate`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.sitefile.site import Site

EXAMPLES = """\
examples:
  paver validate                  the site file, alone: nobody is asked, no secret is opened
  paver validate --json | jq      findings with file, line, column and path

exit codes: 0 it can be used (warnings may stand), 3 it cannot
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site_file(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Checks a site file."""
    from paver.sitefile.diagnostic import Read, SiteErrors, Validated  # noqa: PLC0415 - `--help` does without it

    try:
        site, _ = opening.site_of(arguments, warn=not arguments.json, whole=True)
    except SiteErrors as errors:
        if not arguments.json:
            raise
        told = Validated(ok=False, site=None, findings=errors.diagnostics, whole=errors.whole)
        out.document("paver.validate/1", told)
        return 3
    if arguments.json:
        read = Read(name=site.name, driver=site.driver, digest=site.digest())
        out.document("paver.validate/1", Validated(ok=True, site=read, findings=site.warnings, whole=True))
    else:
        from paver.report import words  # noqa: PLC0415 - only for people

        out.lines(words.wrapped(_summary(site, opening.site_path(arguments)), out.width(), "  "))
    return 0


def _summary(site: Site, path: object) -> str:
    machines = len(list(site.machines())) - len(site.networks)
    parts = [
        f"site {site.name}",
        f"driver {site.driver}",
        f"{len(site.networks)} networks",
        f"{machines} machines beside the driver's",
    ]
    if site.warnings:
        parts.append("1 warning" if len(site.warnings) == 1 else f"{len(site.warnings)} warnings")
    return f"ok: {path}: {' · '.join(parts)} · digest {site.digest()[:12]}"
