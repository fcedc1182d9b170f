"""Connections to endpoints, by such that a test holds in its hands."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from paver.engine import world
from paver.engine.world import Connections


class Connected:
    """A connection that closes when `may` is set."""

    def __init__(self, may: threading.Event, closed: threading.Event) -> None:
        self._may, self._closed = may, closed

    def connect(self, _: object) -> Connected:
        return self

    def close(self) -> None:
        assert self._may.wait(60)
        self._closed.set()


def test_a_server_that_is_gone_without_a_word_holds_up_nobody_who_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "GOODBYE", 0.05)
    never, at_once, closed = threading.Event(), threading.Event(), threading.Event()
    at_once.set()
    connectors: dict[str, Any] = {
        "gone": Connected(never, threading.Event()),
        "there": Connected(at_once, closed),
    }
    connections = Connections(connectors, None, lambda output: output)
    for name in connectors:
        connections.get(name)
    connections.close()
    # Where the machine is busy, its thread comes to it later than whoever leaves waits for.
    assert closed.wait(60)
    never.set()


def test_a_connection_that_cannot_be_closed_is_told_once_all_others_are() -> None:
    class Broken(Connected):
        def close(self) -> None:
            super().close()
            raise OSError("no")

    may, closed = threading.Event(), threading.Event()
    may.set()
    connectors: dict[str, Any] = {
        "broken": Broken(may, threading.Event()),
        "there": Connected(may, closed),
    }
    connections = Connections(connectors, None, lambda output: output)
    for name in connectors:
        connections.get(name)
    with pytest.raises(OSError, match="no"):
        connections.close()
    assert closed.is_set()
