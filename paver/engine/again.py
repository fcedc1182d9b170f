"""What a plan says of an action, said again: by the planner's own rules, from the wish and from what was read.

What was not known when the plan was made follows from which actions it has: a fact of something that is to change was
not. So an action can be judged again as long as its thing is as it was before, which is as long as there is anything to be
done by it; what else of the plan was done meanwhile makes no difference.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from paver.engine import held, leave, order, orphans
from paver.engine.board import Board
from paver.engine.diff import fingerprint
from paver.engine.graph import closure
from paver.engine.judge import Judge, Verdict
from paver.engine.leave import TAKES
from paver.engine.observe import Seen
from paver.engine.paved import Paved
from paver.engine.plan import Action, Plan
from paver.engine.planner import foreseen
from paver.engine.resource import Facts, Resource, Verb
from paver.engine.values import ResourceId, references, substitute
from paver.engine.world import ReadingWorld
from paver.errors import Refused
from paver.signing import canonical

SHOWN = ("changes", "says", "opaque", "estimate")


class Again:
    """Judges a plan's actions again. There is none of a plan that is not of the wish, or takes what nobody named.

    Args:
        plan: as approved.
        paved: the wish, rebuilt from the site.
        board: what was read, or found after an act.
        world: to ask for what else a plan tells.
        allow: patterns of the protected resources that the command itself lets the plan take away.

    Raises:
        Refused: if an action is not of this wish, or takes away what is protected and not named by plan and command.
    """

    def __init__(
        self, plan: Plan, paved: Paved, board: Board, world: ReadingWorld, *, allow: Collection[str] = ()
    ) -> None:
        held.demand(plan, paved)
        leave.demand(plan, paved, allow)
        self.plan = plan
        self.paved = paved
        self.board = board
        self._graph = graph = paved.graph
        self._world = world
        self._about = order.wished(plan.actions, graph, paved)
        self._ids = {action.resource: id_ for id_, action in self._about.items()}
        self._inside = graph.inside()
        leaving = plan.mode == "destroy"
        self._judge = Judge(
            paved.outside, graph, plan.site, world.versions, leaving=leaving, allow=plan.allow
        )
        self._then: dict[ResourceId, Resource[Any]] = {}
        then = Board()
        for id_, resource in graph.resources.items():
            said, known = self._about.get(id_), substitute(resource, then.known)
            if said is not None:
                verdict = Verdict(said.verb, said.reason, said.changes)
            elif leaving:
                # A part of a destroy is planned by the whole of it, and what is left out counts as going, too.
                verdict = self._judge.verdict(Seen(known, board.facts(id_), asked=True))
            else:
                verdict = Verdict(None)
            pending = self._judge.note(resource, verdict)
            then.put(id_, board.facts(id_), pending=pending, wished=known.wish())
            self._then[id_] = known

    def demand_all(self) -> None:
        """Does nothing if the plan says what is to become of all that was read and is as it was before.

        Raises:
            Refused: if not.
        """
        chosen = held.part(self.plan)
        for id_, resource in self._then.items():
            action, facts = self._about.get(id_), self.board.facts(id_)
            if action is None:
                # What an apply leaves out is told without anything being read.
                stands = self._judge.verdict(Seen(resource, facts, asked=True)).verb is not None
                if self.plan.mode == "destroy" and stands and chosen.has(id_, resource.phase):
                    raise held.leaves_out(self.plan, id_)
            elif action.verb is not Verb.BLOCKED and fingerprint(facts) == action.before:
                self._demand(action, facts)

    def demand(self, action: Action, facts: Facts | None) -> None:
        """Does nothing if the plan says what `action` does, now that it is to be done and `facts` were read.

        Raises:
            Refused: if not.
        """
        if fingerprint(facts) == action.before:
            self._demand(action, facts)
        elif action.before is None:
            # It came with what it lies in, or a run that was killed began it: it was absent.
            self._demand(action, None, foresees=False)

    def _demand(self, action: Action, facts: Facts | None, *, foresees: bool = True) -> None:
        id_ = self._ids.get(action.resource)
        reasons: set[str] = set()
        if id_ is not None:
            seen = Seen(self._then[id_], facts, asked=action.asked)
            expected = self._wished(action, seen)
            if foresees:
                expected = foreseen(expected, seen, self._world)
            if not action.asked:
                reasons = {f"with {one}" for one in self._judge.rebuilt(seen.resource)[:1]}
            self._demand_lost(action, id_)
        elif facts is not None:
            ground = self.paved.ground_of[action.kind, action.endpoint]
            expected = orphans.action(
                self.paved, ground, facts, action.resource, self._world, self.plan.allow
            )
            held.demand_same(action, "lost", ())
        else:
            raise held.edited(action, "before", "absent", "what is to be deleted")
        held.demand_same(action, "verb", expected.verb)
        _demand_promised(action, expected)
        for field in SHOWN:
            held.demand_same(action, field, getattr(expected, field))
        if (foresees or not action.asked) and action.reason not in reasons:
            held.demand_same(action, "reason", expected.reason)

    def _wished(self, action: Action, seen: Seen) -> Action:
        verdict = self._judge.verdict(seen)
        if action.verb is Verb.KEEP and self._moved_on(verdict, self._graph.resources[seen.resource.id]):
            verdict = Verdict(Verb.KEEP)
        if verdict.verb is None:
            raise held.edited(action, "verb", action.verb.value, "none: it is not the site's")
        return self._judge.action(seen, verdict.verb, verdict, lost=action.lost, implied=action.implied)

    def _moved_on(self, verdict: Verdict, resource: Resource[Any]) -> bool:
        """Tells whether what was kept is to change now by values alone that come from elsewhere: no plan could know."""
        fetched = {name for name, value in resource.wish().items() if any(references(value))}
        fields = {change.field for change in verdict.changes}
        return (
            verdict.verb in {Verb.UPDATE, Verb.REPLACE, Verb.BLOCKED} and bool(fields) and fields <= fetched
        )

    def _demand_lost(self, action: Action, id_: ResourceId) -> None:
        """What was in it once may be gone by this plan; what is in it now was there."""
        within: set[ResourceId] = set()
        if action.verb in TAKES:
            within = closure(self._inside[id_], self._inside.__getitem__)
        standing = {one for one in within if self.board.facts(one) is not None}
        if not standing <= set(action.lost) <= within or list(action.lost) != sorted(set(action.lost)):
            raise held.edited(
                action, "lost", *(", ".join(sorted(one)) or "none" for one in (action.lost, standing))
            )


def _demand_promised(action: Action, expected: Action) -> None:
    for name in sorted({*action.planned, *expected.planned}):
        now, planned = (
            canonical.dumps(one.planned[name]).decode() if name in one.planned else "nothing"
            for one in (expected, action)
        )
        if now != planned:
            raise Refused(
                f"{action.resource}: {name} is not what the plan promised",
                seen=f"{now}, planned {planned}",
                why="what it comes from changed after the plan was made, or the plan was edited",
                do=held.AGAIN,
            )
