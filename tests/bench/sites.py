"""Labs of many hosts, each with a site that has them all; calls to their hosts take as long as a measure wants."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paver.lab import build, control, plan, raising, site, system
from tests.bench.process import Command, python, run

_HTTP = ("GET", "HEAD", "PUT", "POST", "DELETE")


@dataclass(frozen=True)
class Site:
    """A lab that is up, and the folder of its site."""

    lab: raising.Lab
    folder: Path

    def paver(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Command:
        """Returns a command of paver in the lab."""
        inside = self.lab.argv([*python("-m", "paver"), *arguments], cwd=self.folder)
        environment = {**self.lab.environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
        return Command(tuple(inside), environment, self.folder, codes)

    def delay(self, milliseconds: int) -> None:
        """Lets every call to a host take so long from now on."""
        steering = self.lab.folder / "run" / "esx.control.sock"
        control.call(steering, "DELETE", "/faults")
        for method in ("*", *(f"{verb} /folder" for verb in _HTTP)) if milliseconds else ():
            rule = {"server": "", "method": method, "times": -1, "delay_ms": milliseconds}
            control.call(steering, "POST", "/fault", rule)


@contextlib.contextmanager
def raised(folder: Path, hosts: int) -> Iterator[Site]:
    """Raises a lab of so many hosts with a site whose trust material is made, and takes it down."""
    folder.mkdir()
    programs = build.build(["vsim"])
    tools = dict(system.provide(system.survey()))
    passwords = site.passwords(folder / "site", "lab-north", hosts)
    try:
        lab = raising.up(plan.demo(passwords, hosts=hosts), folder / "lab", programs=programs, tools=tools)
        site.write(lab, folder / "site")
        made = Site(lab, folder / "site")
        run(made.paver("apply", "--phase", "trust", "--yes", "--progress", "none"))
        yield made
    finally:
        raising.down(folder / "lab")
