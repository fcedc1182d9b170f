"""The life of a wish under any driver: list → create → plan says nothing → drift is seen → delete → as at the start.

A driver's tests give the wish, how somebody else changes the world behind paver's back, and how the world
is listed; the suite does the rest through the real engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from paver.driver import Paved
from paver.engine.executor import Outcome
from paver.engine.plan import Plan, loads
from paver.engine.planner import Request, wish_digest


class Under(Protocol):
    """What plans and acts: `tests.support.engine_run.Engine`, or a driver's own."""

    def plan(self, paved: Paved, request: Request | None = None) -> Plan: ...
    def act(self, paved: Paved, planned: Plan) -> Outcome: ...


def lives(
    engine: Under,
    paved: Paved,
    listing: Callable[[], Any],
    writes: Callable[[], int],
    drift: Callable[[], set[str]],
) -> None:
    """Leads `paved` through its life.

    Args:
        engine: plans and acts.
        paved: the wish.
        listing: everything that the driver could have changed, comparable.
        writes: how many writes the world itself has counted.
        drift: changes something behind paver's back; returns the resources that differ now.
    """
    start = listing()
    before = writes()
    first = engine.plan(paved)
    assert loads(first.dumps()) == first
    assert engine.plan(paved).dumps() == first.dumps(), "two plans of one world are the same bytes"
    assert writes() == before, "planning wrote"
    assert first.pending, "an empty world needs something"
    for resource in paved.resources:
        assert wish_digest(resource) == wish_digest(resource)
        for name in resource.wish():
            assert name in resource.unmanaged or resource.calls, (
                f"{resource.kind}.{name} is managed by nothing"
            )

    outcome = engine.act(paved, first)
    assert not outcome.failed, outcome.failed
    assert outcome.done == {action.resource for action in first.pending}
    assert engine.act(paved, first).acted == frozenset(), "the same plan again acts on nothing"
    assert not engine.plan(paved).pending, "a finished site has nothing to do"

    different = drift()
    seen = engine.plan(paved)
    assert {action.resource for action in seen.pending} == different
    assert not engine.act(paved, seen).failed
    assert not engine.plan(paved).pending

    leaving = engine.plan(paved, Request(mode="destroy", allow=("*",)))
    assert not leaving.blocked
    assert not engine.act(paved, leaving).failed
    assert listing() == start, "the end equals the start"
    assert not engine.plan(paved, Request(mode="destroy", allow=("*",))).pending
