"""`paver image prove`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from paver.cli import out

if TYPE_CHECKING:
    from collections.abc import Callable

    from paver.image.prove.report import Report


WAYS = ("bios-nocloud", "uefi-nocloud", "bios-guestinfo", "bios-console", "pave", "twice")
"""As `--only` takes them; `pave` needs a lab, `twice` the source tree that the image was built of."""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "file", type=Path, metavar="OVA", help="the image, or the folder that it was unpacked to"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=WAYS,
        metavar="WAY",
        help=f"in this way only (repeatable): {', '.join(WAYS)}",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report there as JSON as well")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="leave logs of consoles and pictures of screens there, also of a boot that hangs",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """Proves the image; returns 0 where all holds, 1 where something does not."""
    from paver.image.prove import report  # noqa: PLC0415 - `--help` does without it
    from paver.image.prove import run as proving  # noqa: PLC0415 - likewise
    from paver.report import document  # noqa: PLC0415 - likewise

    def show(so_far: Report) -> None:
        if not arguments.json:
            out.lines(report.text(so_far.sections[-1]))
        if arguments.report is not None:
            found = document.named(report.SCHEMA, so_far)
            text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
            arguments.report.write_text(f"{text}\n", encoding="utf-8")

    order = proving.Order(file=arguments.file, only=tuple(arguments.only), keep=arguments.keep)
    proved = proving.prove(order, tell, show)
    if arguments.json:
        out.document(report.SCHEMA, proved)
    else:
        out.line(report.ending(proved))
    return 0 if proved.holds else 1
