"""Reads the world for a whole wish: one thread an endpoint, in the order of the edges.

What lies in something absent is absent; what lies in something half made, or beyond it, is not asked. A thing that
should answer and does not stops the planning: it never counts as absent.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from paver.engine.board import Board, standing
from paver.engine.graph import Graph
from paver.engine.resource import Facts, Ground, Resource
from paver.engine.values import ResourceId, substitute
from paver.engine.world import ReadingWorld

MOST_ENDPOINTS = 64


@dataclasses.dataclass(frozen=True)
class Seen:
    """One resource as it was found.

    Attributes:
        resource: with the outputs put in as far as they are known.
        facts: None where it is absent, or lies in something absent.
        asked: False where nobody was asked, since what it lies in does not stand.
    """

    resource: Resource[Any]
    facts: Facts | None
    asked: bool


Decide = Callable[[Seen], frozenset[str] | None]
"""Called for each resource as soon as it was read; returns the fields that will change (None: all)."""


def observe(graph: Graph, world: ReadingWorld, board: Board, decide: Decide) -> dict[ResourceId, Seen]:
    """Reads all resources of `graph`.

    Raises:
        Unobservable: if anything that should answer does not; the first such error, by order of the graph.
    """
    waiting = {id_: set(needed) for id_, needed in graph.needs.items()}
    dependents = graph.dependents()
    seen: dict[ResourceId, Seen] = {}
    queues: dict[str, deque[ResourceId]] = {}
    busy: dict[concurrent.futures.Future[Seen], tuple[str, ResourceId]] = {}
    errors: dict[ResourceId, BaseException] = {}

    def enqueue(id_: ResourceId) -> None:
        queues.setdefault(graph.resources[id_].at.name, deque()).append(id_)

    for id_ in graph.resources:
        if not waiting[id_]:
            enqueue(id_)
    with concurrent.futures.ThreadPoolExecutor(MOST_ENDPOINTS, "observe") as pool:
        while True:
            working = {name for name, _ in busy.values()}
            for name, queue in queues.items():
                if queue and name not in working and not errors:
                    id_ = queue.popleft()
                    before = graph.holders[id_] | graph.asked_through(graph.resources[id_].at)
                    held = all(standing(seen[one].facts, graph.resources[one]) for one in before)
                    future = pool.submit(_look, graph.resources[id_], held, world, board)
                    busy[future] = (name, id_)
            if not busy:
                break
            finished, _ = concurrent.futures.wait(busy, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                _, id_ = busy.pop(future)
                error = future.exception()
                if error is not None:
                    errors[id_] = error
                    continue
                found = future.result()
                seen[id_] = found
                board.put(id_, found.facts, pending=decide(found), wished=found.resource.wish())
                for other in dependents[id_]:
                    waiting[other].discard(id_)
                    if not waiting[other]:
                        enqueue(other)
    if errors:
        raise errors[next(id_ for id_ in graph.resources if id_ in errors)]
    return {id_: seen[id_] for id_ in graph.resources}


def _look(resource: Resource[Any], held: bool, world: ReadingWorld, board: Board) -> Seen:
    put_in = substitute(resource, board.known)
    if not held:
        return Seen(put_in, None, asked=False)
    readable = substitute(resource, board.for_reading)
    return Seen(put_in, world.as_named_now(readable.read(world)), asked=True)


def discover(
    grounds: Iterable[Ground], reachable: Callable[[Ground], bool], world: ReadingWorld
) -> list[tuple[Ground, Facts]]:
    """Returns everything of every ground's kind that bears the site's mark, by ground."""
    found: list[tuple[Ground, Facts]] = []
    by_endpoint: dict[str, list[Ground]] = {}
    for ground in grounds:
        if reachable(ground):
            by_endpoint.setdefault(ground.at.name, []).append(ground)

    def look(there: list[Ground]) -> list[tuple[Ground, Facts]]:
        return [
            (ground, now)
            for ground in there
            for facts in ground.kind.discover(world, ground.at)
            if (now := world.as_named_now(facts)) is not None
        ]

    with concurrent.futures.ThreadPoolExecutor(MOST_ENDPOINTS, "discover") as pool:
        for some in pool.map(look, by_endpoint.values()):
            found.extend(some)
    return found
