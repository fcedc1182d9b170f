"""What is known of each resource at this moment: the facts last read, and which of them will change.

Outputs are looked up here. A fact counts as known once its resource was read complete and nothing planned
changes it; until then it is an `Unknown`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from paver.engine.resource import Facts, Resource
from paver.engine.values import Output, ResourceId, Unknown, settled


class Board:
    """Facts by resource; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[ResourceId, Facts | None] = {}
        self._pending: dict[ResourceId, frozenset[str] | None] = {}
        self._wished: dict[ResourceId, Mapping[str, Any]] = {}

    def put(
        self,
        id_: ResourceId,
        facts: Facts | None,
        *,
        pending: frozenset[str] | None = frozenset(),
        wished: Mapping[str, Any] | None = None,
    ) -> None:
        """Notes what was read.

        Args:
            id_: of the resource.
            facts: None where it is absent.
            pending: fields that an action will change; None: all of them.
            wished: what a pending field will become, where the wish says so.
        """
        with self._lock:
            self._wished[id_] = wished or {}
            self._facts[id_] = facts
            self._pending[id_] = pending

    def facts(self, id_: ResourceId) -> Facts | None:
        """Returns the facts last noted."""
        with self._lock:
            return self._facts.get(id_)

    def known(self, wanted: Output) -> object:
        """Returns the fact that `wanted` stands for, or an `Unknown`."""
        with self._lock:
            facts = self._facts.get(wanted.of)
            pending = self._pending.get(wanted.of, frozenset())
            wished = self._wished.get(wanted.of, {}).get(wanted.fact)
        if facts is None or pending is None or wanted.fact in pending:
            if wished is not None and settled(wished):
                return wished
            return Unknown(f"{wanted.of}.{wanted.fact}")
        value = getattr(facts, wanted.fact)
        return Unknown(f"{wanted.of}.{wanted.fact}") if value is None else value

    def for_reading(self, wanted: Output) -> object:
        """Returns the fact as it stands now, also where an action will change it; else the output itself."""
        with self._lock:
            facts = self._facts.get(wanted.of)
        value = getattr(facts, wanted.fact) if facts is not None else None
        return wanted if value is None else value

    def lacking(self, wanted: Output) -> str:
        """Returns why a fact is not there, as far as what was read tells; else nothing."""
        facts = self.facts(wanted.of)
        return "" if facts is None else facts.lacking(wanted.fact)


def standing(facts: Facts | None, resource: Resource[Any]) -> bool:
    """Tells whether a thing stands well enough for others to live in it."""
    if facts is None:
        return False
    return resource.setting or facts.mark is None or facts.mark.complete
