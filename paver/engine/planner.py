"""Wish and world in, plan out. The planner is only ever handed sessions that cannot write.

Verdicts, in this order: absent → create; foreign → blocked or adopt; another site's or resource's →
blocked; bears the id from before `moved` → update, so that its mark is rewritten; begun and not completed → create again (converge); nothing differs → keep; a field that cannot
change in place differs → replace; else update. Orphans are deletes in every plan of the whole site.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

from paver.engine import moves
from paver.engine.board import Board, standing
from paver.engine.diff import Change, changes, managed
from paver.engine.graph import Graph, build, closure
from paver.engine.observe import Seen, discover, observe
from paver.engine.paved import Paved
from paver.engine.plan import WRITES, Action, Plan
from paver.engine.resource import Facts, Ground, Resource, Verb
from paver.engine.values import ResourceId, Secret, encode
from paver.engine.world import ReadingWorld
from paver.errors import BadInput, Refused, Unobservable
from paver.signing import canonical

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
        Refused: if a selection depends on what is not there yet.
        BadInput: if a selection names nothing.
    """
    graph = build(paved.resources, paved.phases, paved.connectors)
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
        found = _marked(paved, graph, request, world, seen)
        stuck = moves.stuck(found, seen)
        if request.mode == "apply":
            actions = [moves.blocked(action, stuck, seen) for action in actions]
        elif stuck:
            actions = moves.leaving(actions, stuck, seen)
        if not request.selects:
            actions += _orphans(paved, graph, request, found, stuck, actions)
    chosen = _select(graph, request, actions, paved.phases)
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
    )


def _chosen(request: Request, id_: str, phase: str) -> bool:
    return (not request.phases or phase in request.phases) and (
        not request.only or any(fnmatch.fnmatchcase(id_, pattern) for pattern in request.only)
    )


def _judged(
    paved: Paved, graph: Graph, request: Request, world: ReadingWorld, board: Board
) -> tuple[dict[ResourceId, Seen], list[Action]]:
    judge = _Judge(paved, graph, request, world.site, world.versions)
    if request.offline:
        seen = {id_: Seen(resource, None, asked=False) for id_, resource in graph.resources.items()}
        for one in seen.values():
            judge.decide(one)
    else:
        seen = observe(graph, world, board, judge.decide)
    return seen, judge.actions(seen)


def fingerprint(facts: Facts | None) -> str | None:
    """Returns the digest of managed facts, None for absent."""
    return None if facts is None else canonical.digest(managed(facts))


def wish_digest(resource: Resource[Any]) -> str:
    """Returns the digest of a wish as the driver wrote it, placeholders in place."""
    return canonical.digest({"id": resource.id, "wish": encode(resource.wish())})


def allowed(id_: str, patterns: tuple[str, ...]) -> bool:
    """Tells whether a protected resource was named."""
    return any(fnmatch.fnmatchcase(id_, pattern) for pattern in patterns)


class _Judge:
    """Decides on one resource after the other, in the order of the graph."""

    def __init__(
        self,
        paved: Paved,
        graph: Graph,
        request: Request,
        site: str,
        versions: Callable[[Secret], str | None],
    ) -> None:
        self._paved = paved
        self._graph = graph
        self._request = request
        self._site = site
        self._versions = versions
        self.verdicts: dict[ResourceId, tuple[Verb | None, str, tuple[Change, ...]]] = {}

    def decide(self, seen: Seen) -> frozenset[str] | None:
        verdict = self._leaving(seen) if self._request.mode == "destroy" else self._staying(seen)
        self.verdicts[seen.resource.id] = verdict
        verb, _, changed = verdict
        if verb in {Verb.CREATE, Verb.REPLACE, Verb.BLOCKED, Verb.DELETE}:
            return None
        return frozenset(change.field for change in changed)

    def _staying(self, seen: Seen) -> tuple[Verb | None, str, tuple[Change, ...]]:
        resource, facts = seen.resource, seen.facts
        rebuilt = [
            one
            for one in self._graph.holders[resource.id]
            if self.verdicts[one][0] in {Verb.REPLACE, Verb.CREATE}
        ]
        if facts is None or rebuilt:
            return Verb.CREATE, f"with {rebuilt[0]}" if rebuilt and facts is not None else "", ()
        changed = changes(resource, facts, self._versions)
        mark = facts.mark
        if mark is None and not resource.setting:
            if resource.adopt:
                return Verb.ADOPT, "the site file adopts it", changed
            return Verb.BLOCKED, "a foreign thing of the same name stands there", ()
        if mark is not None and mark.site != self._site:
            return Verb.BLOCKED, f"it belongs to the site {mark.site}", ()
        if mark is not None and mark.id != resource.id:
            return Verb.BLOCKED, f"it was made for {mark.id}", ()
        if mark is not None and mark.was and (reason := moves.hindrance(resource, facts, changed)):
            return Verb.BLOCKED, reason, ()
        if mark is not None and not mark.complete:
            verb = Verb.UPDATE if resource.setting else Verb.CREATE
            return verb, "begun and not completed: converge", changed
        moved = f"renamed in the site file: it was {mark.was}" if mark is not None and mark.was else ""
        if not changed and not moved:
            return Verb.KEEP, "", ()
        if any(change.field in resource.replaces and not change.unknown for change in changed):
            if resource.protected and not allowed(resource.id, self._request.allow):
                fields = ", ".join(c.field for c in changed if c.field in resource.replaces)
                return (
                    Verb.BLOCKED,
                    f"{fields} cannot change in place, and it is protected: name it with --allow",
                    changed,
                )
            return Verb.REPLACE, moved, changed
        return Verb.UPDATE, moved, changed

    def _leaving(self, seen: Seen) -> tuple[Verb | None, str, tuple[Change, ...]]:
        resource, facts = seen.resource, seen.facts
        if facts is None or facts.mark is None or facts.mark.site != self._site:
            return None, "", ()
        if resource.stays:
            return Verb.KEEP, f"stays: {resource.stays}", ()
        if resource.protected and not allowed(resource.id, self._request.allow):
            return Verb.BLOCKED, "protected: name it with --allow", ()
        return Verb.DELETE, "", ()

    def actions(self, seen: dict[ResourceId, Seen]) -> list[Action]:
        deleting = {id_ for id_, (verb, _, _) in self.verdicts.items() if verb is Verb.DELETE}
        dependents = self._graph.dependents()
        children: dict[ResourceId, list[ResourceId]] = {id_: [] for id_ in self._graph.resources}
        for id_, holding in self._graph.holders.items():
            for one in holding:
                children[one].append(id_)
        made = []
        for id_, found in seen.items():
            verb, reason, changed = self.verdicts[id_]
            if verb is None:
                continue
            original = self._graph.resources[id_]
            if verb is Verb.DELETE:
                needs = sorted(
                    {
                        other
                        for other in closure(dependents[id_], dependents.__getitem__)
                        if other in deleting and other != id_
                    }
                    & deleting
                )
            else:
                needs = sorted(self._graph.needs[id_])
            lost: list[ResourceId] = []
            if verb in {Verb.DELETE, Verb.REPLACE}:
                inside = closure(children[id_], children.__getitem__)
                lost = sorted(other for other in inside if seen[other].facts is not None)
            implied = verb is Verb.DELETE and original.dies_with_parent and original.within in deleting
            made.append(
                self._action(original, found, verb, reason, changed, needs=needs, lost=lost, implied=implied)
            )
        return made

    def _action(
        self,
        original: Resource[Any],
        seen: Seen,
        verb: Verb,
        reason: str,
        changed: tuple[Change, ...],
        *,
        needs: list[ResourceId],
        lost: list[ResourceId],
        implied: bool,
    ) -> Action:
        acts = verb in WRITES and not implied
        rebuilt = verb is Verb.CREATE and bool(reason.startswith("with "))
        opaque = seen.resource.opaque() if verb in {Verb.CREATE, Verb.REPLACE, Verb.UPDATE} else None
        wished = {name: encode(value, self._versions) for name, value in sorted(seen.resource.wish().items())}
        return Action(
            resource=original.id,
            kind=original.kind,
            phase=original.phase,
            station="outside" if original.phase in self._paved.outside else "jumpbox",
            endpoint=original.at.name,
            also=tuple(sorted(one.name for one in original.also)),
            verb=verb,
            reason=reason,
            says=str(seen.resource.says()) if verb is not Verb.KEEP else "",
            wish=None if verb is Verb.DELETE else wish_digest(original),
            planned={} if verb in {Verb.DELETE, Verb.KEEP} else wished,
            before=None if rebuilt else fingerprint(seen.facts),
            asked=seen.asked and not rebuilt,
            changes=changed,
            needs=tuple(needs),
            calls=calls_of(type(original), verb) if acts else (),
            lost=tuple(lost),
            implied=implied,
            setting=original.setting,
            opaque=None
            if opaque is None
            else {"argv": list(opaque.argv), "effects": list(opaque.effects), "tool": opaque.tool},
            lane=original.lane.value,
            estimate=seen.resource.estimate() if acts else 0,
        )


def calls_of(kind: type[Resource[Any]], verb: Verb) -> tuple[str, ...]:
    """Returns what an act of `verb` may call: for a replace, that of delete and create."""
    verbs = {
        Verb.REPLACE: (Verb.DELETE, Verb.CREATE, Verb.UPDATE),
        Verb.ADOPT: (Verb.ADOPT, Verb.UPDATE),
        Verb.CREATE: (Verb.CREATE, Verb.UPDATE),
    }.get(verb, (verb,))
    return tuple(sorted({call for one in verbs for call in kind.calls.get(one, frozenset())}))


def _marked(
    paved: Paved, graph: Graph, request: Request, world: ReadingWorld, seen: dict[ResourceId, Seen]
) -> list[tuple[Ground, Facts]]:
    """Returns all that bears the site's mark; under a selection only where something selected was renamed."""

    def reachable(ground: Ground) -> bool:
        provider = ground.at.provider
        return provider is None or (
            provider in seen and standing(seen[provider].facts, graph.resources[provider])
        )

    grounds = paved.grounds
    if request.selects:
        renamed = {
            (graph.resources[new].kind, graph.resources[new].at.name)
            for new in paved.moved.values()
            if new in seen
        }
        grounds = tuple(ground for ground in grounds if (ground.kind.kind, ground.at.name) in renamed)
    found = discover(dict(enumerate(grounds)), reachable, world)
    return [
        (ground, facts) for ground, facts in found if facts.mark is not None and facts.mark.site == world.site
    ]


def _orphans(
    paved: Paved,
    graph: Graph,
    request: Request,
    marked: list[tuple[Ground, Facts]],
    stuck: Mapping[ResourceId, Facts],
    planned: list[Action],
) -> list[Action]:
    """Marked, no longer wished for: deleted last at their endpoint, later kinds first."""
    order = {ground.kind.kind: number for number, ground in enumerate(paved.grounds)}
    if request.mode == "destroy":
        # What could not take its new id goes under its old one.
        marked = [(ground, moves.as_marked(facts, stuck)) for ground, facts in marked]
    known = {*graph.resources, *(action.resource for action in planned)}
    found = [
        (ground, facts) for ground, facts in marked if facts.mark is not None and facts.mark.id not in known
    ]
    made = []
    for ground, facts in found:
        if facts.mark is None:
            continue
        later = {
            other.mark.id
            for place, other in found
            if other.mark is not None
            and other is not facts
            and (order[place.kind.kind], other.mark.id) > (order[ground.kind.kind], facts.mark.id)
        }
        staying = {a.resource for a in planned if a.verb in WRITES and a.endpoint == ground.at.name}
        if request.mode == "destroy":
            staying = set()
        protected = any(
            field.name == "protected" and field.default is True for field in dataclasses.fields(ground.kind)
        )
        blocked = protected and not allowed(facts.mark.id, request.allow)
        made.append(
            Action(
                resource=facts.mark.id,
                kind=ground.kind.kind,
                phase=ground.phase,
                station="outside" if ground.phase in paved.outside else "jumpbox",
                endpoint=ground.at.name,
                also=tuple(sorted(one.name for one in ground.also)),
                verb=Verb.BLOCKED if blocked else Verb.DELETE,
                reason="protected: name it with --allow" if blocked else "no longer wished for",
                before=fingerprint(facts),
                needs=tuple(sorted(later | staying)),
                calls=calls_of(ground.kind, Verb.DELETE),
                setting=ground.kind.setting,
                lane=ground.kind.lane.value,
                estimate=1,
            )
        )
    if request.mode == "destroy" and made:
        _before_providers(paved, planned, made)
    return made


def _before_providers(paved: Paved, planned: list[Action], orphans: list[Action]) -> None:
    """Makes each delete of an endpoint's provider wait for the orphans that live there."""
    provider_of = {ground.at.name: ground.at.provider for ground in paved.grounds}
    for number, action in enumerate(planned):
        living = {
            orphan.resource for orphan in orphans if provider_of.get(orphan.endpoint) == action.resource
        }
        if living:
            planned[number] = dataclasses.replace(action, needs=tuple(sorted(set(action.needs) | living)))


def _select(graph: Graph, request: Request, actions: list[Action], phases: tuple[str, ...]) -> list[Action]:
    if not request.selects:
        return actions
    chosen = [action for action in actions if _chosen(request, action.resource, action.phase)]
    if not chosen:
        raise BadInput(
            f"nothing is selected by {', '.join([*request.phases, *request.only])}",
            seen=f"phases: {', '.join(phases)}" if request.phases else "",
            do="name a phase" if request.phases else "`paver plan --ids` shows the names of the resources",
        )
    if request.mode == "destroy":
        return chosen
    ids = {action.resource for action in chosen}
    by_id = {action.resource: action for action in actions}
    needed = closure(ids, lambda id_: graph.needs.get(id_, frozenset())) - ids
    missing = sorted(id_ for id_ in needed if by_id[id_].verb is not Verb.KEEP)
    if missing:
        raise Refused(
            f"the selection needs {missing[0]}, which is not as it is wished",
            why=f"{len(missing)} resources that the selection depends on would change first",
            do="plan without --phase and --only, or select those too",
        )
    return chosen
