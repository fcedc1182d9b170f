"""A part of a site: what `--phase` and `--only` select, and whether it can be planned by itself."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Collection

from paver.engine.graph import Graph, closure
from paver.engine.plan import Action
from paver.engine.resource import Verb
from paver.engine.values import ResourceId
from paver.errors import BadInput, Refused, nearest

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Selection:
    """Resources of these phases (empty: of all) whose ids match one of these patterns (empty: all); false where that is all."""

    phases: tuple[str, ...]
    only: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.phases or self.only)

    def has(self, id_: str, phase: str) -> bool:
        """Tells whether a resource of that id and phase is selected."""
        return (not self.phases or phase in self.phases) and (
            not self.only or any(fnmatch.fnmatchcase(id_, pattern) for pattern in self.only)
        )

    def check(self, graph: Graph, phases: Collection[str]) -> None:
        """Does nothing if it names phases and resources of this site only: one that is misspelt selects less.

        Raises:
            BadInput: if not, or if it selects nothing.
        """
        for phase in self.phases:
            if phase not in phases:
                near = nearest(phase, phases)
                raise BadInput(
                    f"there is no phase {phase}",
                    seen=f"phases: {', '.join(phases)}",
                    do=f"did you mean {near}?" if near else "name one of them",
                )
        show = "`paver plan --ids` shows the names of the resources"
        for pattern in self.only:
            if not any(fnmatch.fnmatchcase(id_, pattern) for id_ in graph.resources):
                near = nearest(pattern, map(str, graph.resources))
                hint = f"did you mean {near}? " if near else ""
                raise BadInput(f"nothing is selected by {pattern}", do=hint + show)
        if self and not any(self.has(id_, one.phase) for id_, one in graph.resources.items()):
            both = f"{', '.join(self.only)} in {', '.join(self.phases)}"
            raise BadInput(
                f"nothing is selected by {both if self.only else ', '.join(self.phases)}",
                why="this site has nothing in that phase"
                if not self.only
                else "what matches lies in other phases",
                do=show,
            )

    def needed(self, graph: Graph) -> Graph:
        """Returns what has to be read for it."""
        if not self:
            return graph
        chosen = [id_ for id_, resource in graph.resources.items() if self.has(id_, resource.phase)]
        ids = closure(chosen, graph.needs.__getitem__)
        return Graph(
            {id_: resource for id_, resource in graph.resources.items() if id_ in ids},
            {id_: needed for id_, needed in graph.needs.items() if id_ in ids},
            {id_: holding for id_, holding in graph.holders.items() if id_ in ids},
            graph.providers,
        )

    def of(self, actions: list[Action], graph: Graph, *, mode: str) -> list[Action]:
        """Returns those of a plan's actions that are selected.

        Raises:
            Refused: if they need what is not there yet, or take away what something stands on that stays.
        """
        if not self:
            return actions
        chosen = [action for action in actions if self.has(action.resource, action.phase)]
        if mode == "destroy":
            _check_nothing_stands_on(graph, chosen, actions)
            return chosen
        ids = {action.resource for action in chosen}
        by_id = {action.resource: action for action in actions}
        needed = closure(ids, lambda id_: graph.needs.get(id_, frozenset())) - ids
        missing = sorted(id_ for id_ in needed if by_id[id_].verb is not Verb.KEEP)
        if missing:
            raise Refused(
                f"the selection needs {missing[0]}, which is not as it is wished",
                seen=_some(missing),
                why="what a selection depends on has to stand first",
                do="plan without --phase and --only, or select those too",
            )
        return chosen


def _check_nothing_stands_on(graph: Graph, chosen: list[Action], actions: list[Action]) -> None:
    """Does nothing if nothing that stays stands on what a part of a destroy takes away.

    Raises:
        Refused: if something does.
    """
    ids = {action.resource for action in chosen}
    staying = {a.resource for a in actions if a.verb in {Verb.DELETE, Verb.BLOCKED} and not a.implied} - ids
    dependents = graph.dependents()
    for action in chosen:
        if action.verb is not Verb.DELETE:
            continue
        above = closure([action.resource], lambda id_: dependents.get(id_, ())) | set(action.needs)
        if left := sorted(above & staying):
            raise Refused(
                f"the selection takes away {action.resource}, and {left[0]} stands on it",
                seen=_some(left),
                why="what stands on something goes first, or with it",
                do="select those too, or destroy the whole site",
            )


def _some(ids: list[ResourceId]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
