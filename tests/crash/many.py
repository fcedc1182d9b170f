"""Many kills over a site's whole life: `python -m tests.crash.many --kills 40 [--seed N] [--folder DIR]`.

Lives follow each other until there were enough kills: a lab is raised, apply is led through its kills to its end,
then destroy is, and everything must be as if nobody had killed anything.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

from paver.lab import build, programs, system
from tests.crash import oracle
from tests.crash.kills import Chain
from tests.support.place import Trace, place

RESIDUE = ("certificate", "users")


def main() -> int:
    """Kills, and tells how it went; ends with an assertion where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.many", description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=14, help="kills a life, at most")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "paver-crash")
    arguments = parser.parse_args()
    tools, built = dict(system.provide(system.survey())), dict(build.build(programs.required(None)))
    done, seed = 0, arguments.seed
    while done < arguments.kills:
        began = time.monotonic()
        kills = life(
            arguments.folder / str(seed), built, tools, seed, min(arguments.each, arguments.kills - done)
        )
        done += kills
        _say(f"life {seed}: {kills} kills in {time.monotonic() - began:.0f} s, converged; {done} so far")
        seed += 1
    return 0


def life(folder: Path, built: dict[str, Path], tools: dict[str, Path], seed: int, most: int) -> int:
    """Leads one site through its life under kills and returns how many there were."""
    with place(folder, built, tools) as site:
        start, trace = site.inventory(), Trace(site.lab.folder / "trace")
        early, late = max(1, most // 4), max(1, most // 5)
        chain = Chain(site, seed, early)
        chain.lead(
            "apply", "--yes", "--phase", "trust", "--phase", "hosts", "--phase", "jumpbox", before=True
        )
        _tell(chain)
        behind = Chain(site, seed + 1000, most - len(chain.kills) - late)
        behind.lead("apply", "--yes", before=False)
        _tell(behind)
        oracle.whole(site)
        assert oracle.made_twice(trace.calls()) == []
        end = Chain(site, seed + 2000, late)
        end.lead("destroy", "--allow", "*", "--yes", before=False)
        _tell(end)
        oracle.bare(start, site, RESIDUE)
        return len(chain.kills) + len(behind.kills) + len(end.kills)


def _tell(chain: Chain) -> None:
    for kill in chain.kills:
        _say(f"  {kill}")
    stations = collections.Counter(kill.station for kill in chain.kills)
    _say(f"  {dict(stations)}: came to its end")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
