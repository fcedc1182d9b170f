"""`paver destroy`."""

from __future__ import annotations

import argparse

from paver.cli import acting, opening

EXAMPLES = """\
examples:
  paver plan --destroy            what would go, what would be put back
  paver destroy --allow '*'       take everything away, protected things too
  paver destroy --allow '*' --yes in a pipeline

What is protected (vCenter, director, jumpbox, buckets, CAs) goes only where --allow names it.

exit codes: 0 done, or nothing to do, 1 an action failed, 3 what was given is wrong,
4 refused: blocked, stale, drifted, locked, not confirmed, 5 a rest needs another machine
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_selection(parser)
    acting.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plans the empty wish and carries it out."""
    from paver.engine.planner import Request  # noqa: PLC0415 - `--help` does without it

    request = Request(
        mode="destroy",
        phases=tuple(arguments.phase),
        only=tuple(arguments.only),
        allow=tuple(arguments.allow),
    )
    return acting.act(arguments, request, None, "paver destroy")
