"""A run off a terminal: one clean line an event, with the time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from paver.errors import one_line
from paver.runs.events import BETWEEN, Happening

SHOWN = {"begun": "…", "done": "✓", "skipped": "·", "failed": "✗"}


class Lines:
    """Writes events as lines, one each; progress within an action only when it turned to something new.

    Args:
        write: takes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._take = write
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
        if event.what in BETWEEN:
            self._write(f"{clock} {_between(event)}")
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

    def _write(self, text: str) -> None:
        # An id may come from a mark that others wrote; words were made one line where they came in.
        self._take(one_line(text))


def _between(event: Happening) -> str:
    return {
        "handed-off": "→ the run goes on on the jumpbox",
        "returned": "← back from the jumpbox",
        "unheard": f"! {event.text}: connecting anew, the run there goes on",
        "heard": f"← the {event.station} is heard again",
    }[event.what]
