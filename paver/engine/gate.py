"""The gate of one action: a write passes while the act goes on, to its endpoints, by a call that its kind declared, journalled."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from paver.engine.journal import Journal
from paver.engine.plan import Action
from paver.engine.resource import Gate
from paver.errors import Refused
from paver.signing.canonical import Json


class Passage:
    """The gates of one action, from the moment that it is begun until its act is over; thread-safe."""

    def __init__(self, action: Action, journal: Journal) -> None:
        self._action = action
        self._journal = journal
        self._endpoints = {action.endpoint, *action.also}
        self._turn = threading.Lock()
        self._over = False

    def to(self, endpoint: str) -> Gate:
        """Returns the gate to an endpoint."""

        def gate(call: str, target: str = "", detail: Mapping[str, Json] | None = None) -> None:
            action = self._action
            if endpoint not in self._endpoints:
                raise Refused(
                    f"{action.resource} tried to write to {endpoint}",
                    why="its plan names other endpoints only",
                )
            if call not in action.calls:
                raise Refused(
                    f"{action.resource} tried to call {call} at {endpoint}",
                    why="its kind does not declare that call",
                )
            record: dict[str, Json] = {
                "action": action.id,
                "endpoint": endpoint,
                "call": call,
                "target": target,
                "detail": dict(detail or {}),
            }
            # Of a write and the end of the act one is first, in the journal too.
            with self._turn:
                if self._over:
                    raise Refused(
                        f"{action.resource} tried to call {call} at {endpoint} after its act was over",
                        why="it was left at work, and what it does now nobody would compare with the plan",
                    )
                self._journal.write("call", record)

        return gate

    def end(self) -> None:
        """Lets nothing pass any more."""
        with self._turn:
            self._over = True
