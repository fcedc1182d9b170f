"""Sessions for the planner and the executor: one connection an endpoint, opened when first asked for.

The planner holds a `ReadingWorld`, which has no method that leads to a writing face. The executor makes
one `WritingWorld` an action; its gate knows the action.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from paver.engine.mark import Mark
from paver.engine.resource import Around, Connection, Connector, Endpoint, Facts, Gate, Settling
from paver.engine.values import Output, ResourceId, Secret, in_use, references, substitute
from paver.errors import PaverError, Unobservable

GOODBYE = 5.0
"""Seconds that are left to all of them for saying it."""

F = TypeVar("F", bound=Facts)


class Connections:
    """Opens each endpoint once and keeps it; thread-safe.

    Args:
        connectors: by endpoint name; their outputs are put in by `known` at the moment of connecting.
        context: handed to every connector.
        known: returns the value of an output, or an `Unknown`.
        lacking: returns why an output has no value, as its resource was read; empty where that does not tell.
    """

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        context: object,
        known: Callable[[Output], object],
        lacking: Callable[[Output], str] = lambda _: "",
    ) -> None:
        self._connectors = connectors
        self._context = context
        self._known = known
        self._lacking = lacking
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._open: dict[str, Connection[Any, Any]] = {}
        self._settled: dict[str, PaverError | None] = {}
        self._used_at: dict[ResourceId, list[str]] = {}
        for name, connector in connectors.items():
            sources = {one.versions.of for one in in_use(connector) if isinstance(one.versions, Output)}
            for of in sources:
                self._used_at.setdefault(of, []).append(name)

    def get(self, name: str) -> Connection[Any, Any]:
        """Returns the connection of endpoint `name`.

        Raises:
            Unobservable: if a setting of it is not known yet, or it does not answer.
        """
        with self._lock_of(name):
            return self._opened(name)

    def _opened(self, name: str) -> Connection[Any, Any]:
        if name not in self._open:
            connector = substitute(self._connectors[name], self._known)
            missing = [r for r in references(connector) if isinstance(r, Output)]
            if missing:
                raise Unobservable(
                    f"{name} cannot be asked yet",
                    why=self._lacking(missing[0]) or f"{missing[0].fact} of {missing[0].of} is not known",
                    do=f"see to that first: `paver apply --only {missing[0].of}`",
                )
            self._open[name] = connector.connect(self._context)
        return self._open[name]

    def settle(self, name: str, stopping: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Waits for what an earlier run began at an endpoint, and what goes on there without it; once.

        Raises:
            Unobservable: as `get`.
            Interrupted: if the user stopped.
            PaverError: if that does not come to its end, also for whoever asks after that.
        """
        with self._lock_of(name):
            if name not in self._settled:
                connection = self._opened(name)
                try:
                    if isinstance(connection, Settling):
                        connection.settle(stopping, tell)
                except PaverError as error:
                    # Of one that did not answer whoever asks next may have an answer.
                    if not isinstance(error, Unobservable):
                        self._settled[name] = error
                    raise
                self._settled[name] = None
            failed = self._settled[name]
        if failed is not None:
            raise failed

    def drop(self, name: str) -> None:
        """Closes one connection; the next `get` opens it anew (its settings may have changed)."""
        with self._lock_of(name):
            connection = self._open.pop(name, None)
        if connection is not None:
            connection.close()

    def _lock_of(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    def renew(self, of: ResourceId) -> None:
        """Closes the connections whose secrets `of` has in another version now: the next `get` logs in anew."""
        for name in self._used_at.get(of, ()):
            self.drop(name)

    def forget(self, name: str) -> None:
        """Drops what was read from one endpoint."""
        connection = self._open.get(name)
        if connection is not None:
            connection.forget()

    def forget_all(self) -> None:
        """Drops everything that was read: from now on the world is asked again."""
        for connection in list(self._open.values()):
            connection.forget()

    def close(self) -> None:
        """Closes all connections, at once: each says good-bye to a server that may be far away, or gone without a word.

        One that does not answer is not waited for: its session ends by itself over there.
        """
        failed: list[BaseException] = []

        def leave(name: str) -> None:
            try:
                self.drop(name)
            except BaseException as error:  # noqa: BLE001 (raised below)
                failed.append(error)

        leaving = [threading.Thread(target=leave, args=(name,), daemon=True) for name in list(self._open)]
        for thread in leaving:
            thread.start()
        end = time.monotonic() + GOODBYE
        for thread in leaving:
            thread.join(max(0.0, end - time.monotonic()))
        if failed:
            raise failed[0]


@dataclasses.dataclass(frozen=True)
class ReadingWorld:
    """What reading methods are handed."""

    site: str
    connections: Connections
    versions: Callable[[Secret], str | None]
    moved: Mapping[ResourceId, ResourceId] = dataclasses.field(default_factory=dict, kw_only=True)

    def session(self, at: Endpoint[Any, Any]) -> Any:
        return self.connections.get(at.name).reader()

    def version(self, secret: Secret) -> str | None:
        return self.versions(secret)

    def current(self, mark: Mark) -> Mark:
        new = self.moved.get(mark.id) if mark.site == self.site else None
        return mark if new is None else dataclasses.replace(mark, id=new, was=mark.id)

    def as_named_now(self, facts: F | None) -> F | None:
        """Returns facts with their mark by the id that its resource has now."""
        if facts is None or facts.mark is None:
            return facts
        mark = self.current(facts.mark)
        return facts if mark is facts.mark else dataclasses.replace(facts, mark=mark)


@dataclasses.dataclass(frozen=True)
class WritingWorld(ReadingWorld):
    """What acting methods are handed while one action is begun."""

    gate_of: Callable[[str], Gate]
    secrets: Callable[[Secret], str]
    marker: Callable[[bool], Mark]
    progress: Callable[[str, int, int, str], None]
    stop: Callable[[], bool]
    around: Around | None = None

    def writing(self, at: Endpoint[Any, Any]) -> Any:
        return self.connections.get(at.name).writer(self.gate_of(at.name))

    def reveal(self, secret: Secret) -> str:
        return self.secrets(secret)

    def mark(self, *, complete: bool) -> Mark:
        return self.marker(complete)

    def stopping(self) -> bool:
        return self.stop()

    def report(self, doing: str, done: int = 0, total: int = 0, unit: str = "") -> None:
        self.progress(doing, done, total, unit)
