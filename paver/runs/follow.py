"""Watches a run that is under way, here or on the jumpbox; reads only, and ends nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paver.engine.plan import Plan
from paver.errors import PaverError
from paver.runs import past, progress
from paver.runs.apply import JUMPBOX
from paver.runs.events import BETWEEN, Happening, Tell, breaks, parse
from paver.runs.folder import EVENTS, SiteFolder
from paver.runs.handoff import handed_done, handed_plan
from paver.runs.progress import Progress
from paver.runs.wayback import job_of
from paver.transport import job
from paver.transport.job import JobState

PAUSE = 0.2


@dataclasses.dataclass(frozen=True)
class Local:
    """A run of this machine."""

    state: SiteFolder
    folder: Path

    def plan(self) -> Plan | None:
        """Returns what it carries out."""
        return past.plan_of(self.folder)

    def began(self) -> float:
        """Returns when it began, in seconds since 1970; 0 where it does not say yet."""
        told = past.of(self.folder).began
        return dt.datetime.fromisoformat(told).timestamp() if told else 0.0

    def follow(self, tell: Tell, stop: Callable[[], bool]) -> past.Run:
        """Tells every event from the beginning on, until the run ends or `stop` says so."""
        path = self.folder / EVENTS
        with path.open("r", encoding="utf-8") as file:
            tail = _Tail(file, tell)
            while not stop():
                # Asked before the last reading: what the run wrote before it ended is read in any case.
                over = (self.state.holder() or {}).get("run") != self.folder.name
                tail.read()
                if over:
                    break
                time.sleep(PAUSE)
        return past.of(self.folder)


class Passed:
    """Tells events on, and keeps what a run here passed on from the jumpbox: nobody is told that twice over there."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lines: deque[str] = deque()

    def __call__(self, event: Happening) -> None:
        """Takes one event of the run here."""
        if event.what == "handed-off":
            self._lines.clear()
        elif event.what not in BETWEEN and event.station == JUMPBOX:
            self._lines.append(event.line())
        self._tell(event)

    def rest(self, tell: Tell) -> Tell:
        """Returns what tells the events of the job there, from its beginning on, but for those that were passed on."""
        known = deque(self._lines)

        def told(event: Happening) -> None:
            if known and event.what not in BETWEEN:
                if event.line() == known[0]:
                    known.popleft()
                    return
                # Another job than the one that was passed on.
                known.clear()
            tell(event)

        return told


class _Tail:
    """Whole lines of a file that grows."""

    def __init__(self, file: io.TextIOBase | Any, tell: Tell) -> None:
        self._file = file
        self._tell = tell
        self._rest = ""

    def read(self) -> None:
        self._rest += self._file.read()
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            event = parse(line)
            if event is not None:
                self._tell(event)


def local(state: SiteFolder) -> Local | None:
    """Returns the run of this machine that is under way, None if there is none, or none has begun yet.

    By what its holder wrote into the lock: who plans, or asks, holds it too, and has the run before his as the newest.
    """
    return _run_of(state, state.holder() or {})


def awaited(state: SiteFolder, holder: Mapping[str, object]) -> Local | None:
    """Returns the run that the lock's `holder` begins, None once it has gone without having begun one."""
    while (found := local(state)) is None and state.holder() is not None:
        time.sleep(PAUSE)
    last = state.last_holder()
    # It may have begun and ended one between two looks.
    return found or (_run_of(state, last) if last.get("pid") == holder.get("pid") else None)


def _run_of(state: SiteFolder, holder: Mapping[str, object]) -> Local | None:
    name = holder.get("run")
    if not isinstance(name, str) or not (state.path / "runs" / name / EVENTS).exists():
        return None
    return Local(state, state.path / "runs" / name)


@dataclasses.dataclass(frozen=True)
class Remote:
    """A run on the jumpbox: the job of the hand-off."""

    machine: Any
    site: str

    @property
    def name(self) -> str:
        """The job's name."""
        return job_of(self.site)

    def state(self) -> JobState:
        """Returns how the job stands."""
        return job.state(self.machine, self.name)

    def plan(self, found: JobState) -> Plan | None:
        """Returns what the job, as it was `found`, carries out; None where it can't be read."""
        try:
            return handed_plan(self.machine, found)
        except PaverError:
            return None

    def progress(self, found: JobState, plan: Plan | None) -> Progress:
        """Returns the progress of the job, as it was `found` with its `plan`: it does what is left for the jumpbox, and nothing else."""
        ago = max(0.0, (found.ended or time.time()) - found.started) if found.started else 0.0
        done = () if plan is None else handed_done(self.machine, found)
        return progress.of(plan, ago=ago, station=JUMPBOX, done=done, moment=progress.late)

    def follow(self, tell: Tell, line: Callable[[str], None], stop: Callable[[], bool]) -> JobState:
        """Tells every event from the beginning on, and every other line to `line`, until the job ends."""

        def heard(text: str) -> None:
            event: Happening | None = parse(text)
            if event is not None:
                tell(event)
            else:
                line(text)

        return job.attach(self.machine, self.name).follow(heard, stop=stop, on_break=breaks(tell, JUMPBOX))
