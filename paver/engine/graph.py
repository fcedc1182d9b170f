"""Three edges between resources, and the order that they give.

`within` (exists inside), data (an output is used), `after` (order only); an endpoint's provider comes
before everything that lives at the endpoint. Only `within` and the provider imply absence.
"""

from __future__ import annotations

import dataclasses
import graphlib
import heapq
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from paver.engine.resource import Endpoint, Resource
from paver.engine.values import Output, ResourceId, Secret, references


@dataclasses.dataclass(frozen=True)
class Graph:
    """The wish as a graph.

    Attributes:
        resources: by id, each after all that it needs, phase by phase, else in the order in which they were wished for.
        needs: the direct predecessors of each.
        holders: `within` and the endpoint's provider: what implies absence.
        providers: what brings each endpoint into being.
    """

    resources: Mapping[ResourceId, Resource[Any]]
    needs: Mapping[ResourceId, frozenset[ResourceId]]
    holders: Mapping[ResourceId, frozenset[ResourceId]]
    providers: Mapping[str, ResourceId] = dataclasses.field(default_factory=dict)

    def asked_through(self, at: Endpoint[Any, Any]) -> frozenset[ResourceId]:
        """Returns what has to stand before anybody dials an endpoint: its provider, and that of what leads there."""
        found = (at.provider, self.providers.get(at.through) if at.through is not None else None)
        return frozenset(one for one in found if one is not None)

    def inside(self) -> dict[ResourceId, set[ResourceId]]:
        """Returns what exists directly inside of each: gone with it."""
        return backwards(self.holders)

    def dependents(self) -> dict[ResourceId, set[ResourceId]]:
        """Returns the direct successors of each."""
        return backwards(self.needs)


def backwards(edges: Mapping[ResourceId, Collection[ResourceId]]) -> dict[ResourceId, set[ResourceId]]:
    """Returns the same edges the other way round: of each that has edges or is at an end of one, where they come from."""
    found: dict[ResourceId, set[ResourceId]] = {id_: set() for id_ in edges}
    for id_, ends in edges.items():
        for one in ends:
            found.setdefault(one, set()).add(id_)
    return found


def data_edges(resource: Resource[Any]) -> frozenset[ResourceId]:
    """Returns whose outputs and generated secrets a wish uses."""
    return used_by(resource.wish().values())


def used_by(values: Iterable[object]) -> frozenset[ResourceId]:
    """Returns whose outputs and generated secrets these values hold."""
    used: set[ResourceId] = set()
    for value in values:
        for reference in references(value):
            if isinstance(reference, Output):
                used.add(reference.of)
            elif isinstance(reference, Secret) and reference.made_by is not None:
                used.add(reference.made_by)
    return frozenset(used)


def build(
    resources: Iterable[Resource[Any]],
    phases: tuple[str, ...],
    connectors: Mapping[str, Any] | None = None,
) -> Graph:
    """Returns the graph of `resources`.

    Raises:
        ValueError: for an id twice, an edge to nothing, to a later phase, or a cycle: a driver's fault.
    """
    by_id: dict[ResourceId, Resource[Any]] = {}
    for resource in resources:
        if resource.id in by_id:
            msg = f"two resources are called {resource.id}"
            raise ValueError(msg)
        by_id[resource.id] = resource
    rank = {phase: number for number, phase in enumerate(phases)}
    providers = {
        at.name: at.provider
        for one in by_id.values()
        for at in (one.at, *one.also)
        if at.provider is not None
    }
    needs: dict[ResourceId, frozenset[ResourceId]] = {}
    holders: dict[ResourceId, frozenset[ResourceId]] = {}
    # Once an endpoint, not once a resource: a host's connector lists all that is read of it.
    reaching = {name: used_by([connector]) for name, connector in (connectors or {}).items()}
    for id_, resource in by_id.items():
        holding = {one for one in (resource.within, resource.at.provider) if one is not None and one != id_}
        used = data_edges(resource) | reaching.get(resource.at.name, frozenset())
        leads = {providers[at.through] for at in (resource.at, *resource.also) if at.through in providers}
        needed = frozenset((holding | leads | resource.after | used) - {id_})
        for one in needed:
            if one not in by_id:
                msg = f"{id_} needs {one}, which nobody wishes for"
                raise ValueError(msg)
            if rank[by_id[one].phase] > rank[resource.phase]:
                msg = f"{id_} (phase {resource.phase}) needs {one} of the later phase {by_id[one].phase}"
                raise ValueError(msg)
        needs[id_] = needed
        holders[id_] = frozenset(holding)
    ordered = _ordered(needs, {id_: (rank[one.phase], n) for n, (id_, one) in enumerate(by_id.items())})
    return Graph({id_: by_id[id_] for id_ in ordered}, needs, holders, providers)


def _ordered(
    needs: Mapping[ResourceId, frozenset[ResourceId]], wanted: Mapping[ResourceId, tuple[int, int]]
) -> list[ResourceId]:
    """Returns all ids, each after what it needs, else as `wanted` says: by phase, then as the site file has them.

    Raises:
        ValueError: if they need each other in a circle.
    """
    sorter = graphlib.TopologicalSorter({id_: sorted(needed) for id_, needed in sorted(needs.items())})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        msg = "resources need each other in a circle: " + " → ".join(error.args[1])
        raise ValueError(msg) from error
    found: list[ResourceId] = []
    free: list[tuple[tuple[int, int], ResourceId]] = []
    while sorter.is_active():
        for id_ in sorter.get_ready():
            heapq.heappush(free, (wanted[id_], id_))
        _, id_ = heapq.heappop(free)
        found.append(id_)
        sorter.done(id_)
    return found


def closure(
    start: Iterable[ResourceId], step: Callable[[ResourceId], Iterable[ResourceId]]
) -> set[ResourceId]:
    """Returns all that is reached from `start` by `step`, `start` included."""
    seen: set[ResourceId] = set()
    todo = list(start)
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(step(one))
    return seen
