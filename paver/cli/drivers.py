"""`paver drivers`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from paver.cli import out

if TYPE_CHECKING:
    from paver.runs.installed import Room

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
    from paver.runs import installed  # noqa: PLC0415 - `--help` does without it

    found = installed.drivers()
    if arguments.json:
        out.document("paver.drivers/1", found)
        return 0
    for driver in found.drivers:
        _tell(driver, f"{driver.version} · plugin API {driver.api}", calls=arguments.calls)
    for room in found.with_any:
        _tell(room, "· with any driver", calls=arguments.calls)
    return 0


def _tell(found: Room, what: str, *, calls: bool) -> None:
    out.line(f"{found.name} {what} · {', '.join(found.phases)}")
    for kind in found.kinds:
        out.line(f"  {kind.kind:<34} {kind.about}")
        for verb, called in kind.calls.items() if calls else ():
            out.line(f"    {verb:<8} {', '.join(called)}")
