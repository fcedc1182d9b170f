"""The director's tasks: each runs in a thread of its own and leaves events, a debug log and a result.

Two tasks of one deployment never run at once: the second fails if the first does not end soon. A task that ran when its director died stays as it
was: nobody ends it at the next start (bosh, bin/bosh-director), and whoever looks at it after a while without a sign of it
finds that its time is up (api/controllers/tasks_controller.rb, `task_timeout?`).
"""

from __future__ import annotations

import json
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.lab.standins.director_state import State

SILENCE = 3.0
"""Seconds without a sign of a task after which it is given up; the real director takes 180."""
LOCKED = 10.0
"""Seconds for which a task waits for another one of its deployment (bosh, lock_helper.rb, `with_deployment_lock`)."""
_KINDS = frozenset({"event", "debug", "result", "cpi"})


class TaskError(Exception):
    """Ends a task with the director's code and words."""

    def __init__(self, code: int, message: str) -> None:
        """Takes what the CLI prints."""
        super().__init__(message)
        self.code = code


@dataclass
class Task:
    """One task's outputs."""

    identity: int
    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, kind: str, text: str) -> None:
        """Appends to an output."""
        with self.lock, (self.folder / kind).open("a", encoding="utf-8") as file:
            file.write(text)

    def debug(self, text: str) -> None:
        """Appends a line to the debug log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        self.write("debug", f"I, [{stamp}] [task:{self.identity}] INFO -- DirectorJobRunner: {text}\n")

    @contextmanager
    def step(self, stage: str, task: str, index: int = 1, total: int = 1) -> Iterator[None]:
        """Marks a step's start and end in the event log."""
        self._event(stage, task, index, total, "started", 0)
        try:
            yield
        except Exception as error:
            self._event(stage, task, index, total, "failed", 100, {"error": str(error)})
            raise
        self._event(stage, task, index, total, "finished", 100)

    def _event(
        self, stage: str, task: str, index: int, total: int, state: str, progress: int, data: Any = None
    ) -> None:
        line = {
            "time": int(time.time()),
            "stage": stage,
            "tags": [],
            "total": total,
            "task": task,
            "index": index,
            "state": state,
            "progress": progress,
        }
        self.write("event", json.dumps(line | ({"data": data} if data else {})) + "\n")
        self.debug(f"{stage}: {task} {state}")


@dataclass
class Tasks:
    """All tasks, running and past."""

    state: State
    _deployments: dict[str, threading.Lock] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    _asked: float = 0.0
    _left: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """What ran when the director died is nobody's now. What was queued would run; here it is lost."""
        with self.state.changing() as data:
            for task in data["tasks"]:
                if task["state"] == "queued":
                    task["state"], task["result"] = "error", "Director was restarted"
            self._left = frozenset(task["id"] for task in data["tasks"] if task["state"] == "processing")

    def begin(
        self,
        description: str,
        user: str,
        action: Callable[[Task], str],
        deployment: str = "",
        context: str = "",
    ) -> int:
        """Starts `action` in a thread; its return value is the task's short result. Returns the task's id."""
        now = int(time.time())
        with self.state.changing() as data:
            identity = len(data["tasks"]) + 1
            data["tasks"].append(
                {
                    "id": identity,
                    "state": "queued",
                    "description": description,
                    "user": user,
                    "deployment": deployment or None,
                    "started_at": now,
                    "timestamp": now,
                    "result": None,
                    "context_id": context,
                }
            )
        folder = self.state.folder / "tasks" / str(identity)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for kind in _KINDS:
            (folder / kind).touch(mode=0o600)
        task = Task(identity, folder)
        threading.Thread(target=self._run, args=(task, action, deployment), daemon=True).start()
        return identity

    def get(self, identity: int) -> dict[str, Any] | None:
        """A task as the API shows it."""
        self._give_up()
        with self.state.lock:
            tasks = self.state.data["tasks"]
            return dict(tasks[identity - 1]) if 0 < identity <= len(tasks) else None

    def all(self) -> list[dict[str, Any]]:
        """All tasks, newest first."""
        self._give_up()
        with self.state.lock:
            return [dict(task) for task in reversed(self.state.data["tasks"])]

    def output(self, identity: int, kind: str) -> bytes:
        """An output so far."""
        path = self.state.folder / "tasks" / str(identity) / (kind if kind in _KINDS else "event")
        return path.read_bytes() if path.is_file() else b""

    def _give_up(self) -> None:
        if not self._left:
            return
        self._asked = self._asked or time.monotonic()
        if time.monotonic() - self._asked < SILENCE:
            return
        with self.state.changing() as data:
            for identity in self._left:
                data["tasks"][identity - 1]["state"] = "timeout"
            self._left = frozenset()

    def _run(self, task: Task, action: Callable[[Task], str], deployment: str) -> None:
        self._set(task, "processing", None)
        try:
            with self._alone(task, deployment):
                result = action(task)
        except Exception as error:  # noqa: BLE001 - a task ends with every error that is thrown in it
            code = error.code if isinstance(error, TaskError) else getattr(error, "code", 100)
            line = {"time": int(time.time()), "error": {"code": code, "message": str(error)}}
            task.write("event", json.dumps(line) + "\n")
            task.debug("".join(traceback.format_exception(error)))
            self._set(task, "error", str(error))
        else:
            self._set(task, "done", result)

    @contextmanager
    def _alone(self, task: Task, deployment: str) -> Iterator[None]:
        """Keeps other tasks from a deployment; raises TaskError if one does not end in time."""
        if not deployment:
            yield
            return
        with self.state.lock:
            lock = self._deployments.setdefault(deployment, threading.Lock())
        if not lock.acquire(timeout=LOCKED):
            raise TaskError(100, self._held(deployment))
        self.locked[deployment] = task.identity
        try:
            yield
        finally:
            self.locked.pop(deployment, None)
            lock.release()

    def _held(self, deployment: str) -> str:
        holder = self.get(self.locked.get(deployment, 0))
        by = (
            f"Locking task id is {holder['id']}, description: '{holder['description']}'"
            if holder is not None
            else "Lock is gone"
        )
        return f"Failed to acquire lock for lock:deployment:{deployment} uid: {uuid.uuid4()}. {by}"

    def _set(self, task: Task, state: str, result: str | None) -> None:
        with self.state.changing() as data:
            entry = data["tasks"][task.identity - 1]
            entry["state"], entry["timestamp"], entry["result"] = state, int(time.time()), result
