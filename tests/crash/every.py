"""A life that dies at every boundary of its journal: `python -m tests.crash.every [--folder DIR]`.

Each run is killed at the first boundary at which none has died yet, before or after a line; the same command is run
again, and so on until one comes to its end. Boundaries that differ in the resource alone count as one: of 70 port
groups one dies at each. On the jumpbox the same handed plan is carried out again and again, without a new one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paver.lab import build, programs, system
from tests.crash import oracle
from tests.crash.kills import ALWAYS_NEW, BOUNDARIES, install
from tests.support.place import Place, Trace, place

RESIDUE = ("certificate", "users")
BEGINNING = ("--phase", "trust", "--phase", "hosts", "--phase", "jumpbox")
MOST = 2000


def main() -> int:
    """Leads the life, and tells how it went; ends with an assertion where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.every", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "paver-every")
    parser.add_argument("--whole", action="store_true", help="make the site unharmed; kill its destroy only")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    tools, built = dict(system.provide(system.survey())), dict(build.build(programs.required(None)))
    with place(folder, built, tools) as site:
        life(site, whole=arguments.whole)
    return 0


def life(site: Place, *, whole: bool = False) -> None:
    """Leads one site through its life."""
    start, here = site.inventory(), site.folder / "boundaries"
    if whole:
        site.paver("apply", "--yes")
        install(site, ALWAYS_NEW)
    else:
        _make(site, here)
    _lead(site, here, "destroy", "--allow", "*", "--yes")
    oracle.bare(start, site, RESIDUE)
    _say(f"taken away: died at {len(_noted(here))} boundaries outside, nothing was left but the residue")


def _make(site: Place, here: Path) -> None:
    trace = Trace(site.lab.folder / "trace")
    _lead(site, here, "apply", "--yes", *BEGINNING)
    install(site, ALWAYS_NEW)
    _lead(site, here, "apply", "--yes")
    oracle.whole(site)
    assert oracle.made_twice(trace.calls()) == []
    there = (site.jumpbox() / BOUNDARIES).read_text().splitlines()
    _say(
        f"made: died at {len(_noted(here))} boundaries outside and {len(there)} on the jumpbox, nothing was made twice"
    )
    for name in sorted(there):
        _say(f"  {name}")


def _lead(site: Place, noted: Path, *argv: str) -> None:
    began = time.monotonic()
    for number in range(MOST):
        command = [
            sys.executable,
            "-m",
            "tests.crash.suicide",
            f"new:{noted}",
            *argv,
            "--site",
            str(site.site),
        ]
        done = subprocess.run(
            site.lab.argv(command, site.folder),
            env=site.environment(),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=3600,
        )
        if done.returncode == 0:
            _say(
                f"{' '.join(argv)}: {number} kills here in {time.monotonic() - began:.0f} s, came to its end"
            )
            return
        assert done.returncode in {-9, 137}, (
            f"ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    raise AssertionError(f"{argv} does not come to its end")


def _noted(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
