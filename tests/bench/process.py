"""A whole process, measured: from its start until it is reaped, start-up and imports included."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from paver.errors import PaverError


@dataclass(frozen=True)
class Ran:
    """One run of a process: seconds of the clock, MiB at its largest."""

    wall: float
    peak: float


@dataclass(frozen=True)
class Command:
    """What is run; an exit code that is not among `codes` ends the measuring."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    codes: tuple[int, ...] = (0,)


def run(command: Command) -> Ran:
    """Runs a command to its end, its output thrown away.

    Raises:
        PaverError: it ended otherwise than it should; its last words are shown.
    """
    # Into a file: a pipe would have to be read meanwhile, by a process that takes a part of the machine.
    with (Path(os.devnull)).open("wb") as sink, _Words() as words:
        started = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            env=None if command.environment is None else dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=words.descriptor,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in command.codes:
            raise PaverError(
                f"{Path(command.argv[0]).name} ended with {process.returncode} while it was measured",
                seen="\n".join([" ".join(command.argv[1:])[:300], words.text()]),
            )
    return Ran(wall, usage.ru_maxrss / 1024)


class _Words:
    """What a process says on its error output, kept in memory."""

    def __enter__(self) -> Self:
        self.descriptor = os.memfd_create("words")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def text(self) -> str:
        size = os.fstat(self.descriptor).st_size
        return os.pread(self.descriptor, 2000, max(0, size - 2000)).decode(errors="replace")


@dataclass(frozen=True)
class Pairs:
    """Runs of two commands in turn."""

    ours: tuple[Ran, ...]
    theirs: tuple[Ran, ...]

    @property
    def median(self) -> float:
        """Our median, in seconds."""
        return statistics.median(run.wall for run in self.ours)

    @property
    def peer(self) -> float:
        """The peer's median, in seconds."""
        return statistics.median(run.wall for run in self.theirs)

    @property
    def ratio(self) -> float:
        """The median of the ratios, pair by pair: it holds where the machine's speed drifts."""
        return statistics.median(
            ours.wall / theirs.wall for ours, theirs in zip(self.ours, self.theirs, strict=True)
        )

    @property
    def peak(self) -> float:
        """Our largest, in MiB."""
        return max(run.peak for run in self.ours)


def alternate(
    ours: Command,
    theirs: Command,
    rounds: int,
    *,
    after: Callable[[], object] = lambda: None,
    after_pair: Callable[[], object] = lambda: None,
    warm: bool = True,
) -> Pairs:
    """Runs two commands in turn, A B A B; the first pair is not counted.

    Args:
        ours: A.
        theirs: B.
        rounds: pairs that count.
        after: called after every run, outside of its time.
        after_pair: called after every pair.
        warm: False where a first pair would only cost time.
    """
    pairs: list[tuple[Ran, Ran]] = []
    for _ in range(rounds + warm):
        one = run(ours)
        after()
        other = run(theirs)
        after()
        after_pair()
        pairs.append((one, other))
    counted = pairs[warm:]
    return Pairs(tuple(one for one, _ in counted), tuple(other for _, other in counted))


def python(*arguments: str) -> tuple[str, ...]:
    """Returns the command that runs this interpreter."""
    return (sys.executable, *arguments)
