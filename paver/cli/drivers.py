"""`paver drivers`."""

from __future__ import annotations

import argparse
from typing import Any

from paver.cli import out

EXAMPLES = """\
examples:
  paver drivers                 what is installed, and what it makes
  paver drivers --calls         what each kind may call, by verb: what its sessions let pass
  paver drivers --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--calls", action="store_true", help="show what each kind may call")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Lists drivers and kinds."""
    from paver.runs import compose  # noqa: PLC0415 - `--help` does without it

    installed = compose.drivers()
    found = [_driver(driver) for _, driver in sorted(installed.items())]
    if arguments.json:
        out.document({"schema": "paver.drivers/1", "drivers": found})
        return 0
    for driver in found:
        out.line(
            f"{driver['name']} {driver['version']} · plugin API {driver['api']} · {', '.join(driver['phases'])}"
        )
        for kind in driver["kinds"]:
            out.line(f"  {kind['kind']:<34} {kind['about']}")
            for verb, calls in kind["calls"].items() if arguments.calls else ():
                out.line(f"    {verb:<8} {', '.join(calls)}")
    return 0


def _driver(driver: Any) -> dict[str, Any]:
    return {
        "name": driver.name,
        "version": driver.version,
        "api": driver.api,
        "phases": list(driver.phases),
        "kinds": [_kind(kind) for kind in driver.kinds],
    }


def _kind(kind: Any) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "about": (kind.__doc__ or "").strip().splitlines()[0].rstrip(".") if kind.__doc__ else "",
        "setting": kind.setting,
        "calls": {verb.value: sorted(calls) for verb, calls in sorted(kind.calls.items()) if calls},
    }
