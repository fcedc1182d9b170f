"""What paver takes before it does anything, against an interpreter that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Ground, Row
from tests.bench.process import Command, alternate, python

_ROUNDS = 5
"""Times as many pairs as elsewhere: each takes milliseconds."""


def measure(ground: Ground) -> Iterator[Row]:
    """Yields `--version` and `--help`."""
    paver = str(Path(sys.executable).with_name("paver"))
    rounds = ground.rounds * _ROUNDS
    nothing = Command(python("-c", "pass"))
    for option, goal in (("--version", 2.0), ("--help", 3.5)):
        found = alternate(Command((paver, option)), nothing, rounds)
        yield Row(
            f"paver {option}", found.median, found.peer, "python -c pass", found.ratio, goal, runs=rounds
        )
