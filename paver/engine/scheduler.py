"""What may start now: needs, slots, drain. A pure class; threads and sessions are the executor's.

An action takes one slot of each of its endpoints' lanes, all at once, in sorted order. Configuration has
as many slots as the endpoint says (one, unless told otherwise); bulk transfers have a lane of their own.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable, Mapping

from paver.engine.graph import closure
from paver.engine.plan import Action
from paver.engine.values import ResourceId

BULK_SLOTS = 2


class Scheduler:
    """Decides which actions may start.

    Args:
        actions: what is to be done.
        needs: what each of them needs, and what that needs which nothing is to be done about (`order.needs`).
        slots: writers at once by endpoint, where it is not one.

    Raises:
        graphlib.CycleError: if something waits for itself.
    """

    def __init__(
        self,
        actions: Iterable[Action],
        needs: Mapping[ResourceId, Collection[ResourceId]],
        slots: Mapping[str, int] | None = None,
    ) -> None:
        self._actions = {action.resource: action for action in actions}
        self._slots = dict(slots or {})
        self._waiting = dict.fromkeys(self._actions)
        self._met: set[ResourceId] = set()
        self._running: dict[ResourceId, tuple[str, ...]] = {}
        self._done: set[ResourceId] = set()
        self._used: dict[str, int] = {}
        self._draining = False
        under = closure(self._actions, lambda id_: needs.get(id_, ()))
        self._order = graphlib.TopologicalSorter({id_: needs.get(id_, ()) for id_ in under})
        self._order.prepare()
        self._look()

    def ready(self) -> list[Action]:
        """Returns the actions that may start now, in the plan's order, and takes their slots."""
        starting: list[Action] = []
        if self._draining:
            return starting
        for id_ in [one for one in self._waiting if one in self._met]:
            action = self._actions[id_]
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
            self._order.done(id_)
            self._look()

    def _look(self) -> None:
        """Finds what waits for nothing any more. What stays as it is, or is done, is done as soon as that is so for it."""
        while met := self._order.get_ready():
            self._order.done(*(id_ for id_ in met if id_ not in self._actions))
            self._met.update(id_ for id_ in met if id_ in self._actions)

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
