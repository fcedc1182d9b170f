"""The phase *hosts* on 64 hosts against one, where a call takes 50 ms."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import sites
from tests.bench.measure import Ground, Row
from tests.bench.process import alternate, run

CALL_MS = 50
MANY = 64
GOAL = 1.5


def measure(ground: Ground) -> Iterator[Row]:
    """Yields the one figure."""
    ground.say(f"raising a lab of {MANY} hosts")
    with sites.raised(ground.disk / "1", 1) as one, sites.raised(ground.disk / str(MANY), MANY) as many:
        both = (one, many)
        for site in both:
            site.delay(CALL_MS)

        def bare_again() -> None:
            for site in both:
                site.delay(0)
                run(site.paver("destroy", "--phase", "hosts", "--yes", "--progress", "none"))
                site.delay(CALL_MS)

        ground.say(f"apply of {MANY} hosts")
        made = ("apply", "--phase", "hosts", "--yes", "--progress", "none")
        rounds = max(3, ground.rounds // 2)
        found = alternate(many.paver(*made), one.paver(*made), rounds, after_pair=bare_again)
        yield Row(
            f"apply of {MANY} hosts, {CALL_MS} ms a call",
            found.median,
            found.peer,
            "apply of 1 host",
            found.ratio,
            GOAL,
            runs=rounds,
        )
