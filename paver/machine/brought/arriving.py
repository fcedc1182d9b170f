"""Large files on their way: told of as they come, and given up where whoever runs paver wants to stop."""

from __future__ import annotations

from paver.driver import Interrupted, Writer
from paver.transport.context import Progress


def progress(world: Writer, doing: str) -> Progress:
    """Returns what is told how many bytes of a file came, and of how many; `doing` says of which, and from or to where.

    It raises `Interrupted` where the run is to stop: an ISO takes minutes to hours, and half a one is of no use.
    """

    def step(done: int, total: int) -> None:
        if world.stopping():
            raise Interrupted(
                f"stopped while {doing}",
                seen=f"{done} of {total} bytes came, and are not kept",
                do="run the same command again: it begins anew",
            )
        world.report(doing, done, total, "B")

    return step
