"""Proves again that a site is as it was made: every resource's own checks, by sessions that cannot write."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from paver.driver import Resource, ResourceId
from paver.engine.plan import Action, Plan
from paver.engine.resource import Verb
from paver.engine.values import substitute
from paver.errors import PaverError
from paver.runs.session import Session

State: TypeAlias = Literal["holds", "fails", "differs", "unseen"]
HOLDS: Final = "holds"
FAILS: Final = "fails"
DIFFERS: Final = "differs"
UNSEEN: Final = "unseen"
MOST_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """One thing that was proven, or not.

    Attributes:
        resource: the id of the resource that it is of.
        phase: its phase's label.
        endpoint: where it is: `host:esx-01`.
        check: what was asked.
        state: `differs` is from what is wished; `unseen` could not be asked.
        seen: what was seen, in words.
    """

    resource: ResourceId
    phase: str
    endpoint: str
    check: str
    state: State
    seen: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verified:
    """Everything that was proven again, or not.

    Attributes:
        site: the site's name.
        exit: the exit code: 0 all holds, 1 something fails or could not be asked, 2 something differs.
        proofs: each of them, in the order of the phases.
    """

    site: str
    exit: int
    proofs: tuple[Proof, ...]


def exit_code(proofs: list[Proof]) -> int:
    """Returns 1 if a proof fails or could not be asked, 2 if something differs, else 0."""
    states = {proof.state for proof in proofs}
    return 1 if states & {FAILS, UNSEEN} else 2 if DIFFERS in states else 0


def verify(session: Session, plan: Plan) -> list[Proof]:
    """Runs every check of what `plan`, which this session just made, has read."""
    graph = session.paved.graph
    by_endpoint: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_endpoint.setdefault(action.endpoint, []).append(action)

    def prove(actions: list[Action]) -> list[Proof]:
        return [proof for action in actions for proof in _proofs(session, graph.resources, action)]

    with concurrent.futures.ThreadPoolExecutor(MOST_AT_ONCE, "verify") as pool:
        found = {
            proof_list[0].resource: proof_list
            for some in pool.map(prove, by_endpoint.values())
            for proof_list in _grouped(some)
        }
    return [proof for action in _ordered(plan) for proof in found.get(action.resource, [])]


def _grouped(proofs: list[Proof]) -> Iterator[list[Proof]]:
    groups: dict[ResourceId, list[Proof]] = {}
    for proof in proofs:
        groups.setdefault(proof.resource, []).append(proof)
    yield from groups.values()


def _ordered(plan: Plan) -> list[Action]:
    rank = {phase: number for number, phase in enumerate(plan.phases)}
    return sorted(plan.actions, key=lambda action: rank[action.phase])


def _proofs(session: Session, resources: Any, action: Action) -> Iterator[Proof]:
    def proof(check: str, state: State, seen: str = "") -> Proof:
        return Proof(
            resource=action.resource,
            phase=action.phase,
            endpoint=action.endpoint,
            check=check,
            state=state,
            seen=seen,
        )

    if action.verb is not Verb.KEEP:
        yield proof("it is as it is wished", DIFFERS, _difference(action))
    facts = session.board.facts(action.resource)
    wished: Resource[Any] | None = resources.get(action.resource)
    if facts is None or wished is None or action.verb in {Verb.BLOCKED, Verb.DELETE}:
        return
    resource = substitute(wished, session.board.for_reading)
    if action.verb is Verb.KEEP:
        yield proof("it is as it is wished", HOLDS)
    try:
        for check in resource.checks(session.world, facts):
            yield proof(check.name, HOLDS if check.ok else FAILS, check.seen)
    except PaverError as error:
        yield proof("its checks", UNSEEN, error.what)


def _difference(action: Action) -> str:
    fields = ", ".join(change.field for change in action.changes)
    said = {
        Verb.CREATE: "absent",
        Verb.DELETE: "there, no longer wished for",
        Verb.BLOCKED: action.reason,
        Verb.ADOPT: "foreign, to be adopted",
    }.get(action.verb, f"other: {fields}" if fields else action.reason)
    return said if action.verb is not Verb.CREATE or not action.reason else f"absent ({action.reason})"
