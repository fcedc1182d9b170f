"""How far a run is, kept up by its events: what a live view renders and what an interrupt says it waits for."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping

from paver.engine.plan import WRITES, Plan
from paver.engine.values import ResourceId
from paver.runs.events import BETWEEN, Happening

RATE_WINDOW = 8.0
"""Seconds over which a transfer's rate is taken."""
LATE = 2.0
"""Seconds after which an event counts as told later than it happened: its time is in whole seconds."""
AT_ONCE = 0.05
"""Seconds within which amounts count as one: what a follower reads at once was not transferred at once."""


@dataclasses.dataclass(frozen=True)
class Work:
    """One action in work, failed, or done.

    Attributes:
        event: the last that was told of it.
        seconds: since it began.
        rate: units a second, 0 where it is not known.
    """

    event: Happening
    seconds: float
    rate: float = 0.0

    @property
    def left(self) -> float | None:
        """Seconds that are left, None where nobody can tell."""
        event = self.event
        if event.unit == "B" and event.total and self.rate > 0:
            return max(0.0, (event.total - event.done) / self.rate)
        if event.estimate and event.estimate > self.seconds:
            return event.estimate - self.seconds
        return None


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase: how many of its actions are done, of how many, and what is in work.

    Attributes:
        seconds: that it took, or takes by now; None where nothing of it was told: it was done before.
    """

    name: str
    done: int
    total: int
    seconds: float | None
    estimate: int
    working: tuple[Work, ...]
    failed: tuple[Work, ...]


@dataclasses.dataclass(frozen=True)
class State:
    """A run at one moment.

    Attributes:
        phases: in order.
        seconds: since it began.
        station: where it goes on, if that is the other one.
        unheard: the station that cannot be heard just now; empty if there is none.
    """

    phases: tuple[Phase, ...]
    seconds: float
    station: str
    unheard: str = ""

    @property
    def working(self) -> tuple[Work, ...]:
        """All actions in work."""
        return tuple(work for phase in self.phases for work in phase.working)


class Progress:
    """Takes events from any thread.

    Args:
        phases: labels in order.
        totals: number of actions by phase; one that no event names yet is shown as waiting.
        estimates: seconds by phase.
        clock: a monotonic clock.
        ago: seconds since the run began.
        before: by phase, how many of `totals` were done before anything is told.
        moment: returns when on `clock` an event happened; without it, events happen when they are told.
    """

    def __init__(
        self,
        phases: tuple[str, ...] = (),
        totals: Mapping[str, int] | None = None,
        estimates: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        ago: float = 0.0,
        before: Mapping[str, int] | None = None,
        moment: Callable[[Happening], float] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._moment = moment or (lambda _: clock())
        self._started = clock() - ago
        self._phases = list(phases)
        self._totals = dict(totals or {})
        self._estimates = dict(estimates or {})
        self._before = dict(before or {})
        self._begun: dict[str, float] = {}
        self._last: dict[str, Happening] = {}
        self._samples: dict[str, deque[tuple[float, int]]] = {}
        self._first: dict[str, float] = {}
        self._latest: dict[str, float] = {}
        self._station = ""
        self._unheard = ""

    def __call__(self, event: Happening) -> None:
        """Takes one event."""
        with self._lock:
            now, moment = self._clock(), self._moment(event)
            if event.what in {"handed-off", "returned"}:
                self._station = event.station if event.what == "handed-off" else ""
            if event.what in BETWEEN:
                self._unheard = event.station if event.what == "unheard" else ""
                return
            if event.phase not in self._phases:
                self._phases.append(event.phase)
            self._first[event.phase] = min(self._first.get(event.phase, moment), moment)
            self._latest[event.phase] = max(self._latest.get(event.phase, moment), moment)
            # Before it begins, an action may have to wait for what an earlier run left at work.
            if event.what == "begun" or (event.what == "doing" and event.resource not in self._begun):
                self._begun[event.resource] = moment
                self._samples.pop(event.resource, None)
            if event.what == "doing" and event.unit == "B":
                self._sample(event, now)
            self._last[event.resource] = event

    def _sample(self, event: Happening, now: float) -> None:
        samples = self._samples.setdefault(event.resource, deque(maxlen=64))
        if samples and samples[-1][1] > event.done:
            samples.clear()  # the next disk begins
        if samples and now - samples[-1][0] < AT_ONCE:
            samples[-1] = (samples[-1][0], event.done)
            return
        samples.append((now, event.done))
        while len(samples) > 2 and now - samples[0][0] > RATE_WINDOW:
            samples.popleft()

    def state(self) -> State:
        """Returns how far the run is now."""
        with self._lock:
            now = self._clock()
            phases = tuple(
                self._phase(name, now)
                for name in self._phases
                if self._totals.get(name) or any(e.phase == name for e in self._last.values())
            )
            return State(phases, now - self._started, self._station, self._unheard)

    def _phase(self, name: str, now: float) -> Phase:
        events = [event for event in self._last.values() if event.phase == name]
        before = self._before.get(name, 0)
        done = before + sum(1 for event in events if event.what in {"done", "skipped"})
        total = max(self._totals.get(name, 0), before + len(events))
        first = self._first.get(name)
        return Phase(
            name=name,
            done=done,
            total=total,
            seconds=None if first is None else (self._latest[name] if done == total else now) - first,
            estimate=self._estimates.get(name, 0),
            working=tuple(self._work(event, now) for event in events if event.what in {"begun", "doing"}),
            failed=tuple(Work(event, event.millis / 1000) for event in events if event.what == "failed"),
        )

    def _work(self, event: Happening, now: float) -> Work:
        samples = self._samples.get(event.resource)
        rate = 0.0
        if samples and len(samples) > 1 and samples[-1][0] > samples[0][0]:
            rate = (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
        return Work(event, now - self._begun.get(event.resource, now), rate)

    def last(self) -> tuple[Happening, ...]:
        """Returns the last event of every action, in the order in which they were first heard of."""
        with self._lock:
            return tuple(self._last.values())

    def stopping(self) -> list[str]:
        """Returns what an interrupt does, and what it has to wait for, a line each."""
        state = self.state()
        if state.station:
            return [f"the following ends; the run on the {state.station} goes on (once more leaves at once)"]
        return [
            "stopping: nothing new is started, short actions end, jobs go on by themselves (once more leaves at once)",
            *(
                f"  waits for {work.event.resource}" + (f": {work.event.text}" if work.event.text else "")
                for work in state.working
            ),
        ]


def late(event: Happening) -> float:
    """Returns when on the monotonic clock an event happened, for whoever comes later: as it says itself, if that is a while ago."""
    ago = time.time() - event.at
    return time.monotonic() - (ago if ago >= LATE else 0.0)


def of(
    plan: Plan | None,
    clock: Callable[[], float] = time.monotonic,
    ago: float = 0.0,
    *,
    station: str = "",
    done: Collection[ResourceId] = (),
    moment: Callable[[Happening], float] | None = None,
) -> Progress:
    """Returns the progress of a run of `plan`; of one whose plan is not known, what it tells is all that there is.

    Args:
        plan: what it carries out, None where nobody knows.
        clock: a monotonic clock.
        ago: seconds since the run began.
        station: the only one whose actions it does; empty: it does all.
        done: what was done before it began; the run does not tell of it.
        moment: returns when on `clock` an event happened; without it, events happen when they are told.
    """
    if plan is None:
        return Progress(clock=clock, ago=ago, moment=moment)
    acts = [
        action
        for action in plan.actions
        if action.verb in WRITES and (action.resource in done or station in {"", action.station})
    ]
    totals = {phase: sum(1 for action in acts if action.phase == phase) for phase in plan.phases}
    estimates = {
        phase: sum(action.estimate for action in acts if action.phase == phase) for phase in plan.phases
    }
    before = {phase: sum(a.phase == phase and a.resource in done for a in acts) for phase in plan.phases}
    order = plan.phases if plan.mode == "apply" else tuple(reversed(plan.phases))
    return Progress(order, totals, estimates, clock, ago, before, moment)
