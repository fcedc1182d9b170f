"""A run on a terminal: one line a phase with a bar, one line an action in work with what it does now.

Done actions fold into their phase; failures stay. What does not fit is counted, never wrapped.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Literal, Self, TypeAlias

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.text import Text

from paver.report import words
from paver.runs.events import Happening
from paver.runs.progress import Phase, Progress, State, Work

SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "adopt": "="}
STYLES = {"+": "green", "~": "yellow", "±": "magenta", "-": "red", "=": "cyan"}
MOST_FAILED = 8
MOST_FOOT = 3
BAR = 24

Seat: TypeAlias = Literal["acts", "watches", "looks back"]
"""Who sits before it: one who acts stops the run by Ctrl-C, one who watches it the watching alone; or the run is over."""


class Live:
    """Shows a run while it goes on; use it as a context, call it with events.

    Args:
        progress: what it shows; told of every event too.
        console: the terminal.
        stopping: tells whether the user asked to stop.
        seat: who sits before it.
    """

    def __init__(
        self, progress: Progress, console: Console, stopping: Callable[[], bool], seat: Seat = "acts"
    ) -> None:
        self._progress = progress
        self._console = console
        self._stopping = stopping
        self._seat = seat
        self._live = RichLive(
            _Frame(self), console=console, refresh_per_second=8, vertical_overflow="crop", transient=False
        )

    def __call__(self, event: Happening) -> None:
        """Takes one event."""
        self._progress(event)

    def frame(self, width: int, height: int) -> list[Text]:
        """Returns the lines of this moment, none wider than `width`, no more than `height`."""
        return frame(self._progress.state(), width, height, stopping=self._stopping(), seat=self._seat)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class _Frame:
    def __init__(self, live: Live) -> None:
        self._live = live
        self._turn = threading.Lock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._turn:
            yield from self._live.frame(options.max_width, console.size.height - 1)


def frame(
    state: State, width: int, height: int, *, stopping: bool = False, seat: Seat = "acts"
) -> list[Text]:
    """Returns a run's state as lines for a terminal of that size."""
    label = max((len(phase.name) for phase in state.phases), default=0)
    foot = _foot(state, width, min(MOST_FOOT, height - len(state.phases) - 1), stopping=stopping, seat=seat)
    fixed = len(state.phases) + len(foot)
    failed = [work for phase in state.phases for work in phase.failed][:MOST_FAILED]
    room = max(1, height - fixed - len(failed))
    shown = set(map(id, state.working[:room] if len(state.working) <= room else state.working[: room - 1]))
    found: list[Text] = []
    for phase in state.phases:
        found.append(_phase(phase, label, width))
        found += [_failed(work) for work in phase.failed if any(work is one for one in failed)]
        found += [_working(work, width) for work in phase.working if id(work) in shown]
    hidden = len(state.working) - len(shown)
    if hidden > 0:
        found.append(Text(f"   … and {hidden} more in work", style="dim"))
    found += foot
    return [_cut(line, width) for line in found]


def _phase(phase: Phase, label: int, width: int) -> Text:
    whole = phase.done >= phase.total
    line = Text(" ")
    if phase.failed:
        line.append("✗ ", "bold red")
    elif whole:
        line.append("✓ ", "green")
    else:
        line.append(
            "· " if not phase.working and not phase.done else "▸ ", "cyan" if phase.working else "dim"
        )
    line.append(phase.name.ljust(label), "bold" if phase.working else "")
    if width >= label + BAR + 20:
        line.append("  ")
        line.append_text(_bar(phase, BAR))
    line.append(f"  {phase.done:>{len(str(phase.total))}}/{phase.total}")
    if whole and phase.seconds is not None:
        line.append(f"  {words.span(phase.seconds)}", "dim")
    elif phase.estimate >= 2 and not phase.done and not phase.working:
        line.append(f"  {words.expected(phase.estimate)}", "dim")
    return line


def _bar(phase: Phase, width: int) -> Text:
    part = phase.done / phase.total if phase.total else 1.0
    for work in phase.working:
        part += _fraction(work) / phase.total
    full = min(width, int(part * width))
    style = "red" if phase.failed else "green" if phase.done >= phase.total else "cyan"
    return Text("━" * full, style) + Text("─" * (width - full), "dim")


def _fraction(work: Work) -> float:
    """Returns how much of one action is done, as far as it tells; never the whole of it."""
    event = work.event
    if event.unit == "%":
        return min(0.99, event.done / 100)
    if event.total:
        return min(0.99, event.done / event.total)
    if event.estimate:
        return min(0.9, work.seconds / event.estimate)
    return 0.0


def _working(work: Work, width: int) -> Text:
    event = work.event
    sign = SIGNS.get(event.verb, " ")
    line = Text("   ")
    line.append(sign, STYLES.get(sign, ""))
    line.append(f" {words.thing(event.resource)}")
    doing = event.text or (event.says if event.what == "begun" else "")
    amounts = list(_amounts(work))
    while (rest := width - len(line) - sum(len(amount) + 2 for amount in amounts) - 2) < -2 and amounts:
        amounts.pop()
    if doing and rest >= 12:
        line.append(f"  {doing if len(doing) <= rest else doing[: rest - 1] + '…'}")
    for amount in amounts:
        line.append(f"  {amount}", "dim")
    return line


def _amounts(work: Work) -> Iterator[str]:
    event = work.event
    amount = words.part(event.done, event.total, event.unit) if event.what == "doing" else ""
    if amount and amount not in event.text:
        yield amount
    if event.unit == "B" and work.rate > 0:
        yield f"{words.size(work.rate)}/s"
    left = work.left
    if left is not None and work.seconds >= 1:
        yield f"{words.span(left)} left"
    elif work.seconds >= 3:
        yield words.span(work.seconds)


def _failed(work: Work) -> Text:
    line = Text("   ")
    line.append("✗ ", "bold red")
    line.append(work.event.resource, "red")
    line.append(f"  {work.event.text}")
    return line


def _foot(state: State, width: int, most: int, *, stopping: bool, seat: Seat) -> list[Text]:
    parts = [words.span(state.seconds)]
    left = sum(map(_left, state.phases))
    if left >= 2 and seat != "looks back":
        parts.append(f"{words.expected(left)} left".replace("≈", "about"))
    if state.station:
        parts.append(f"on the {state.station}")
    if state.unheard:
        parts.append(f"connecting anew: the {state.unheard} is not heard, the run there goes on")
    going = seat != "looks back" and any(phase.done < phase.total for phase in state.phases)
    if going:
        parts.append(_stopping(state, seat) if stopping else _stops(state, seat))
    text = " " + " · ".join(parts)
    lines = textwrap.wrap(text, width, subsequent_indent=" ", max_lines=max(1, most), placeholder=" …")
    return [Text(line, "yellow" if going and (stopping or state.unheard) else "dim") for line in lines]


def _stops(state: State, seat: Seat) -> str:
    """Returns what Ctrl-C does: what goes on on the other station it never stops."""
    if seat == "watches":
        return "Ctrl-C ends the watching, never the run"
    if state.station:
        return "Ctrl-C ends the following; the run there goes on"
    return "Ctrl-C stops; run again to go on"


def _stopping(state: State, seat: Seat) -> str:
    """Returns what happens after a Ctrl-C."""
    if seat == "watches":
        return "the watching ends; the run goes on"
    if state.station:
        return "the following ends; the run there goes on"
    names = ", ".join(words.thing(work.event.resource) for work in state.working)
    return f"stopping (Ctrl-C again leaves at once){f', waits for {names}' if names else ''}"


def _left(phase: Phase) -> float:
    """Returns the seconds that a phase is expected to take still."""
    if phase.done >= phase.total or not phase.total:
        return 0.0
    spent = max((work.seconds for work in phase.working), default=0.0)
    return max(0.0, phase.estimate * (1 - phase.done / phase.total) - spent)


def _cut(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def text(lines: Iterable[Text]) -> str:
    """Returns lines without their style."""
    return "\n".join(line.plain for line in lines)
