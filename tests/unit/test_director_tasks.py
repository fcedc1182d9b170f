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
