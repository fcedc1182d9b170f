"""What earlier runs left at work at an endpoint is waited for once a run, before anybody acts there."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from paver.engine.world import Connections
from paver.errors import PaverError, Unobservable
from tests.support.waiting import until


@dataclasses.dataclass
class Slow:
    """An endpoint where something goes on; it is its own connection."""

    error: PaverError | None = None
    waited: int = 0
    held: threading.Event | None = None

    def connect(self, context: Any) -> Slow:
        del context
        return self

    def settle(self, stopping: Callable[[], bool], tell: Callable[[str], None]) -> None:
        assert not stopping()
        self.waited += 1
        tell("it goes on")
        if self.held is not None:
            self.held.wait()
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        return None


class Quick:
    """One that knows nothing of that."""

    def connect(self, context: Any) -> Quick:
        del context
        return self


def settle(connections: Connections, name: str = "vcenter") -> list[str]:
    told: list[str] = []
    connections.settle(name, lambda: False, told.append)
    return told


def test_it_is_waited_for_once_also_where_the_connection_is_made_anew() -> None:
    slow: Any = Slow()
    connections = Connections({"vcenter": slow}, None, lambda output: output)
    assert settle(connections) == ["it goes on"]
    assert settle(connections) == []
    connections.drop("vcenter")
    connections.get("vcenter")
    assert settle(connections) == []
    assert slow.waited == 1


def test_who_comes_meanwhile_waits_for_the_same_end() -> None:
    slow: Any = Slow(held=threading.Event())
    connections = Connections({"vcenter": slow}, None, lambda output: output)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            both = [pool.submit(settle, connections) for _ in range(2)]
            until(lambda: slow.waited and all(one.running() for one in both))
        finally:
            slow.held.set()
        told = [one.result() for one in both]
    assert sorted(told) == [[], ["it goes on"]]
    assert slow.waited == 1


def test_one_that_cannot_be_dialled_is_told_as_such() -> None:
    class Dead:
        def connect(self, context: Any) -> Any:
            del context
            raise Unobservable("it does not answer")

    dead: Any = Dead()
    connections = Connections({"vcenter": dead}, None, lambda output: output)
    with pytest.raises(Unobservable, match="it does not answer"):
        settle(connections)


def test_what_does_not_end_is_told_to_all_and_waited_for_by_the_first() -> None:
    slow: Any = Slow(PaverError("it does not end"))
    connections = Connections({"vcenter": slow}, None, lambda output: output)
    for _ in range(3):
        with pytest.raises(PaverError, match="it does not end"):
            settle(connections)
    assert slow.waited == 1


def test_one_that_did_not_answer_is_asked_again() -> None:
    slow: Any = Slow(Unobservable("it does not answer"))
    connections = Connections({"vcenter": slow}, None, lambda output: output)
    with pytest.raises(Unobservable):
        settle(connections)
    slow.error = None
    assert settle(connections) == ["it goes on"]


def test_an_endpoint_where_nothing_goes_on_by_itself_is_not_asked() -> None:
    quick: Any = Quick()
    connections = Connections({"store": quick}, None, lambda output: output)
    assert settle(connections, "store") == []
