"""What a run's folder tells about it, once it is over or while it goes on. Reads only."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from paver.engine import plan as plans
from paver.engine.plan import Plan
from paver.errors import PaverError
from paver.runs.events import Happening, parse
from paver.runs.folder import EVENTS, JOURNAL, PLAN, journals

ENDS = frozenset({"closed", "interrupted"})
State: TypeAlias = Literal["done", "failed", "interrupted", "unfinished"]
Mode: TypeAlias = Literal["apply", "destroy", ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        folder: its files.
        mode: what its plan is for: that the site stands, or that it goes away; empty where no plan can be read.
        began: when, as it stands in the journal.
        ended: when; empty while it goes on, and where it was killed.
        state: how it ended; `unfinished` while it goes on, and where it was killed.
        failed: the resources that failed.
        left: how many actions were not begun.
        handed_over: whether it was handed over to the jumpbox and did not come back: how it went on there stands elsewhere.
    """

    ALSO: ClassVar = ("name",)

    folder: Path
    mode: Mode = ""
    began: str = ""
    ended: str = ""
    state: State = "unfinished"
    failed: tuple[str, ...] = ()
    left: int = 0
    handed_over: bool = False

    @property
    def name(self) -> str:
        """The folder's name, which sorts by the order of runs."""
        return self.folder.name


def of(folder: Path) -> Run:
    """Returns what the journal in `folder` says; a cut last line is left out."""
    lines = list(_lines(folder / JOURNAL))
    plan = plan_of(folder)
    mode: Mode = "" if plan is None else "destroy" if plan.mode == "destroy" else "apply"
    if not lines:
        return Run(folder=folder, mode=mode)
    last = lines[-1]
    began = str(lines[0].get("time", ""))
    stations = [line["event"] for line in lines if line.get("event") in {"handed-off", "returned"}]
    away = stations[-1:] == ["handed-off"]
    # An action that was stopped has a line of that name, too.
    if last.get("event") not in ENDS or "resource" in last:
        return Run(folder=folder, mode=mode, began=began, handed_over=away)
    failed = tuple(map(str, last.get("failed", ())))
    left = int(last.get("left", 0))
    wrong = failed or last.get("error")
    state: State = "interrupted" if last["event"] == "interrupted" else "failed" if wrong else "done"
    return Run(
        folder=folder,
        mode=mode,
        began=began,
        ended=str(last.get("time", "")),
        state=state,
        failed=failed,
        left=left,
        handed_over=away,
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    # At newlines alone, and bytes: values of the world may hold what Unicode takes for the end of a line, and a full disk
    # cuts within a character.
    for line in data.split(b"\n"):
        try:
            found = json.loads(line)
        except ValueError:
            return
        if isinstance(found, dict):
            yield found


class Clock:
    """The clock of a run that is told again, in seconds since 1970: it shows when what was told last happened."""

    def __init__(self, folder: Path) -> None:
        run = of(folder)
        self._times = {
            (str(line["event"]), str(line["resource"])): _seconds(line)
            for name in journals(folder)
            for line in _lines(folder / name)
            if "resource" in line and "event" in line
        }
        self._now = _moment(run.began) or next((float(event.at) for event in events_of(folder)), 0.0)
        self._ended = _moment(run.ended)

    def __call__(self) -> float:
        """Returns the time."""
        return self._now

    def moment(self, event: Happening) -> float:
        """Goes on to when `event` happened, which it returns: as a journal has it, or else as the event itself, in whole seconds.

        Never back: events of threads, and of two stations, are not told in the order of their times.
        """
        begun = self._times.get(("begun", event.resource), 0.0)
        told = float(event.at)
        # In the second in which its action began it was told after that; where it was told before, the action waited.
        at = self._times.get((event.what, event.resource), begun if told < begun < told + 1 else told)
        at = min(at, self._ended or at)
        self._now = max(self._now, at)
        return at

    def end(self) -> None:
        """Goes on to the end of the run."""
        self._now = max(self._now, self._ended)


def _seconds(line: dict[str, Any]) -> float:
    return _moment(str(line.get("time", "")))


def _moment(text: str) -> float:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def plan_of(folder: Path) -> Plan | None:
    """Returns the plan that a run carries out, None where there is none that can be read."""
    try:
        return plans.loads((folder / PLAN).read_bytes())
    except (OSError, PaverError):
        return None


def events_of(folder: Path) -> Iterator[Happening]:
    """Yields the events of a run so far."""
    try:
        text = (folder / EVENTS).read_bytes().decode(errors="replace")
    except OSError:
        return
    for line in text.split("\n"):
        event = parse(line)
        if event is not None:
            yield event
