"""One verdict a resource, and the action that follows from it.

In this order: absent → create; foreign → blocked or adopt; another site's or resource's → blocked; bears the id
from before `moved` → update, so that its mark is rewritten; begun and not completed → create again (converge);
nothing differs → keep; a field that cannot change in place differs → replace; else update.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from paver.engine import adoption, held, moves, proof
from paver.engine.diff import Change, changes, fingerprint, wish_digest
from paver.engine.graph import Graph, closure
from paver.engine.leave import allowed
from paver.engine.observe import Seen
from paver.engine.order import goes_along
from paver.engine.plan import WRITES, Action
from paver.engine.resource import Resource, Verb
from paver.engine.selection import Selection
from paver.engine.values import ResourceId, Secret, encode


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is to become of a resource.

    Attributes:
        verb: None where nothing is said of it.
        reason: why, where the verb alone does not say it.
        changes: the fields that differ.
        rebuilt: it is made anew because what it lies in is.
    """

    verb: Verb | None
    reason: str = ""
    changes: tuple[Change, ...] = ()
    rebuilt: bool = False


class Judge:
    """Decides on one resource after the other, in the order of the graph.

    Args:
        outside: the phases whose writes happen where paver was started.
        graph: what is judged.
        site: whose marks are ours.
        versions: of secrets.
        leaving: whether the site is to be destroyed.
        allow: patterns of protected resources that may be replaced or deleted.
    """

    def __init__(
        self,
        outside: frozenset[str],
        graph: Graph,
        site: str,
        versions: Callable[[Secret], str | None],
        *,
        leaving: bool,
        allow: tuple[str, ...],
    ) -> None:
        self._outside = outside
        self._graph = graph
        self._site = site
        self._standing = versions
        self._decide = self._leaving if leaving else self._staying
        self._allow = allow
        self._verdicts: dict[ResourceId, Verdict] = {}

    def decide(self, seen: Seen) -> frozenset[str] | None:
        """Judges what was read; returns the fields that will change (None: all)."""
        return self.note(seen.resource, self.verdict(seen))

    def verdict(self, seen: Seen) -> Verdict:
        """Judges what was read, by what was decided on what it stands on."""
        return self._decide(seen)

    def note(self, resource: Resource[Any], verdict: Verdict) -> frozenset[str] | None:
        """Takes down what was decided on a resource; returns its fields that will change (None: all)."""
        self._verdicts[resource.id] = verdict
        if verdict.verb in {Verb.CREATE, Verb.REPLACE, Verb.BLOCKED, Verb.DELETE}:
            return None
        changed = frozenset(change.field for change in verdict.changes)
        return changed | resource.remade if verdict.verb is Verb.UPDATE else changed

    def _versions(self, secret: Secret) -> str | None:
        """Returns the version of a secret that will stand; None where there is none yet, or it is made anew."""
        maker = self._verdicts.get(secret.made_by) if secret.made_by is not None else None
        if maker is not None and maker.verb in {Verb.CREATE, Verb.UPDATE, Verb.REPLACE}:
            return None
        return self._standing(secret)

    def rebuilt(self, resource: Resource[Any]) -> list[ResourceId]:
        """Returns what is made anew, or for the first time, of that which a resource lies in."""
        verbs = {Verb.REPLACE, Verb.CREATE}
        # Sorted: the plan names the first, and is to be the same by every run.
        return [one for one in sorted(self._graph.holders[resource.id]) if self._verdicts[one].verb in verbs]

    def _staying(self, seen: Seen) -> Verdict:
        resource, facts = seen.resource, seen.facts
        if facts is None:
            return Verdict(Verb.CREATE)
        if rebuilt := self.rebuilt(resource):
            if resource.protected and facts.mark is not None and not allowed(resource.id, self._allow):
                return Verdict(
                    Verb.BLOCKED, f"lost with {rebuilt[0]}, and it is protected: name it with --allow"
                )
            return Verdict(Verb.CREATE, f"with {rebuilt[0]}", rebuilt=True)
        changed = changes(resource, facts, self._versions)
        mark = facts.mark
        if mark is None and not resource.setting:
            if resource.adopt and (reason := adoption.hindrance(resource, changed)):
                return Verdict(Verb.BLOCKED, reason, changed)
            if resource.adopt:
                return Verdict(Verb.ADOPT, "the site file adopts it", changed)
            return Verdict(Verb.BLOCKED, "a foreign thing of the same name stands there")
        if mark is not None and mark.site != self._site:
            return Verdict(Verb.BLOCKED, f"it belongs to the site {mark.site}")
        if mark is not None and mark.id != resource.id:
            return Verdict(Verb.BLOCKED, f"it was made for {mark.id}")
        if mark is not None and mark.was and (reason := moves.hindrance(resource, facts, changed)):
            return Verdict(Verb.BLOCKED, reason)
        if mark is not None and not mark.complete:
            verb = Verb.UPDATE if resource.setting else Verb.CREATE
            return Verdict(verb, "begun and not completed: converge", changed)
        moved = f"renamed in the site file: it was {mark.was}" if mark is not None and mark.was else ""
        if not changed and not moved:
            return Verdict(Verb.KEEP)
        if any(change.field in resource.replaces and not change.unknown for change in changed):
            if resource.protected and not allowed(resource.id, self._allow):
                fields = ", ".join(c.field for c in changed if c.field in resource.replaces)
                return Verdict(
                    Verb.BLOCKED,
                    f"{fields} cannot change in place, and it is protected: name it with --allow",
                    changed,
                )
            return Verdict(Verb.REPLACE, moved, changed)
        return Verdict(Verb.UPDATE, moved, changed)

    def _leaving(self, seen: Seen) -> Verdict:
        resource, facts = seen.resource, seen.facts
        if facts is None or facts.mark is None or facts.mark.site != self._site:
            return Verdict(None)
        if resource.stays:
            return Verdict(Verb.KEEP, f"stays: {resource.stays}")
        if resource.protected and not allowed(resource.id, self._allow):
            return Verdict(Verb.BLOCKED, "protected: name it with --allow")
        return Verdict(Verb.DELETE)

    def actions(self, seen: dict[ResourceId, Seen], chosen: Selection) -> list[Action]:
        """Returns an action for each of what was judged; what is not `chosen` takes nothing along."""
        going = {
            id_
            for id_, verdict in self._verdicts.items()
            if verdict.verb is Verb.DELETE and chosen.has(id_, self._graph.resources[id_].phase)
        }
        inside = self._graph.inside()
        made = []
        for id_, found in seen.items():
            verdict = self._verdicts[id_]
            if verdict.verb is None:
                continue
            lost: list[ResourceId] = []
            if verdict.verb in {Verb.DELETE, Verb.REPLACE}:
                within = closure(inside[id_], inside.__getitem__)
                lost = sorted(other for other in within if seen[other].facts is not None)
            implied = verdict.verb is Verb.DELETE and goes_along(self._graph.resources[id_], going)
            made.append(self.action(found, verdict.verb, verdict, lost=tuple(lost), implied=implied))
        return made

    def action(
        self, seen: Seen, verb: Verb, verdict: Verdict, *, lost: tuple[ResourceId, ...], implied: bool
    ) -> Action:
        """Returns the action of a verdict; what it needs done before is `order`'s."""
        original = self._graph.resources[seen.resource.id]
        acts = verb in WRITES and not implied
        opaque = seen.resource.opaque(verb) if acts and verb is not Verb.ADOPT else None
        wished = {name: encode(value, self._versions) for name, value in sorted(seen.resource.wish().items())}
        return Action(
            resource=original.id,
            **held.frame(type(original), original.at, original.phase, original.also, self._outside),
            verb=verb,
            reason=verdict.reason,
            says=str(seen.resource.says()) if verb is not Verb.KEEP else "",
            wish=None if verb is Verb.DELETE else wish_digest(original),
            planned={} if verb in {Verb.DELETE, Verb.KEEP} else wished,
            before=None if verdict.rebuilt else fingerprint(seen.facts),
            asked=seen.asked and not verdict.rebuilt,
            changes=verdict.changes,
            calls=held.calls_of(type(original), verb) if acts else (),
            lost=lost,
            implied=implied,
            opaque=None if opaque is None else proof.promised(opaque, wished, self._versions),
            estimate=_seconds(seen.resource, verb) if acts else 0,
        )


def _seconds(resource: Resource[Any], verb: Verb) -> int:
    """Returns about how long an act takes: an update that leaves the tool out takes nothing of its time."""
    without = verb is Verb.UPDATE and resource.opaque(verb) is None
    return 1 if without and resource.opaque(Verb.CREATE) is not None else resource.estimate()
