"""What a director does takes tasks: asked for, followed to the end, their failure told in its words."""

from __future__ import annotations

import json
import time
from typing import Any

from paver.driver import Interrupted, PaverError, Writer
from paver.transport.http import Answer

POLL = 0.2
ENDED = frozenset({"done", "error", "cancelled", "timeout"})


def follow(world: Writer, director: Any, answer: Answer, doing: str) -> str:
    """Follows the task that `answer` leads to; returns its result.

    Raises:
        PaverError: if it did not end well, with the director's last words.
        Interrupted: if the user stopped; the task goes on.
    """
    place = answer.headers.get("location", "")
    number = place.rstrip("/").rpartition("/")[2]
    if not number.isdigit():
        raise PaverError(f"the director named no task for {doing}", seen=f"{answer.status} {place}")
    while True:
        task: Any = director.get(f"/tasks/{number}").json()
        if task["state"] in ENDED:
            break
        world.report(f"{doing}: task {number} {_stage(director, number) or task['state']}")
        if world.stopping():
            raise Interrupted(f"stopped following task {number} ({doing}); the director goes on with it")
        time.sleep(POLL)
    if task["state"] != "done":
        raise PaverError(
            f"{doing}: the director's task {number} ended in {task['state']}",
            seen=str(task.get("result", ""))[:600],
            do=f"`bosh task {number} --debug` has all of it; the same paver command tries again",
        )
    return str(task.get("result", ""))


def _stage(director: Any, number: str) -> str:
    events = director.get(f"/tasks/{number}/output", params={"type": "event"}, expect=(204,)).text
    for line in reversed(events.splitlines()):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        return f"{event.get('stage', '')}: {event.get('task', '')}".strip(": ")
    return ""
