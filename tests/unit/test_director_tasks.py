"""Following a director's task, by a director that answers from a list."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from typing import Any

import pytest

from paver.foundation.director import tasks

STAGES = ("Compiling", "Compiling", "Compiling", "Updating")


@dataclasses.dataclass
class Answer:
    body: Any = None
    text: str = ""
    status: int = 302
    headers: dict[str, str] = dataclasses.field(default_factory=lambda: {"location": "/tasks/7"})

    def json(self) -> Any:
        return self.body


class Director:
    """Its task goes through `STAGES`, one a look, then it is done."""

    def __init__(self) -> None:
        self._looks = iter(STAGES)
        self._stage = ""

    def get(self, path: str, **_: object) -> Answer:
        if path.endswith("/output"):
            return Answer(text=json.dumps({"stage": self._stage, "task": ""}))
        self._stage = next(self._looks, "")
        return Answer({"state": "processing" if self._stage else "done", "result": "made"})


class World:
    def __init__(self) -> None:
        self.told: list[str] = []

    def report(self, text: str) -> None:
        self.told.append(text)

    def stopping(self) -> bool:
        return False


def _followed(monkeypatch: pytest.MonkeyPatch, hours: float) -> tuple[list[str], list[float]]:
    """Returns what was told, and how long it waited before each look, of a task whose looks lie so far apart."""
    waited: list[float] = []
    clock = (hours * 3600 * count for count in itertools.count())
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", waited.append)
    world: Any = World()
    answer: Any = Answer()
    assert tasks.follow(world, Director(), answer, "deploying") == "made"
    return world.told, waited


def test_a_stage_is_told_once_however_often_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told, _ = _followed(monkeypatch, 0)
    assert told == ["deploying: task 7 Compiling", "deploying: task 7 Updating"]


def test_the_end_of_a_short_task_is_seen_soon_and_a_long_one_is_not_asked_for_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, short = _followed(monkeypatch, 0)
    _, long = _followed(monkeypatch, 1)
    assert set(short) == {tasks.SOONEST}
    assert set(long) == {tasks.LATEST}


HELD = "Failed to acquire lock for lock:deployment:registry uid: 5e0c. Locking task id is 3, description: 'scan and fix'"


class Busy:
    """A director at one of whose deployments others are; the tasks that it is asked for end as `ends` says."""

    def __init__(self, unfinished: list[dict[str, Any]], ends: list[tuple[str, str]]) -> None:
        self.unfinished, self.ends = unfinished, iter(ends)
        self.did: list[str] = []

    def get(self, path: str, *, params: Any = None, **_: object) -> Answer:
        if path == "/tasks":
            assert params["deployment"] == "registry"
            found, self.unfinished = self.unfinished, []
            return Answer(found)
        if path.endswith("/output"):
            return Answer()
        self.did.append(path)
        state, result = ("done", "") if path == "/tasks/3" else next(self.ends)
        return Answer({"state": state, "result": result})

    def ask(self) -> Answer:
        self.did.append("asked")
        return Answer()


def test_what_others_do_with_a_deployment_is_awaited_before_anything_is_asked_of_it() -> None:
    world: Any = World()
    busy: Any = Busy([{"id": 3, "description": "scan and fix"}], [("done", "")])
    tasks.alone(world, busy, "registry", "deploying", busy.ask)
    assert busy.did == ["/tasks/3", "asked", "/tasks/7"]


def test_a_deployment_that_others_took_a_moment_before_is_asked_for_again() -> None:
    world: Any = World()
    busy: Any = Busy([], [("error", HELD), ("error", HELD), ("done", "")])
    tasks.alone(world, busy, "registry", "deploying", busy.ask)
    assert busy.did.count("asked") == 3
    assert f"deploying: {HELD}: asking again" in world.told


@pytest.mark.parametrize(
    ("told", "seconds"), [("'registry' is not running after update", 0.0), (HELD, 600.0)]
)
def test_a_deployment_that_fails_otherwise_or_that_others_do_not_let_go_of_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, told: str, seconds: float
) -> None:
    world: Any = World()
    busy: Any = Busy([], [("error", told)])
    clock = (seconds * count for count in itertools.count())
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(tasks.TaskError) as failed:
        tasks.alone(world, busy, "registry", "deploying", busy.ask)
    assert failed.value.seen == told
    assert busy.did.count("asked") == 1
