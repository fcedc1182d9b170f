"""The memory driver's room in tests: what is wished for in it, what stands there, what a run of it left behind."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from paver.driver import Paved
from paver.engine.plan import Plan
from paver.engine.planner import Request
from paver.runs.workbench import Engine
from paver.signing import chain
from tests.support.memory import memory


def wish(room: Path, **settings: Any) -> Paved:
    paved: Paved = memory.wish(memory.Settings(folder=str(room), **settings))
    return paved


def things(room: Path, shelf: str = "a") -> dict[str, Any]:
    """Returns what stands on a shelf."""
    found: dict[str, Any] = json.loads((room / shelf).read_text())
    return found


def made_to_leave(folder: Path, paved: Paved) -> tuple[Engine, Plan]:
    """Returns an engine by which `paved` stands, and its plan to take that away."""
    engine = Engine(folder)
    engine.apply(paved)
    return engine, engine.plan(paved, Request(mode="destroy"))


def journal_of(folder: Path, before: Collection[Path] = ()) -> list[dict[str, Any]]:
    """Returns the lines of the one journal that is there beside those of `before`: two may bear the same time."""
    (path,) = {*folder.glob("journal-*")} - {*before}
    chain.verify(path.read_bytes())
    return [json.loads(line) for line in path.read_bytes().splitlines()]
