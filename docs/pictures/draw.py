"""Draws the picture of the README: the live view of a run, at a moment in its middle.

    python docs/pictures/draw.py -- paver apply --yes      inside of a lab, on a site that is bare

The run is real: its events come from the command, its frame is the one that a terminal shows at that moment.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from paver.engine import plan as plans
from paver.report import live
from paver.runs import events, progress

WIDTH, HEIGHT = 104, 40
MOMENT = ("bucc.director:bucc", "Compiling package 'uaa/")


def main() -> int:
    """Runs the command that is given after `--` and writes run.svg beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="+", help="after --, how `paver apply` is called")
    command = parser.parse_args().command
    planned = subprocess.run([*command[:-2], "plan", "--json"], capture_output=True, check=False).stdout
    shown = progress.of(plans.loads(planned))
    frame: list[Text] = []
    with subprocess.Popen([*command, "--progress", "events"], stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            event = events.parse(line.rstrip("\n"))
            if event is None:
                continue
            shown(event)
            if event.resource == MOMENT[0] and event.text.startswith(MOMENT[1]) and not frame:
                frame = live.frame(shown.state(), WIDTH, HEIGHT)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in frame:
        console.print(line)
    svg = console.export_svg(title="paver apply", theme=MONOKAI)
    # The font that rich names lies on somebody's server; every machine has a monospaced one.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    Path(__file__).with_name("run.svg").write_text(svg, encoding="utf-8")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
