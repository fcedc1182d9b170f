"""The act, held to the plan.

Each action is observed again: as before → act; as after → skip; begun by us and incomplete → converge;
anything else → drift, refused. Its first line in the journal is on disk before its first call leaves, and
it is done only when what was read afterwards equals the wish and every proof holds.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from paver.engine import order, proof
from paver.engine.again import Again
from paver.engine.board import standing
from paver.engine.diff import changes, fingerprint, since
from paver.engine.gate import Passage
from paver.engine.graph import Graph, closure
from paver.engine.journal import Journal
from paver.engine.mark import Mark
from paver.engine.plan import WRITES, Action
from paver.engine.resource import Facts, Resource, Verb
from paver.engine.scheduler import Scheduler
from paver.engine.values import ResourceId, Secret, encode, has_unknown, substitute
from paver.engine.world import Connections, ReadingWorld, WritingWorld
from paver.errors import Interrupted, PaverError, Refused, Unobservable
from paver.signing.canonical import Json

MOST_AT_ONCE = 64
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Event:
    """What a live view is told."""

    what: Literal["begun", "doing", "done", "skipped", "failed"]
    action: Action
    text: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    seconds: float = 0.0


def told(tell: Callable[[T], None], event: T) -> None:
    """Tells a view of an event. A view that fails decides nothing: what was done is done, and in the journal."""
    with contextlib.suppress(Exception):
        tell(event)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended at this station.

    Attributes:
        done: acted or found in place.
        failed: with what went wrong, in the order in which it happened.
        left: not started.
    """

    done: frozenset[ResourceId]
    acted: frozenset[ResourceId]
    failed: tuple[tuple[ResourceId, BaseException], ...]
    left: tuple[ResourceId, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hands:
    """What the executor acts with: everything that is not the plan."""

    connections: Connections
    journal: Journal
    versions: Callable[[Secret], str | None]
    reveal: Callable[[Secret], str]
    tell: Callable[[Event], None]
    stop: threading.Event


class Executor:
    """Carries out a plan's actions at one station.

    Args:
        again: what holds the plan to the wish; without it nobody acts.
        hands: sessions, journal, live view.
    """

    def __init__(self, again: Again, hands: Hands) -> None:
        self._again = again
        self._plan = plan = again.plan
        self._board = again.board
        self._hands = hands
        paved = again.paved
        self._graph: Graph = paved.graph
        self._grounds = paved.ground_of
        self._kinds: Mapping[str, type[Resource[Any]]] = {g.kind.kind: g.kind for g in paved.grounds}
        self._actions = {action.resource: action for action in plan.actions}
        self._lost: set[ResourceId] = set()
        self._reading = ReadingWorld(plan.site, hands.connections, hands.versions, moved=paved.moved)

    def run(self, mine: Callable[[Action], bool], done: Iterable[ResourceId] = ()) -> Outcome:
        """Acts on all pending actions that are `mine` and whose needs are met; `done` were done elsewhere."""
        already = set(done) | {a.resource for a in self._plan.actions if not a.writes and not a.implied}
        todo = [a for a in self._plan.actions if a.verb in WRITES and a.resource not in already]
        needs = order.needs(self._plan.actions, self._graph)
        # What waits for another station's is left for the next round.
        theirs = order.behind((action.resource for action in todo if not mine(action)), needs)
        scheduler = Scheduler([a for a in todo if a.resource not in theirs], needs, self._plan.slots)
        failed: list[tuple[ResourceId, BaseException]] = []
        acted: set[ResourceId] = set()
        with concurrent.futures.ThreadPoolExecutor(MOST_AT_ONCE, "act") as pool:
            busy: dict[concurrent.futures.Future[bool], ResourceId] = {}
            while True:
                if self._hands.stop.is_set():
                    scheduler.drain()
                for action in scheduler.ready():
                    busy[pool.submit(self._one, action)] = action.resource
                if not busy:
                    break
                finished, _ = concurrent.futures.wait(
                    busy, timeout=0.5, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in finished:
                    id_ = busy.pop(future)
                    error = future.exception()
                    scheduler.finished(id_, ok=error is None)
                    if error is not None:
                        failed.append((id_, error))
                        scheduler.drain()
                    elif future.result():
                        acted.add(id_)
        return Outcome(done=scheduler.done, acted=frozenset(acted), failed=tuple(failed), left=scheduler.left)

    def _one(self, action: Action) -> bool:
        """Does one action; returns whether it acted. Raises what went wrong, after journalling it."""
        journal, started = self._hands.journal, time.monotonic()
        if action.implied:
            journal.write("done", {"action": action.id, "resource": action.resource, "implied": True})
            self._board.put(action.resource, None)
            self._tell(Event("done", action, "went with what it was in"))
            return False
        begun = False
        try:
            resource = self._wish(action)
            facts = self._found(action, resource)
            verdict = self._verdict(action, resource, facts)
            if verdict == "skip":
                journal.write("skipped", {"action": action.id, "resource": action.resource})
                self._board.put(action.resource, facts)
                self._tell(Event("skipped", action))
                return False
            self._again.demand(action, facts)
            # What goes may be wished for no more; then nobody knows what lies around it either.
            told = resource or self._readable(action)
            journal.write("begun", self._begun(action, facts, verdict) | self._told(action, told))
            begun = True
            self._tell(Event("begun", action))
            around = proof.around(told, action.verb, self._reading)
            passage = Passage(action, journal)
            try:
                after = self._act(action, resource, facts, self._world(action, told, passage))
            finally:
                passage.end()
            proof.nothing_undeclared(told, action.verb, around, self._reading)
            # Its proofs may go through what it brings about: an endpoint that its outputs lead to.
            self._board.put(action.resource, after)
            self._hands.connections.renew(action.resource)
            if resource is None:
                proof.gone(action.resource, after)
            else:
                proof.as_wished(resource, after, self._reading)
            journal.write(
                "done",
                {"action": action.id, "resource": action.resource, "after": fingerprint(after)},
            )
            self._tell(Event("done", action, seconds=time.monotonic() - started))
        except BaseException as error:
            what = error.what if isinstance(error, PaverError) else type(error).__name__
            event = "interrupted" if isinstance(error, Interrupted) else "failed" if begun else "drift"
            if not isinstance(error, Refused) and event == "drift":
                event = "failed"
            journal.write(event, {"action": action.id, "resource": action.resource, "what": what})
            self._tell(Event("failed", action, what, seconds=time.monotonic() - started))
            raise
        return True

    def _tell(self, event: Event) -> None:
        told(self._hands.tell, event)

    def _begun(self, action: Action, facts: Facts | None, verdict: str) -> dict[str, Json]:
        return {
            "action": action.id,
            "resource": action.resource,
            "verb": action.verb.value,
            "found": fingerprint(facts),
            "converges": verdict == "converge",
        }

    def _readable(self, action: Action) -> Resource[Any] | None:
        """Returns what an action is for as far as it can be read; None where nobody wishes for it any more."""
        wished = self._graph.resources.get(action.resource)
        return substitute(wished, self._board.for_reading) if wished is not None else None

    def _told(self, action: Action, resource: Resource[Any] | None) -> dict[str, Json]:
        """Returns, of a tool that writes by itself, the digests of program and inputs: all is known now."""
        opaque = resource.opaque(action.verb) if resource is not None else None
        if resource is None or opaque is None:
            return {}
        versions = self._hands.versions
        wished = {name: encode(value, versions) for name, value in sorted(resource.wish().items())}
        promised = proof.promised(opaque, wished, versions)
        return {"opaque": {name: promised[name] for name in ("inputs", "program", "tool")}}

    def _wish(self, action: Action) -> Resource[Any] | None:
        """Returns the wish with its values put in, held to the plan: what was known may not change."""
        if action.verb is Verb.DELETE:
            return None
        resource: Resource[Any] = substitute(self._graph.resources[action.resource], self._board.known)
        for name, value in sorted(resource.wish().items()):
            planned = action.planned.get(name)
            now = encode(value, self._hands.versions)
            if has_unknown(now):
                raise Refused(
                    f"{action.resource} cannot be made: its {name} is still not known",
                    why=f"it comes from what was to be done before: {now}",
                )
            if not has_unknown(planned) and now != planned:
                raise Refused(
                    f"{action.resource}: {name} is not what the plan promised",
                    seen=f"{now}, planned {planned}",
                    do="make a new plan",
                )
        return resource

    def _found(self, action: Action, resource: Resource[Any] | None) -> Facts | None:
        """Returns what is there now; what does not answer is gone only where this plan took away what it was in.

        A run that was killed may have come that far, and not to the line that says so.
        """
        if action.verb is not Verb.DELETE:
            return self._settled(action, resource)
        holders = closure([action.resource], lambda one: self._graph.holders.get(one, ())) - {action.resource}
        # Once one was waited for in vain, the others in it need not be.
        if holders & self._lost:
            return None
        try:
            return self._settled(action, resource)
        except Unobservable:
            if self._lost_one_of(holders):
                return None
            raise

    def _settled(self, action: Action, resource: Resource[Any] | None) -> Facts | None:
        """Returns what is there, once that has ended which a run that was killed left at work at the endpoint."""
        endpoint = action.endpoint

        def tell(what: str) -> None:
            self._hands.journal.write(
                "retry", {"attempt": 1, "doing": "wait for it", "endpoint": endpoint, "what": what}
            )
            self._tell(Event("doing", action, f"{endpoint}: {what}"))

        self._hands.connections.settle(endpoint, self._hands.stop.is_set, tell)
        self._forget(action)
        return self._facts(action, resource)

    def _lost_one_of(self, holders: set[ResourceId]) -> bool:
        # From the outside in, as the graph has them: what lies in one that is gone answers no more either.
        for holder in (one for one in self._graph.resources if one in holders):
            action = self._actions.get(holder)
            if action is None or action.verb is not Verb.DELETE:
                continue
            if not standing(self._settled(action, None), self._graph.resources[holder]):
                self._lost.add(holder)
                return True
        return False

    def _facts(self, action: Action, resource: Resource[Any] | None) -> Facts | None:
        if resource is not None:
            return self._reading.as_named_now(self._read(resource))
        readable = self._readable(action)
        if readable is not None:
            facts = self._reading.as_named_now(self._read(readable))
            return facts if facts is None or facts.mark is not None else self._unmarked(action, facts)
        ground = self._grounds[action.kind, action.endpoint]
        for found in ground.kind.discover(self._reading, ground.at):
            mark = found.mark
            if mark is not None and mark.site == self._plan.site and action.resource in {mark.id, mark.was}:
                named = dataclasses.replace(mark, id=action.resource, was=None)
                orphan: Facts = dataclasses.replace(found, mark=named)
                return orphan
        return None

    def _read(self, resource: Resource[Any]) -> Facts | None:
        facts: Facts | None = resource.read(self._reading)
        return facts

    def _unmarked(self, action: Action, facts: Facts) -> Facts | None:
        """A setting without a mark is at its baseline already; an object without one is not ours."""
        if action.setting:
            return None
        raise Refused(
            f"{action.resource} is no longer ours",
            seen=f"found without paver's mark: {dict(facts.address)}",
            do="make a new plan",
        )

    def _verdict(self, action: Action, resource: Resource[Any] | None, facts: Facts | None) -> str:
        if resource is None and facts is None:
            return "skip"
        mark = facts.mark if facts is not None else None
        # By site and id: two sites that share a service have the same ids there.
        ours = mark is not None and mark.names(self._plan.site, action.resource)
        if resource is not None and facts is not None:
            whole = (
                mark.complete and not mark.was
                if mark is not None and ours
                else resource.setting and mark is None
            )
            if whole and not changes(resource, facts, self._hands.versions):
                return "skip"
        if fingerprint(facts) == action.before:
            return "act"
        # Killed between the two halves: what stands in its stead is all that is left to do, whoever took it away.
        if facts is None and action.verb is Verb.REPLACE:
            return "converge"
        # A setting has a value as soon as what it lies in stands, and what is adopted may come with it; nobody
        # could know that beforehand.
        adopts = resource is not None and resource.adopt
        if not action.asked and mark is None and (action.setting or adopts):
            return "act"
        if mark is not None and ours and not (mark.complete and action.asked):
            return "converge"
        planned = None if action.before is None else action.changes
        raise Refused(
            f"{action.resource} changed since the plan was made",
            seen=since(resource, facts, planned, self._hands.versions, self._plan.site),
            why="somebody or something else changed it (drift)",
            do="make a new plan and look at what it says",
        )

    def _world(self, action: Action, told: Resource[Any] | None, passage: Passage) -> WritingWorld:
        def mark(complete: bool) -> Mark:
            return Mark(self._plan.site, action.resource, action.id, complete)

        def progress(doing: str, done: int, total: int, unit: str) -> None:
            self._tell(Event("doing", action, doing, done, total, unit))

        return WritingWorld(
            site=self._plan.site,
            connections=self._hands.connections,
            versions=self._hands.versions,
            gate_of=passage.to,
            secrets=self._hands.reveal,
            marker=mark,
            progress=progress,
            stop=self._hands.stop.is_set,
            moved=self._reading.moved,
            around=told.around if told is not None else None,
        )

    def _act(
        self, action: Action, resource: Resource[Any] | None, facts: Facts | None, world: WritingWorld
    ) -> Facts | None:
        kind = type(resource) if resource is not None else self._kind(action)
        endpoint = self._endpoint(action)
        if action.verb in {Verb.DELETE, Verb.REPLACE} and facts is not None:
            kind.delete(world, endpoint, facts)
        if resource is not None:
            fields = (
                frozenset(c.field for c in changes(resource, facts, self._hands.versions)) if facts else None
            )
            there = facts is not None and (resource.setting or (facts.mark is None and resource.adopt))
            if action.verb in {Verb.UPDATE, Verb.ADOPT} or there:
                if facts is None or fields is None:
                    raise Refused(f"{action.resource} is gone", do="make a new plan")
                self._in_place(action, resource, fields)
                resource.update(world, facts, fields)
            else:
                resource.create(world)
        self._forget(action)
        return self._facts(action, resource)

    def _forget(self, action: Action) -> None:
        """Drops what was read of all that the action touches."""
        for endpoint_name in (action.endpoint, *action.also):
            self._hands.connections.forget(endpoint_name)

    def _in_place(self, action: Action, resource: Resource[Any], fields: frozenset[str]) -> None:
        wrong = sorted(fields & resource.replaces)
        if wrong and action.verb is Verb.UPDATE:
            raise Refused(
                f"{action.resource}: {wrong[0]} cannot change in place",
                why="that became known only now, and the plan does not allow to replace it",
                do="make a new plan",
            )

    def _kind(self, action: Action) -> type[Resource[Any]]:
        wished = self._graph.resources.get(action.resource)
        return type(wished) if wished is not None else self._kinds[action.kind]

    def _endpoint(self, action: Action) -> Any:
        wished = self._graph.resources.get(action.resource)
        return wished.at if wished is not None else self._grounds[action.kind, action.endpoint].at
