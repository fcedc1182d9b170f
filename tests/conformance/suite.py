"""The life of a wish under any driver: list → create → plan says nothing → drift is seen → rename → delete → as before.

A driver's tests give the wish, how somebody else changes the world behind paver's back, and how the world
is listed; the suite does the rest through the real engine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from paver.driver import Output, Paved, ResourceId, Verb
from paver.engine.diff import wish_digest
from paver.engine.executor import Outcome
from paver.engine.plan import Plan, loads
from paver.engine.planner import Request
from paver.engine.values import substitute


def renamed(paved: Paved, ids: Mapping[ResourceId, ResourceId]) -> Paved:
    """Returns the same wish with other ids, as if the site file's keys had changed, and `moved` saying so."""

    def new(id_: ResourceId | None) -> ResourceId | None:
        return None if id_ is None else ids.get(id_, id_)

    def output_of(wanted: Output) -> Output:
        return dataclasses.replace(wanted, of=ids.get(wanted.of, wanted.of))

    resources = tuple(
        dataclasses.replace(
            substitute(resource, output_of),
            id=ids.get(resource.id, resource.id),
            within=new(resource.within),
            after=frozenset(ids.get(id_, id_) for id_ in resource.after),
            at=dataclasses.replace(resource.at, provider=new(resource.at.provider)),
        )
        for resource in paved.resources
    )
    connectors = {name: substitute(connector, output_of) for name, connector in paved.connectors.items()}
    return dataclasses.replace(paved, resources=resources, connectors=connectors, moved=dict(ids))


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

    paved = renamed(paved, {resource.id: ResourceId(f"{resource.id}-anew") for resource in paved.resources})
    moving = engine.plan(paved)
    assert {action.verb for action in moving.actions} == {Verb.UPDATE}, (
        "a rename makes nothing and takes nothing away"
    )
    assert not engine.act(paved, moving).failed
    assert not engine.plan(paved).pending

    leaving = engine.plan(paved, Request(mode="destroy", allow=("*",)))
    assert not leaving.blocked
    assert not engine.act(paved, leaving).failed
    assert listing() == start, "the end equals the start"
    assert not engine.plan(paved, Request(mode="destroy", allow=("*",))).pending
