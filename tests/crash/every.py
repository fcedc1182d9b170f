"""Lives that die at every boundary of their journals: `python -m tests.crash.every [--folder DIR] [--side SIDE]`.

First a life that nobody kills says which lines there are. Then two lives go through all of them side by side: one dies
before each line, the other one after it, on both stations, making the site and taking it away. Each run dies at the
first line at which none died yet; the same command is run again at once, until one comes to its end. On the jumpbox
the same handed plan is carried out again and again. Lines that differ in nothing but numbers and are made by the same
action after the same call count as one: that an action writes the same file twice is seen only where another call lies
between. What two actions do at once may be over before either dies at it; then another life follows that dies at what
is left. It all ends with an assertion unless every boundary was a place of death.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from paver.lab import build, programs, system
from tests.crash import boundaries, oracle
from tests.crash.boundaries import SIDES, Line
from tests.crash.kills import ALWAYS, install
from tests.crash.suicide import JUMPBOX, OUTSIDE
from tests.support.place import Place, Trace, place

RESIDUE = ("certificate", "users")
BEGINNING = ("--phase", "trust", "--phase", "hosts", "--phase", "jumpbox")
DESTROY = ("destroy", "--allow", "*", "--yes")
JOURNALS = ((OUTSIDE, "journal.jsonl"), (JUMPBOX, "journal-jumpbox.jsonl"))
MOST_LIVES = 8
# Of a command with all its kills.
PATIENCE = 3600.0


@dataclasses.dataclass(frozen=True)
class Lab:
    """What lives are led in: a folder of their own each, and the programs of all."""

    folder: Path
    built: dict[str, Path]
    tools: dict[str, Path]


def main() -> int:
    """Leads the lives, and tells how they went; ends with an assertion where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.every", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "paver-every")
    parser.add_argument("--side", choices=SIDES, help="die on this side of each line only")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    lab = Lab(folder, dict(build.build(programs.required(None))), dict(system.provide(system.survey())))
    began = time.monotonic()
    all_ = Counter(_unharmed(lab))
    alike = {line.alike for line in all_}
    _say(f"unharmed: {all_.total()} lines, {len(all_)} distinct, {len(alike)} of kind, event and call")
    sides = (arguments.side,) if arguments.side else SIDES
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(sides), spawn) as pool:
        left = {side: pool.submit(_lives, lab, side, set(all_)) for side in sides}
        for side in sides:
            left[side].result()
    _say(
        f"died at {len(sides) * len(all_)} of {len(sides) * len(all_)} boundaries, at all of {len(sides) * len(alike)} "
        f"of kind, event and call, in {time.monotonic() - began:.0f} s"
    )
    return 0


def _unharmed(lab: Lab) -> Iterable[Line]:
    """Returns what stands in the journals of a life that nobody kills."""
    found: list[Line] = []
    with place(lab.folder / "unharmed", lab.built, lab.tools) as site:
        for command in (("apply", "--yes", *BEGINNING), ("apply", "--yes"), DESTROY):
            site.paver(*command)
        for run in site.runs:
            for station, name in JOURNALS:
                journal = run / name
                found += boundaries.lines(station, journal.read_text()) if journal.exists() else ()
    return found


def _lives(lab: Lab, side: str, all_: set[Line]) -> None:
    """Leads lives until there was a death on this side of all lines."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    died = lab.folder / f"died-{side}"
    died.unlink(missing_ok=True)
    wanted = {f"{side} {line}" for line in all_}
    for number in range(MOST_LIVES):
        began, before = time.monotonic(), len(_names(died))
        with place(lab.folder / side, lab.built, lab.tools) as site:
            _life(site, f"new:{side}:{died}")
        names = _names(died)
        left = sorted(wanted - names)
        _say(
            f"{side} each line, life {number + 1}: {len(names) - before} kills in {time.monotonic() - began:.0f} s, the "
            f"same end, nothing made twice; died at {len(wanted) - len(left)} of {len(wanted)} boundaries and at "
            f"{len(names - wanted)} that only who was killed before has"
        )
        if not left:
            return
    raise AssertionError("nobody died " + ",\n".join(left))


def _life(site: Place, when: str) -> None:
    """Makes a site and takes it away, killed at `when`."""
    start, trace = site.inventory(), Trace(site.lab.folder / "trace")
    _lead(site, when, "apply", "--yes", *BEGINNING)
    install(site, ALWAYS, when)
    _lead(site, when, "apply", "--yes")
    oracle.whole(site)
    assert oracle.made_twice(trace.calls()) == []
    _lead(site, when, *DESTROY)
    oracle.bare(start, site, RESIDUE)


def _lead(site: Place, when: str, *argv: str) -> None:
    """Runs `paver ARGV`, again as often as it is killed."""
    began = time.monotonic()
    done = subprocess.run(
        site.lab.argv(
            [sys.executable, "-m", "tests.crash.suicide", when, *argv, "--site", str(site.site)], site.folder
        ),
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    _say(
        f"  {when.split(':')[1]} each line: {' '.join(argv)}: came to its end in {time.monotonic() - began:.0f} s"
    )


def _names(file: Path) -> set[str]:
    return set(file.read_text().splitlines()) if file.exists() else set()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
