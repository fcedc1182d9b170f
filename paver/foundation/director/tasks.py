"""What a director does takes tasks: asked for, followed to the end, their failure told in its words.

A run that was killed finds again what it began, instead of asking for it twice. A deployment's task is asked for under the
action's id, BOSH's context id, which its database keeps. It keeps that of deployments alone (bosh, api/controllers:
deployments_controller.rb hands `@current_context_id` on; those of releases, stemcells and the clean-up do not), so all others
are found by what the director calls them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from paver.driver import Interrupted, PaverError, Writer
from paver.transport.http import Answer

SOONEST, LATEST = 0.01, 2.0
"""Seconds between two looks at a task: a tenth of what it took until now, within these bounds."""
ENDED = frozenset({"done", "error", "cancelled", "timeout"})
_UNFINISHED = "queued,processing,cancelling"
_LOOKED_BACK = "100"
_ABSENT = 404
_LOCKED = "Failed to acquire lock for lock:deployment:"
_LOCK_SECONDS = 300.0
"""Within which a deployment that another task holds is asked for again: of a director that died a lock stays for four minutes
(bosh, lock.rb, `expiration`)."""


class TaskError(PaverError):
    """A task did not end well."""


def follow(world: Writer, director: Any, answer: Answer, doing: str) -> str:
    """Follows the task that `answer` leads to; returns its result.

    Raises:
        TaskError: if it did not end well, with the director's last words.
        Interrupted: if the user stopped; the task goes on.
    """
    place = answer.headers.get("location", "")
    number = place.rstrip("/").rpartition("/")[2]
    if not number.isdigit():
        raise PaverError(f"the director named no task for {doing}", seen=f"{answer.status} {place}")
    return _followed(world, director, number, doing)


def context(world: Writer) -> dict[str, str]:
    """Returns the header by which a deployment's task bears this action's id."""
    return {"X-Bosh-Context-Id": world.mark(complete=False).action}


def resumed(world: Writer, director: Any, entry: Mapping[str, Any] | None, doing: str) -> bool:
    """Follows a deployment's task that an earlier run left; returns whether there was one, and it ended well.

    Args:
        world: for progress and interrupts.
        director: a session.
        entry: of the ledger: the action that was begun and not completed.
        doing: what the task does.

    Raises:
        Interrupted: if the user stopped; the task goes on.
    """
    if entry is None or entry["complete"]:
        return False
    asked = {"context_id": str(entry["action"]), "verbose": "2", "limit": "1"}
    found: Any = director.get("/tasks", params=asked).json()
    if not found:
        return False
    try:
        _followed(world, director, str(found[0]["id"]), doing)
    except TaskError as error:
        world.report(f"{error.what}: asking again")
        return False
    return True


def await_unfinished(world: Writer, director: Any, *called: str) -> None:
    """Follows all tasks of these descriptions that have not ended, however they end: one may be of an earlier run.

    Raises:
        Interrupted: if the user stopped; the tasks go on.
    """
    _await(world, director, [task for task in _unfinished(director) if task["description"] in called])


def await_all(world: Writer, director: Any) -> None:
    """Follows whatever the director is doing for anybody at this moment, however that ends.

    Raises:
        Interrupted: if the user stopped; the tasks go on.
    """
    _await(world, director, _unfinished(director))


def alone(world: Writer, director: Any, deployment: str, doing: str, ask: Callable[[], Answer]) -> None:
    """Asks for a task at a deployment and follows it; one that others began there is awaited first.

    A task does not wait for another one of its deployment, it fails after ten seconds (bosh, lock_helper.rb). Others are a
    person's, a pipeline's, and the health monitor's: it has VMs made anew whose agents are silent, a minute after a
    director came up whose authority for agents is another one (bosh-monitor, plugins/resurrector.rb).

    Args:
        world: for progress and interrupts.
        director: a session.
        deployment: its name.
        doing: what the task does.
        ask: asks for it; a 404 is an answer, too, and there is nothing to follow then.

    Raises:
        TaskError: if it did not end well.
        Interrupted: if the user stopped; the task goes on.
    """
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        _await(world, director, _unfinished(director, deployment=deployment))
        answer = ask()
        if answer.status == _ABSENT:
            return
        try:
            follow(world, director, answer, doing)
        except TaskError as error:
            if not error.seen.startswith(_LOCKED) or time.monotonic() > end:
                raise
            world.report(f"{doing}: {error.seen}: asking again")
        else:
            return


def _unfinished(director: Any, **of: str) -> Any:
    return director.get("/tasks", params={"state": _UNFINISHED, "verbose": "2", **of}).json()


def _await(world: Writer, director: Any, found: Iterable[Any]) -> None:
    for task in sorted(found, key=lambda task: int(task["id"])):
        try:
            _followed(world, director, str(task["id"]), str(task["description"]))
        except TaskError as error:
            world.report(error.what)


def latest(director: Any, *called: str) -> Iterator[tuple[str, str | None]]:
    """Yields the latest tasks of these descriptions, the latest first: description, and result if it ended well.

    The director keeps some thousands, and lists without `verbose` those alone that change something.
    """
    found: Any = director.get("/tasks", params={"limit": _LOOKED_BACK}).json()
    for task in found:
        if task["description"] in called:
            yield str(task["description"]), str(task["result"]) if task["state"] == "done" else None


def _followed(world: Writer, director: Any, number: str, doing: str) -> str:
    begun, told = time.monotonic(), ""
    while True:
        task: Any = director.get(f"/tasks/{number}").json()
        if task["state"] in ENDED:
            break
        stage = _stage(director, number) or task["state"]
        if stage != told:
            told = stage
            world.report(f"{doing}: task {number} {stage}")
        if world.stopping():
            raise Interrupted(f"stopped following task {number} ({doing}); the director goes on with it")
        time.sleep(min(max((time.monotonic() - begun) / 10, SOONEST), LATEST))
    if task["state"] != "done":
        raise TaskError(
            f"{doing}: the director's task {number} ended in {task['state']}",
            seen=str(task.get("result") or "")[:600],
            why="nothing was heard of it for three minutes, as when the director is restarted"
            if task["state"] == "timeout"
            else "",
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
