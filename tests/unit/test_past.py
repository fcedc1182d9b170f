"""A run that was, told by its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paver.runs import past
from paver.runs.folder import JOURNAL

BEGAN, THEN = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z"
OF_AN_ACTION = {"event": "interrupted", "action": "a", "resource": "memory.box:a/x", "what": "stopped"}
OF_THE_RUN = {"event": "interrupted", "done": 0, "failed": [], "left": 2}


@pytest.mark.parametrize(
    ("lines", "state", "left"),
    [([OF_AN_ACTION], "unfinished", 0), ([OF_AN_ACTION, OF_THE_RUN], "interrupted", 2)],
    ids=["killed after it", "come to its end"],
)
def test_an_action_that_was_stopped_is_not_taken_for_the_end_of_its_run(
    tmp_path: Path, lines: list[dict[str, Any]], state: str, left: int
) -> None:
    written = [{"event": "opened", "time": BEGAN}, *({**line, "time": THEN} for line in lines)]
    (tmp_path / JOURNAL).write_text("".join(f"{json.dumps(line)}\n" for line in written))
    found = past.of(tmp_path)
    assert (found.state, found.left) == (state, left)
