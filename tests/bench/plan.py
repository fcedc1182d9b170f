"""The plan of a finished site of 8 and 64 hosts against that of one host, where a call takes 20 ms."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import sites
from tests.bench.measure import Ground, Row
from tests.bench.process import alternate, run

CALL_MS = 20
MANY = (8, 64)
GOAL = 3.0
_PHASES = ("--phase", "trust", "--phase", "hosts")


def measure(ground: Ground) -> Iterator[Row]:
    """Yields a row a size."""
    with sites.raised(ground.disk / "1", 1) as one:
        _finished(one)
        for hosts in MANY:
            ground.say(f"raising a lab of {hosts} hosts")
            with sites.raised(ground.disk / str(hosts), hosts) as many:
                _finished(many)
                ground.say(f"plan of {hosts} hosts")
                found = alternate(many.paver("plan", *_PHASES), one.paver("plan", *_PHASES), ground.rounds)
                yield Row(
                    f"plan of {hosts} hosts, {CALL_MS} ms a call",
                    found.median,
                    found.peer,
                    "plan of 1 host",
                    found.ratio,
                    GOAL,
                    runs=len(found.ours),
                )


def _finished(site: sites.Site) -> None:
    run(site.paver("apply", *_PHASES, "--yes", "--progress", "none"))
    site.delay(CALL_MS)
