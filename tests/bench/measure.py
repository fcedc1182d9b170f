"""What a measure gives: one row a figure, with the goal that it is held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: in words.
        paver: our median, in `unit`.
        peer: what it is compared with, in `unit`; None where the figure stands for itself.
        against: what the peer is.
        ratio: what the goal is about; None where nothing is compared.
        goal: what the ratio may be at most; None where the figure is told only.
        unit: of `paver` and `peer`.
        runs: how many pairs it is the median of.
    """

    what: str
    paver: float
    peer: float | None
    against: str
    ratio: float | None
    goal: float | None
    unit: str = "s"
    runs: int = 1

    @property
    def ok(self) -> bool:
        """True where the goal is met, or there is none."""
        return self.goal is None or (self.ratio is not None and self.ratio <= self.goal)

    def document(self) -> dict[str, Any]:
        """Returns the row for JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class Ground:
    """Where measures may work.

    Attributes:
        folder: an own one, empty, in memory if there is enough.
        disk: the same, on disk.
        rounds: pairs of runs; a slow measure may make fewer.
        say: tells whoever waits what is being done.
    """

    folder: Path
    disk: Path
    rounds: int
    say: Callable[[str], None]
