"""A run off a terminal: one clean line an event, with the time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from paver.runs.events import Happening

SHOWN = {"begun": "…", "done": "✓", "skipped": "·", "failed": "✗", "handed-off": "→", "returned": "←"}


class Lines:
    """Writes events as lines; progress within an action only when it turned to something new.

    Args:
        write: takes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._doing: dict[str, str] = {}

    def __call__(self, event: Happening) -> None:
        """Shows one event."""
        clock = dt.datetime.fromtimestamp(event.at, dt.UTC).strftime("%H:%M:%S")
        if event.what == "doing":
            if self._doing.get(event.resource) == event.text:
                return
            self._doing[event.resource] = event.text
            self._write(f"{clock}   {event.resource}: {event.text}")
            return
        if event.what == "handed-off":
            self._write(f"{clock} → the run goes on on the jumpbox")
            return
        if event.what == "returned":
            self._write(f"{clock} ← back from the jumpbox")
            return
        took = f"  {event.millis / 1000:.1f} s" if event.what in {"done", "failed"} and event.millis else ""
        said = (
            f"  {event.text}"
            if event.text
            else f"  {event.says}"
            if event.says and event.what == "begun"
            else ""
        )
        self._write(f"{clock} {SHOWN[event.what]} {event.verb} {event.resource}{said}{took}")
