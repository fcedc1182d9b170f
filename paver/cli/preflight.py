"""`paver preflight`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from paver.cli import opening, out
from paver.report.table import table
from paver.report.words import wrapped

if TYPE_CHECKING:
    from paver.driver import Finding

EXAMPLES = """\
examples:
  paver preflight               what stands in the way, all of it at once; writes nothing
  paver preflight --show-pins   the certificates that the hosts show, to compare with their consoles
  paver preflight --json

exit codes: 0 nothing stands in the way, 2 somebody should look, 3 something given is wrong (pin, password, file),
4 something refuses (licence, version, room), 1 something does not answer
"""

SIGNS = {"ok": "✓", "warning": "!", "input": "✗", "refused": "✗", "unreachable": "?"}
COLOURS = {"ok": "32", "warning": "33", "input": "31", "refused": "31", "unreachable": "35"}


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    opening.add_site(parser)
    opening.add_station(parser)
    parser.add_argument(
        "--show-pins", action="store_true", help="print the fingerprints seen, as the site file takes them"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Looks, and prints what was found."""
    from paver.runs import looking  # noqa: PLC0415 - `--help` does without it
    from paver.trust.vault import Vault  # noqa: PLC0415

    site, driver = opening.site_of(arguments, warn=not arguments.json)
    key = opening.key_of(site, arguments.key)
    path, memory = opening.sealed_of(arguments, site)
    vault = Vault(path, key, "paver preflight", memory, named=site.secrets.key)
    findings = list(looking.look(site, driver, vault, key, station=opening.station_of(arguments)))
    code = looking.exit_code(findings)
    if arguments.json:
        found = looking.Preflight(site=site.name, exit=code, findings=tuple(findings))
        out.document("paver.preflight/1", found)
    else:
        out.lines(_text(findings, pins=arguments.show_pins, colour=out.colour(), width=out.width()))
    return code


def _text(
    findings: Sequence[Finding], *, pins: bool, colour: bool, width: int | None = None
) -> Iterator[str]:
    rows = []
    before = ""
    for one in findings:
        sign = SIGNS[one.grade.value]
        wanted = one.wanted if one.grade.value != "ok" or not one.seen else ""
        subject = one.subject if one.subject != before else ""
        before = one.subject
        rows.append((subject, sign, one.check, _pin(one.seen), _pin(wanted)))
    lines = table(("", "", "looked at", "seen", "wanted"), rows, colour=colour, width=width)
    yield next(lines)
    for line, one in zip(lines, findings, strict=True):
        sign = SIGNS[one.grade.value]
        yield line.replace(sign, f"\x1b[{COLOURS[one.grade.value]}m{sign}\x1b[0m", 1) if colour else line
    troubles = [one for one in findings if one.grade.value != "ok" and (one.why or one.do)]
    for one in troubles:
        yield ""
        trouble = f"{SIGNS[one.grade.value]} {one.subject}: {one.check}: {_pin(one.seen)}"
        for line in (trouble, *_labelled("why", one.why), *_labelled("do", one.do)):
            yield from wrapped(line, width, " " * (2 if line is trouble else 8))
    if pins:
        yield from _pins(findings)
    yield ""
    bad = sum(1 for one in findings if one.grade.value not in {"ok", "warning"})
    warned = sum(1 for one in findings if one.grade.value == "warning")
    counted = f"{len(findings)} looked at · {bad} in the way · {warned} to look at"
    yield from wrapped(counted, width, "  ")


def _labelled(label: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        yield f"  {label if number == 0 else '':<5} {line}"


def _pins(findings: Sequence[Finding]) -> Iterator[str]:
    yield ""
    yield "fingerprints seen; compare each with the host's own console before you write it down:"
    for one in findings:
        if one.check == "certificate" and one.seen.startswith("sha256:"):
            yield f"  {one.subject}: {{fingerprint: {one.seen.partition(',')[0]}}}"


def _pin(text: str) -> str:
    """Returns a fingerprint or digest in short: `--show-pins` lists the whole of them below."""
    if text.startswith("sha256:") and len(text) > 40:
        pin, comma, rest = text.partition(",")
        return f"{pin[:25]}…{pin[-5:]}{comma}{rest}"
    head, sha, digest = text.partition("sha256 ")
    return f"{head}{sha}{digest[:12]}" if sha else text
