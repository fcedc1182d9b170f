"""What may start now: needs, slots, drain. A pure class; threads and sessions are the executor's.

An action takes one slot of each of its endpoints' lanes, all at once, in sorted order. Configuration has
as many slots as the endpoint says (one, unless told otherwise); bulk transfers have a lane of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from paver.engine.plan import Action
from paver.engine.values import ResourceId

BULK_SLOTS = 2


class Scheduler:
    """Decides which actions may start.

    Args:
        actions: what is to be done.
        waits: what each of them waits for, of them (`order.waits`).
        slots: writers at once by endpoint, where it is not one.
    """

    def __init__(
        self,
        actions: Iterable[Action],
        waits: Mapping[ResourceId, frozenset[ResourceId]],
        slots: Mapping[str, int] | None = None,
    ) -> None:
        self._actions = {action.resource: action for action in actions}
        self._waits = waits
        self._slots = dict(slots or {})
        self._waiting = dict.fromkeys(self._actions)
        self._running: dict[ResourceId, tuple[str, ...]] = {}
        self._done: set[ResourceId] = set()
        self._used: dict[str, int] = {}
        self._draining = False

    def ready(self) -> list[Action]:
        """Returns the actions that may start now, in the plan's order, and takes their slots."""
        starting: list[Action] = []
        if self._draining:
            return starting
        for id_ in list(self._waiting):
            action = self._actions[id_]
            if not self._waits[id_] <= self._done:
                continue
            wanted = _slots_of(action)
            if any(self._used.get(slot, 0) >= self._capacity(slot) for slot in wanted):
                continue
            for slot in wanted:
                self._used[slot] = self._used.get(slot, 0) + 1
            del self._waiting[id_]
            self._running[id_] = wanted
            starting.append(action)
        return starting

    def finished(self, id_: ResourceId, *, ok: bool) -> None:
        """Gives the slots of a running action back; what needs a failed one will never be ready."""
        for slot in self._running.pop(id_):
            self._used[slot] -= 1
        if ok:
            self._done.add(id_)

    def drain(self) -> None:
        """Starts nothing new from now on."""
        self._draining = True

    @property
    def running(self) -> frozenset[ResourceId]:
        """What is under way."""
        return frozenset(self._running)

    @property
    def done(self) -> frozenset[ResourceId]:
        """What is done."""
        return frozenset(self._done)

    @property
    def left(self) -> tuple[ResourceId, ...]:
        """What has not been started."""
        return tuple(self._waiting)

    def _capacity(self, slot: str) -> int:
        endpoint, _, lane = slot.rpartition("|")
        return BULK_SLOTS if lane == "bulk" else self._slots.get(endpoint, 1)


def _slots_of(action: Action) -> tuple[str, ...]:
    return tuple(sorted(f"{endpoint}|{action.lane}" for endpoint in {action.endpoint, *action.also}))
