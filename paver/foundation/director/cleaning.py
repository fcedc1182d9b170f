"""`bosh clean-up --all`: what no deployment uses goes from the director, and out of the IaaS."""

from __future__ import annotations

from typing import Any

from paver.driver import Endpoint, Writer
from paver.foundation.director import tasks

CALL = "POST /cleanup"
_CALLED = "clean up all"


def clean_up(world: Writer, at: Endpoint[Any, Any]) -> None:
    """Has the director delete orphaned disks, stemcells and releases: without it they stay in the IaaS for ever.

    One that an earlier run asked for is awaited first: two get in each other's way, and the second fails.

    Raises:
        TaskError: if it did not end well.
        Interrupted: if the user stopped; the task goes on.
    """
    director = world.writing(at)
    tasks.await_unfinished(world, director, _CALLED)
    answer = director.post("/cleanup", call=CALL, json={"config": {"remove_all": True}}, expect=(302,))
    tasks.follow(world, director, answer, "bosh clean-up --all")
