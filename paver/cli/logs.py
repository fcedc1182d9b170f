"""`paver logs`."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import Any

from paver.cli import opening, out, parsers

EXAMPLES = """\
examples:
  paver logs                      a tar.gz for support: journals, plans, events, site file, versions
  paver logs --out case-4711.tgz --runs 2

Every value of the sealed store is taken out, also where a tool wrote it in base64, JSON or a URL. Store and key
are never in it. Look into it before you send it: addresses and names are in it.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where to write it (default: here)")
    parser.add_argument(
        "--runs",
        type=parsers.number(0, 10_000),
        default=5,
        metavar="N",
        help="how many runs, the newest (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the bundle."""
    from paver.foundation.bucc import bucc, made  # noqa: PLC0415 - `--help` does without it
    from paver.report import document  # noqa: PLC0415
    from paver.runs import bundle, past, versions  # noqa: PLC0415
    from paver.sealed.redact import Redactor  # noqa: PLC0415
    from paver.trust.vault import Vault  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=False)
    state = opening.folder_of(site)
    path, memory = opening.sealed_of(arguments, site)
    values: list[str] = []
    if path.exists():
        key = opening.needed_key(site, arguments.key, "to take the secrets out of what is packed")
        for name, value in Vault(path, key, "paver logs", memory).values():
            values += [value, *(made.secrets(value) if name == bucc.CREDS else ())]
    now = dt.datetime.now(dt.UTC)
    facts: dict[str, Any] = {
        "schema": "paver.logs/1",
        "made": now.isoformat(timespec="seconds"),
        "site": {"name": site.name, "digest": site.digest(), "driver": f"{driver.name}/{driver.version}"},
        "versions": document.plain(versions.versions()),
        "holder": dict(state.holder() or {}),
        "runs": [document.plain(past.of(folder)) for folder in state.runs()],
    }
    name = f"paver-{site.name}-{now:%Y%m%dT%H%M%SZ}"
    file = arguments.out or Path(f"{name}.tar.gz")
    packed = bundle.write(
        file, name, bundle.contents(state, site.source.text, facts, Redactor(values), runs=arguments.runs)
    )
    out.line(f"{file} is written: {len(packed)} files, secrets taken out")
    out.line("  do    look into it before you send it: addresses and names are in it")
    return 0
