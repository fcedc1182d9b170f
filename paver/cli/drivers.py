"""`paver drivers`."""

from __future__ import annotations

import argparse
from typing import Any

from paver.cli import out

EXAMPLES = """\
examples:
  paver drivers                 what is installed, what it makes, and what paver makes with any driver
  paver drivers --calls         what each kind may call, by verb: what its sessions let pass
  paver drivers --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--calls", action="store_true", help="show what each kind may call")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Lists drivers, and every kind: the drivers' own, and those that come with any of them."""
    from paver.runs import compose  # noqa: PLC0415 - `--help` does without it

    installed = compose.drivers()
    found = [_driver(driver) for _, driver in sorted(installed.items())]
    any_ = [
        {"name": name, "phases": list(phases), "kinds": [_kind(kind) for kind in kinds]}
        for name, phases, kinds in compose.with_any_driver()
    ]
    if arguments.json:
        out.document({"schema": "paver.drivers/1", "drivers": found, "with_any": any_})
        return 0
    for driver in found:
        _tell(driver, f"{driver['version']} · plugin API {driver['api']}", calls=arguments.calls)
    for room in any_:
        _tell(room, "· with any driver", calls=arguments.calls)
    return 0


def _tell(found: dict[str, Any], what: str, *, calls: bool) -> None:
    out.line(f"{found['name']} {what} · {', '.join(found['phases'])}")
    for kind in found["kinds"]:
        out.line(f"  {kind['kind']:<34} {kind['about']}")
        for verb, called in kind["calls"].items() if calls else ():
            out.line(f"    {verb:<8} {', '.join(called)}")


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
