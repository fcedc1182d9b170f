"""`paver verify`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from paver.cli import opening, out

if TYPE_CHECKING:
    from paver.runs.verify import Proof

EXAMPLES = """\
examples:
  paver verify                 prove everything again; reads only
  paver verify --phase hosts   a part of it
  paver verify --all           also what holds, one line each
  paver verify --json

exit codes: 0 all holds, 1 a proof fails or could not be asked, 2 something is not as it is wished
"""

SIGNS = {"holds": "✓", "fails": "✗", "differs": "~", "unseen": "?"}
COLOURS = {"holds": "32", "fails": "31", "differs": "33", "unseen": "35"}


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    parser.add_argument(
        "--phase", action="append", default=[], metavar="PHASE", help="only this phase (repeatable)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="only resources whose id matches"
    )
    parser.add_argument("--all", action="store_true", help="show what holds as well")
    parser.add_argument("--json", action="store_true", help="print the proofs as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Verifies and shows."""
    from paver.engine.planner import Request  # noqa: PLC0415 - `--help` does without it
    from paver.runs import newest, verify  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=not arguments.json)
    key = opening.key_of(site, arguments.key)
    request = Request(phases=tuple(arguments.phase), only=tuple(arguments.only))
    with opening.session_of(arguments, site, driver, key, "paver verify") as session:
        proofs = verify.verify(session, newest.plan(session, request, out.note))
    code = verify.exit_code(proofs)
    if arguments.json:
        out.document("paver.verify/1", verify.Verified(site=site.name, exit=code, proofs=tuple(proofs)))
    else:
        out.lines(_text(proofs, every=arguments.all, colour=out.colour()))
    return code


def _text(proofs: Sequence[Proof], *, every: bool, colour: bool) -> Iterator[str]:
    from paver.report import words  # noqa: PLC0415 - only for people
    from paver.report.table import table  # noqa: PLC0415

    shown = [proof for proof in proofs if every or proof.state != "holds"]
    if shown:
        rows = [
            (
                proof.phase,
                words.place(proof.resource, proof.endpoint),
                SIGNS[proof.state],
                words.thing(proof.resource, proof.endpoint),
                proof.check,
                proof.seen,
            )
            for proof in shown
        ]
        lines = table(("phase", "", "", "what", "proof", "seen"), rows, colour=colour, width=out.width())
        yield next(lines)
        for line, proof in zip(lines, shown, strict=True):
            sign = SIGNS[proof.state]
            yield (
                line.replace(f" {sign} ", f" \x1b[{COLOURS[proof.state]}m{sign}\x1b[0m ", 1)
                if colour
                else line
            )
        yield ""
    counts = {state: sum(1 for proof in proofs if proof.state == state) for state in SIGNS}
    parts = [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state]]
    yield from words.wrapped(" · ".join([f"{counts['holds']} hold", *parts]), out.width(), "  ")


_WORDS = {"fails": "fail", "differs": "differ from what is wished", "unseen": "could not be asked"}
