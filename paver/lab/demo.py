"""The demo: raises the lab, runs the whole main job in it, and leaves the report of what was made.

    python -m paver.lab.demo [--phases hosts,jumpbox] [--folder DIR] [--image FILE]

It says beforehand what it will build and unpack, and how long that takes; the lab stays up afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from paver.errors import BadInput, PaverError, of_disk
from paver.lab import foreground, namespace, plan, programs, providing, raising, site

DEMO_FOLDER = "demo"
NAME = "lab-north"
TRUST = "trust"
STOPPED = 130
WITHOUT_NAMESPACES = ("hosts",)
"""The phases beside `trust` that need no jumpbox."""


def main(argv: list[str] | None = None) -> int:
    """Runs the demo and returns its exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description="the whole main job, in the lab")
    parser.add_argument("--phases", default="", help="only these phases, as in hosts,jumpbox")
    parser.add_argument("--folder", type=Path, default=raising.default_folder().parent / DEMO_FOLDER)
    parser.add_argument("--image", type=Path, help="the jumpbox's OVA, instead of the lab's tiny one")
    parser.add_argument(
        "--only-build", action="store_true", help="build and unpack what the lab needs, no more"
    )
    arguments = parser.parse_args(argv)
    phases = tuple(phase for phase in arguments.phases.split(",") if phase)
    try:
        programs.check(phases)
        if arguments.only_build:
            providing.provide(phases or None, _say, live=sys.stdout.isatty())
            return 0
        return _run(arguments.folder.absolute(), phases, arguments.image)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command begins anew, and what was built by then is built\n")
        return STOPPED
    except (PaverError, OSError) as error:
        known = error if isinstance(error, PaverError) else of_disk(error)
        if known is None:
            raise
        sys.stderr.write("\n".join(known.lines()) + "\n")
        return known.exit_code


def _run(folder: Path, phases: tuple[str, ...], image: Path | None) -> int:
    started = time.monotonic()
    if image is not None and not image.is_file():
        raise BadInput(f"there is no image {image}", do="name the OVA that `make image` made")
    refused = namespace.refusal()
    if refused is not None:
        for line in raising.without_namespaces(refused):
            _say(line)
        phases = possible(phases)
    found, tools = providing.provide(phases or None, _say, live=sys.stdout.isatty())
    _say("Raising the lab: two bare ESXi hosts, no DNS, no time, no way out")
    raising.down(folder / "lab")
    site_folder = folder / "site"
    _forget(site_folder)
    root = site.passwords(site_folder, NAME)
    wanted = plan.demo(root)
    isolated = refused is None
    lab = raising.up(wanted, folder / "lab", programs=found, tools=tools, isolated=isolated)
    with raising.or_down(lab):
        demo = site.write(lab, site_folder, image)
    _say(f"The site file is {demo.site}")
    argv = [sys.executable, "-m", "paver", "apply", "--site", str(demo.site), "--yes"]
    for phase in (TRUST, *phases) if phases else ():
        argv += ["--phase", phase]
    code = foreground.run(lab, argv)
    took = time.monotonic() - started
    if code:
        how = "was stopped" if code == STOPPED else "failed"
        _say(f"The demo {how} after {took:.0f} s; the lab is still up: {_hint(lab)}")
        return code
    if refused is not None:
        _say(
            f"That is all that runs without namespaces: {TRUST}, {', '.join(phases)}; nothing behind them was tried"
        )
    _say(f"Done in {took:.0f} s. The lab stays up: {_hint(lab)}")
    return 0


def possible(phases: tuple[str, ...]) -> tuple[str, ...]:
    """Returns which of `phases` (none: all) run where the jumpbox cannot boot.

    Raises:
        BadInput: none of them does.
    """
    found = tuple(phase for phase in WITHOUT_NAMESPACES if not phases or phase in phases)
    if not found:
        raise BadInput(
            f"{', '.join(phases)} cannot run where user namespaces are refused",
            why="the lab's jumpbox does not boot there, and all else comes after it",
            do="allow them, as said above; or `make demo PHASES=hosts`",
        )
    return found


def _forget(folder: Path) -> None:
    """A new lab is a new world: what an earlier demo sealed and journalled is not of it."""
    shutil.rmtree(folder, ignore_errors=True)


def _hint(lab: raising.Lab) -> str:
    """Returns the commands that enter and end the lab, as they can be typed here."""
    script = Path(sys.executable).with_name("paver")
    near = script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
    command = "paver" if shutil.which("paver") == str(script) and not _through_make() else str(near)
    named = "" if raising.standing() == (lab.folder,) else f" --dir {lab.folder}"
    return f"`{command} lab shell{named}` enters it, `{command} lab down{named}` ends it"


def _through_make() -> bool:
    """Returns whether make runs this: its PATH is not the user's."""
    return "MAKELEVEL" in os.environ


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
