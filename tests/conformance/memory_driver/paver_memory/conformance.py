"""What holds the memory driver: its wish, other wishes, and how somebody else changes the room.

It needs `paver.runs` beside `paver.driver`, as a driver's tests may.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paver.driver import resource_id
from paver.runs.conformance import Drift, Subject
from paver.runs.workbench import Engine

from . import DRIVER, Settings, wish

BOX, DIAL = resource_id("memory.box", "a/x"), resource_id("memory.dial", "heat")


@contextlib.contextmanager
def subject(folder: Path) -> Iterator[Subject]:
    """Gives the driver in a room of its own."""
    room = folder / "room"
    room.mkdir()

    def wished(size: int, heat: int) -> Settings:
        return Settings(
            folder=str(room), shelves={"a": {"x": size, "y": 4}, "b": {"z": 1}}, dials={"heat": heat}
        )

    def listing() -> dict[str, object]:
        found = {path.name: json.loads(path.read_text()) for path in room.iterdir() if path.name != "trace"}
        return {name: things for name, things in found.items() if things}

    def writes() -> int:
        trace = room / "trace"
        return len(trace.read_text().splitlines()) if trace.exists() else 0

    def change(shelf: str, name: str, **values: Any) -> None:
        things = json.loads((room / shelf).read_text())
        things[name].update(values)
        (room / shelf).write_text(json.dumps(things))

    yield Subject(
        kinds=DRIVER.kinds,
        under=Engine(folder),
        wish=wish(wished(3, 7)),
        other=wish(wished(5, 8)),
        drift=(
            Drift(BOX, lambda: change("a", "x", size=99)),
            Drift(DIAL, lambda: change("dials", "heat", value=1)),
        ),
        listing=listing,
        writes=writes,
    )
