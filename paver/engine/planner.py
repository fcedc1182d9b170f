"""Wish and world in, plan out. The planner is only ever handed sessions that cannot write.

What is read is judged (`judge`), what is no longer wished for is added (`orphans`), and a part of it selected.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch

from paver.engine import moves, orphans
from paver.engine.board import Board
from paver.engine.graph import Graph, build, closure
from paver.engine.judge import Judge
from paver.engine.observe import Seen, observe
from paver.engine.paved import Paved
from paver.engine.plan import Action, Plan
from paver.engine.resource import Verb
from paver.engine.values import ResourceId
from paver.engine.world import ReadingWorld
from paver.errors import BadInput, Refused, Unobservable

_SHOWN = 5
PART = "what does not depend on it can be planned and applied without asking it: --phase, --only"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be planned.

    Attributes:
        mode: `apply` or `destroy`.
        phases: only these phases (empty: all).
        only: only resources whose id matches one of these patterns (empty: all).
        allow: patterns of protected resources that may be replaced or deleted.
        offline: nobody is asked; everything counts as absent, and the plan cannot be applied.
    """

    mode: str = "apply"
    phases: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    offline: bool = False

    @property
    def selects(self) -> bool:
        """True where only a part of the site is planned."""
        return bool(self.phases or self.only)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
    """What a plan is bound to."""

    site: str
    site_digest: str
    paver: str
    driver: str


def plan(paved: Paved, heading: Heading, request: Request, world: ReadingWorld, board: Board) -> Plan:
    """Returns the plan for `paved`; reads, never writes.

    A selection reads what it selects and what that depends on, and asks nobody else: so that a part can be
    mended while another part does not answer.

    Raises:
        Unobservable: if something that should answer does not.
        Refused: if a selection depends on what is not there yet, or takes away what others stand on.
        BadInput: if a selection names nothing, or something that this site does not have.
    """
    graph = build(paved.resources, paved.phases, paved.connectors)
    _check_names(graph, request, paved.phases)
    world = dataclasses.replace(world, moved=paved.moved)
    part = _part(graph, request)
    try:
        seen, actions = _judged(paved, part, request, world, board)
    except Unobservable as error:
        if part is graph and request.mode == "apply":
            error.do = "\n".join((*error.do.splitlines(), PART))
        raise
    if part is not graph and any(action.verb is Verb.REPLACE for action in actions):
        # What a replacement takes along lies outside of what it depends on.
        seen, actions = _judged(paved, graph, request, world, board)
    if not request.offline:
        found = orphans.marked(paved, graph, world, seen, selects=request.selects)
        stuck = moves.stuck(found, seen)
        if request.mode == "apply":
            actions = [moves.blocked(action, stuck, seen) for action in actions]
        elif stuck:
            actions = moves.leaving(actions, stuck, seen)
        if not request.selects:
            actions += orphans.actions(
                paved,
                graph,
                found,
                stuck,
                actions,
                leaving=request.mode == "destroy",
                allow=request.allow,
            )
    chosen = _select(graph, request, actions)
    slots = {r.at.name: r.at.slots for r in paved.resources if r.at.slots != 1}
    return Plan(
        site=heading.site,
        site_digest=heading.site_digest,
        paver=heading.paver,
        driver=heading.driver,
        mode=request.mode,
        phases=paved.phases,
        actions=tuple(chosen),
        selection=(*request.phases, *request.only),
        allow=request.allow,
        offline=request.offline,
        slots=slots,
    )


def _part(graph: Graph, request: Request) -> Graph:
    """Returns what has to be read for a selection; a destroy needs to know what stands on what."""
    if not request.selects or request.mode == "destroy":
        return graph
    chosen = [id_ for id_, resource in graph.resources.items() if _chosen(request, id_, resource.phase)]
    ids = closure(chosen, graph.needs.__getitem__)
    return Graph(
        {id_: resource for id_, resource in graph.resources.items() if id_ in ids},
        {id_: needed for id_, needed in graph.needs.items() if id_ in ids},
        {id_: holding for id_, holding in graph.holders.items() if id_ in ids},
        graph.providers,
    )


def _chosen(request: Request, id_: str, phase: str) -> bool:
    return (not request.phases or phase in request.phases) and (
        not request.only or any(fnmatch.fnmatchcase(id_, pattern) for pattern in request.only)
    )


def _judged(
    paved: Paved, graph: Graph, request: Request, world: ReadingWorld, board: Board
) -> tuple[dict[ResourceId, Seen], list[Action]]:
    judge = Judge(
        paved.outside,
        graph,
        world.site,
        world.versions,
        leaving=request.mode == "destroy",
        allow=request.allow,
    )
    if request.offline:
        seen = {id_: Seen(resource, None, asked=False) for id_, resource in graph.resources.items()}
        for one in seen.values():
            judge.decide(one)
    else:
        seen = observe(graph, world, board, judge.decide)
    return seen, [_foreseen(action, seen[action.resource], world) for action in judge.actions(seen)]


def _foreseen(action: Action, found: Seen, world: ReadingWorld) -> Action:
    if action.verb not in {Verb.CREATE, Verb.UPDATE} or not action.asked:
        return action
    words = found.resource.foresees(world, found.facts)
    return dataclasses.replace(action, reason=": ".join(filter(None, (action.reason, words))))


def _select(graph: Graph, request: Request, actions: list[Action]) -> list[Action]:
    if not request.selects:
        return actions
    chosen = [action for action in actions if _chosen(request, action.resource, action.phase)]
    if request.mode == "destroy":
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


def _check_names(graph: Graph, request: Request, phases: tuple[str, ...]) -> None:
    """Does nothing if the selection names phases and resources of this site only: one that is misspelt selects less.

    Raises:
        BadInput: if not.
    """
    for phase in request.phases:
        if phase not in phases:
            near = difflib.get_close_matches(phase, phases, 1)
            raise BadInput(
                f"there is no phase {phase}",
                seen=f"phases: {', '.join(phases)}",
                do=f"did you mean {near[0]}?" if near else "name one of them",
            )
    show = "`paver plan --ids` shows the names of the resources"
    for pattern in request.only:
        if not any(fnmatch.fnmatchcase(id_, pattern) for id_ in graph.resources):
            near = difflib.get_close_matches(pattern, map(str, graph.resources), 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadInput(f"nothing is selected by {pattern}", do=hint + show)
    if request.selects and not any(_chosen(request, id_, one.phase) for id_, one in graph.resources.items()):
        both = f"{', '.join(request.only)} in {', '.join(request.phases)}"
        raise BadInput(
            f"nothing is selected by {both if request.only else ', '.join(request.phases)}",
            why="this site has nothing in that phase"
            if not request.only
            else "what matches lies in other phases",
            do=show,
        )


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
