"""Wish and world in, plan out. The planner is only ever handed sessions that cannot write.

What is read is judged (`judge`), what is no longer wished for is added (`orphans`), and a part of it selected (`selection`).
"""

from __future__ import annotations

import dataclasses

from paver.engine import moves, order, orphans
from paver.engine.board import Board
from paver.engine.diff import put_back
from paver.engine.graph import Graph
from paver.engine.judge import Judge
from paver.engine.observe import Seen, observe
from paver.engine.paved import Paved
from paver.engine.plan import Action, Plan
from paver.engine.resource import Verb
from paver.engine.selection import Selection
from paver.engine.values import ResourceId
from paver.engine.world import ReadingWorld
from paver.errors import Unobservable

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
        return bool(self.selection)

    @property
    def selection(self) -> Selection:
        """The part of the site that is planned."""
        return Selection(self.phases, self.only)


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
    graph = paved.graph
    request.selection.check(graph, paved.phases)
    world = dataclasses.replace(world, moved=paved.moved)
    # A destroy needs to know what stands on what.
    part = graph if request.mode == "destroy" else request.selection.needed(graph)
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
        found = orphans.marked(
            paved, graph, world, seen, selects=request.selects, leaving=request.mode == "destroy"
        )
        stuck = moves.stuck(found, seen)
        if request.mode == "apply":
            actions = [moves.blocked(action, stuck, seen) for action in actions]
        elif stuck:
            actions = moves.leaving(actions, stuck, seen, world)
        if not request.selects:
            actions += orphans.actions(
                paved,
                graph,
                found,
                stuck,
                actions,
                world,
                leaving=request.mode == "destroy",
                allow=request.allow,
            )
    leaving = request.mode == "destroy"
    actions = order.given(actions, graph, paved, leaving=leaving)
    chosen = request.selection.of(actions, graph, mode=request.mode)
    if request.selects:
        chosen = order.given(chosen, graph, paved, leaving=leaving)
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
        slots=paved.slots,
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
    made = judge.actions(seen, request.selection)
    return seen, [foreseen(action, seen[action.resource], world) for action in made]


def foreseen(action: Action, found: Seen, world: ReadingWorld) -> Action:
    """Returns an action with what else is to be said of it: to what a setting goes back, what its kind foresees.

    Raises:
        Refused: if it must not even be planned, as the world is.
    """
    if action.verb is Verb.DELETE and found.facts is not None:
        former = found.resource.former(world, found.resource.at, found.facts)
        return dataclasses.replace(action, changes=put_back(found.facts, former))
    if action.verb not in {Verb.CREATE, Verb.UPDATE} or not action.asked:
        return action
    words = found.resource.foresees(world, found.facts)
    return dataclasses.replace(action, reason=": ".join(filter(None, (action.reason, words))))
