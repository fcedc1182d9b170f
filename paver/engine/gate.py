"""The gate of one action: a write passes only to its endpoints, by a call that its kind declared, and journalled."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from paver.engine.journal import Journal
from paver.engine.plan import Action
from paver.engine.resource import Gate
from paver.errors import Refused
from paver.signing.canonical import Json


def of(action: Action, journal: Journal) -> Callable[[str], Gate]:
    """Returns what gives the gate to each endpoint while `action` is begun."""
    endpoints = {action.endpoint, *action.also}

    def gate_of(endpoint: str) -> Gate:
        def gate(call: str, target: str = "", detail: Mapping[str, Json] | None = None) -> None:
            if endpoint not in endpoints:
                raise Refused(
                    f"{action.resource} tried to write to {endpoint}",
                    why="its plan names other endpoints only",
                )
            if call not in action.calls:
                raise Refused(
                    f"{action.resource} tried to call {call} at {endpoint}",
                    why="its kind does not declare that call",
                )
            journal.write(
                "call",
                {
                    "action": action.id,
                    "endpoint": endpoint,
                    "call": call,
                    "target": target,
                    "detail": dict(detail or {}),
                },
            )

        return gate

    return gate_of
