"""What a lab is raised with: said beforehand, then unpacked and built."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from paver.lab import build, programs, system

Say = Callable[[str], None]


def provide(
    phases: Iterable[str] | None, say: Say, *, live: bool = False
) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    """Says what will be built and unpacked, does it, and returns programs and tools.

    Args:
        phases: which ones the lab is for; None means all.
        say: is told a line at a time.
        live: standard output is a terminal, on which one line may change while a program is built.
    """
    wanted = programs.required(phases)
    survey = system.survey()
    for line in survey.lines():
        say(line)
    estimate = build.estimate(wanted)
    if estimate.missing:
        say(
            f"building from source, once: {', '.join(estimate.missing)} with {estimate.toolchain};"
            f" about {estimate.seconds // 60 + 1} min on 2 cores, up to {estimate.megabytes / 1000:.1f} GB of disk"
        )
    tools = system.provide(survey)
    return build.build(wanted, progress=_Building(say, live=live)), tools


class _Building:
    """Tells how a build goes: once when a program begins, once when it is built, and in between where it is live."""

    def __init__(self, say: Say, *, live: bool) -> None:
        self._say = say
        self._live = live
        self._told: set[tuple[str, str]] = set()

    def __call__(self, progress: build.Progress) -> None:
        if progress.state == "cached":
            return
        text = f"  [{progress.index}/{progress.total}] {progress.program}: {progress.state}"
        if progress.state == "building" and self._live:
            sys.stdout.write(f"\r{text} {progress.elapsed:.0f} of about {progress.expected} s\x1b[K")
            sys.stdout.flush()
            return
        if (progress.program, progress.state) in self._told:
            return
        self._told.add((progress.program, progress.state))
        if progress.state == "building":
            self._say(f"{text}, about {progress.expected} s")
        elif progress.state == "waiting":
            self._say(f"{text} for another process that builds it, about {progress.expected} s")
        else:
            # On a terminal over the line that counted, which may have been longer.
            before, after = ("\r", "\x1b[K") if self._live else ("", "")
            self._say(f"{before}{text} in {progress.elapsed:.0f} s{after}")
