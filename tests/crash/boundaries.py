"""The boundaries of a journal: before and after each of its lines, by names that hold from life to life."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from paver.engine.values import kind_of

SIDES = ("before", "after")
# What the world numbers anew in each life: managed objects, versions, digests, UUIDs.
_NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,}|\d+")


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a journal, as far as it is the same in each life.

    Attributes:
        station: whose journal it stands in.
        verb: of the action that it is about; "implied" where that went with what it was in.
        event: what it says.
        resource: which one it is about; of one that was found done the kind alone.
        call: the call that it announces.
        target: of the call, without numbers.
        following: the call that the action made before this one. It tells a mark that is begun from one that is
            complete, and a run that goes on from one that begins.
    """

    station: str
    verb: str
    event: str
    resource: str
    call: str = ""
    target: str = ""
    following: str = ""

    def __str__(self) -> str:
        following = f"(following {self.following})" if self.following else ""
        words = (self.station, self.verb, self.event, self.resource, self.call, self.target, following)
        return " ".join(word for word in words if word)

    @property
    def alike(self) -> tuple[str, ...]:
        """What lines of other resources of the same kind have in common with it."""
        return self.station, self.verb, self.event, kind_of(self.resource), self.call


class Reader:
    """Reads one journal, line by line.

    Args:
        station: whose journal it is.
    """

    def __init__(self, station: str) -> None:
        self._station = station
        self._begun: dict[str, tuple[str, str]] = {}
        self._last: dict[str, str] = {}

    def line(self, event: str, fields: Mapping[str, Any]) -> Line:
        """Returns the next line."""
        action, resource = str(fields.get("action", "")), str(fields.get("resource", ""))
        if event == "begun":
            self._begun[action] = str(fields["verb"]), resource
        verb, about = self._begun.get(action, ("", resource))
        if event == "skipped":
            about = kind_of(about)
        if fields.get("implied"):
            verb = "implied"
        if event != "call":
            return Line(self._station, verb, event, about)
        # Files go over together, in any order, before anything is begun.
        following = self._last.get(action, "") if about else ""
        call, target = str(fields["call"]), _NUMBERS.sub("#", str(fields["target"]))
        self._last[action] = call
        return Line(self._station, verb, event, about, call, target, following)


def lines(station: str, journal: str) -> Iterator[Line]:
    """Yields the lines of a whole journal."""
    reader = Reader(station)
    for text in journal.splitlines():
        record = json.loads(text)
        yield reader.line(record["event"], record)
