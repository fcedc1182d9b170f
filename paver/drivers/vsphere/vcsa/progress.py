"""What vCenter's installer says, as events. Pure.

It writes a log, one message a line, and an output that is cut into lines of one width in mid-token. Both are
read the same way: line breaks are taken out, patterns are looked for in what is left. Where a message has
no end of its own, it ends at the next pattern, at "...", or at a line break that can't come from the cutting,
as a line before was longer. Patterns stand for the messages that users have published; all else is passed over.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
from collections.abc import Sequence
from typing import Literal

Kind = Literal["started", "done", "failed", "progress", "transfer", "error", "summary", "ended"]

_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - \w+ - [A-Z]+ - ")


def _loose(text: str) -> str:
    """Returns a pattern for fixed words, whatever blanks are between them."""
    return r"\s*".join(re.escape(word) for word in text.split())


_PATTERNS = re.compile(
    "|".join(
        (
            rf"{_loose('[START] Start executing Task:')}\s*(?P<started>[^\[]{{1,300}}?)\s+at\s+\d\d:\d\d:\d\d",
            rf"{_loose('[SUCCEEDED] Successfully executed Task')}\s*'(?P<done>[^']{{1,300}})'",
            rf"(?P<failed>{_loose('[FAILED] Task:')})",
            r"Task:\s*(?P<progress>[^():\[\]]{1,120}?)\.?\((?P<state>[A-Z_]{1,20})\s+(?P<percent>\d{1,3})/100\)\s*-?",
            rf"{_loose('OVF Tool: Disk progress:')}\s*(?P<transfer>\d{{1,3}})%",
            rf"(?P<tool>{_loose('OVF Tool:')})",
            rf"(?P<error>{_loose('Error message:')})",
            r"(?P<summary>Appliance\s*Name|System\s*Name|System\s*IP|Log\s*in\s*as):",
            rf"(?P<good>{_loose('vcsa-deploy execution successfully completed')})",
            rf"(?P<bad>{_loose('vcsa-deploy execution failed')})",
            # What else begins a message, so that the one before it ends.
            rf"(?P<other>{_loose('VCSA Deployment Progress Report')}|={{5,}})",
        )
    )
)
_WITH_TEXT = frozenset({"failed", "progress", "tool", "error", "summary"})
_WHEN = re.compile(r"\s*execution\s+failed(\s+at\s+\d\d:\d\d:\d\d)?\s*$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """A thing that the installer said.

    Attributes:
        kind: `started`, `done`, `failed`: a task; `progress`: of the appliance's own first boot; `transfer`: of
            the disks; `error`: why it failed; `summary`: what was made; `ended`: the last one, `percent` is 100
            if it went well.
        stage: the task, or for a summary what is told of.
        percent: 0 to 100, None where there's none.
        message: what the installer is at, without the dots at its end.
    """

    kind: Kind
    stage: str = ""
    percent: int | None = None
    message: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """Where and why a run failed, as far as the installer says."""

    stage: str = ""
    reason: str = ""


class Follower:
    """Turns a growing log or output into events, each of them once."""

    def __init__(self) -> None:
        self._text = ""
        self._told = 0

    def feed(self, text: str) -> tuple[Event, ...]:
        """Takes what came since, and returns the events that are complete by now."""
        self._text += text
        return self._news(_parse(self._text, ended=False))

    def end(self) -> tuple[Event, ...]:
        """Returns the events that only the end of the text made complete."""
        return self._news(_parse(self._text, ended=True))

    def _news(self, found: Sequence[Event]) -> tuple[Event, ...]:
        news = tuple(found[self._told :])
        self._told += len(news)
        return news


def failure(found: Sequence[Event]) -> Failure | None:
    """Returns how a run failed, or None where it didn't say that it ended: it was killed, or stopped."""
    if not any(event.kind == "ended" for event in found):
        return None
    return Failure(
        stage=next((event.stage for event in found if event.kind == "failed"), ""),
        reason=next((event.message for event in found if event.kind == "error"), ""),
    )


def _parse(text: str, *, ended: bool) -> list[Event]:
    joined, breaks = _join(text)
    found: list[Event] = []
    matches = list(_PATTERNS.finditer(joined))
    for index, match in enumerate(matches):
        kind = match.lastgroup if match.lastgroup not in {"state", "percent"} else "progress"
        if kind == "other" or kind is None:
            continue
        message = ""
        if kind in _WITH_TEXT:
            following = matches[index + 1].start() if index + 1 < len(matches) else len(joined)
            at = bisect.bisect_left(breaks, match.end())
            end = min(following, breaks[at] if at < len(breaks) else len(joined))
            if end == len(joined) and not ended and "..." not in joined[match.end() : end]:
                break
            message = " ".join(joined[match.end() : end].partition("...")[0].split())
        found.append(_event(kind, match, message))
    return found


def _event(kind: str, match: re.Match[str], message: str) -> Event:
    words = {name: " ".join(value.split()) for name, value in match.groupdict().items() if value}
    match kind:
        case "started":
            return Event(kind="started", stage=words["started"].rstrip("."))
        case "done":
            return Event(kind="done", stage=words["done"])
        case "failed":
            return Event(kind="failed", stage=_WHEN.sub("", message))
        case "progress":
            percent = min(int(words["percent"]), 100)
            return Event(kind="progress", stage=words["progress"], percent=percent, message=message)
        case "transfer":
            return Event(kind="transfer", stage="OVF Tool", percent=min(int(words["transfer"]), 100))
        case "tool":
            return Event(kind="transfer", stage="OVF Tool", message=message)
        case "error":
            return Event(kind="error", message=message)
        case "summary":
            return Event(kind="summary", stage=words["summary"], message=message)
        case _:
            return Event(kind="ended", percent=100 if kind == "good" else None)


def _join(text: str) -> tuple[str, list[int]]:
    """Returns the text without line breaks, and where in it a message must end."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_log = any(_STAMP.match(line) for line in lines)
    widest = max(map(len, lines))
    parts, breaks, at = [], [], 0
    for index, line in enumerate(lines):
        kept = _STAMP.sub("", line, count=1) if is_log and _STAMP.match(line) else line
        parts.append(kept)
        at += len(kept)
        if index < len(lines) - 1 and (is_log or len(line) < widest):
            breaks.append(at)
    return "".join(parts), breaks
