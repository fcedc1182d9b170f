"""The plan: what would happen, as data. Canonical, versioned, byte-deterministic.

A plan holds one action a resource (kept ones too: they are evidence). `Action.id` is the SHA-256 of the
action's canonical form; the plan's digest is that of the whole. Nothing volatile and no secret is in it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from paver.engine.diff import Change
from paver.engine.resource import Verb
from paver.engine.values import ResourceId
from paver.errors import BadInput
from paver.signing import canonical
from paver.signing.canonical import Json

SCHEMA = "paver.plan/1"
MODES = frozenset({"apply", "destroy"})
WRITES = frozenset({Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.DELETE, Verb.ADOPT})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Action:
    """What happens to one resource.

    Attributes:
        resource: its id, as `--only` and `--allow` take it.
        kind: its kind: `vsphere.port-group`.
        phase: its phase's label.
        station: where that is done: `outside` or `jumpbox`.
        endpoint: the place that it is on: `host:esx-01`.
        verb: what happens.
        reason: why, where the verb alone does not say it: what blocks it, an incomplete one that is finished.
        says: what it is, in a few words.
        wish: digest of the wish as the driver wrote it (placeholders in place); null for an orphan.
        planned: the wished values as far as they are known, `{"unknown": …}` otherwise.
        before: digest of the managed facts that were read; null for absent.
        asked: false where nobody could be asked, since what it lies in does not stand yet.
        changes: fields that differ.
        needs: resources whose actions must be done before this one.
        calls: what the act may call.
        lost: what goes with it, when it is deleted or replaced.
        also: other endpoints that the act writes to.
        implied: a delete that its parent's delete brings about.
        setting: it goes back to a baseline, and is not deleted.
        opaque: null, or of a tool that writes by itself: `tool`, `argv`, `effects` (what it may bring about), `program` and
            `inputs` (SHA-256 of the tool and of all that it is told; `{"unknown": …}` until that is known, `program` null
            where nothing pins it), `makes` (patterns of what may come and go around it).
        lane: which of the endpoint's slots it takes: `config`, or that of bulk transfers.
        estimate: how many seconds it is expected to take.
    """

    ALSO: ClassVar = ("id",)

    resource: ResourceId
    kind: str
    phase: str
    station: str
    endpoint: str
    verb: Verb
    reason: str = ""
    says: str = ""
    wish: str | None = None
    planned: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    before: str | None = None
    asked: bool = True
    changes: tuple[Change, ...] = ()
    needs: tuple[ResourceId, ...] = ()
    calls: tuple[str, ...] = ()
    lost: tuple[ResourceId, ...] = ()
    also: tuple[str, ...] = ()
    implied: bool = False
    setting: bool = False
    opaque: Mapping[str, Json] | None = None
    lane: str = "config"
    estimate: int = 0

    def document(self) -> dict[str, Json]:
        """Returns the canonical form, without the id."""
        return {
            "also": list(self.also),
            "asked": self.asked,
            "before": self.before,
            "calls": list(self.calls),
            "changes": [
                {"after": c.after, "before": c.before, "field": c.field, "unknown": c.unknown}
                for c in self.changes
            ],
            "endpoint": self.endpoint,
            "estimate": self.estimate,
            "implied": self.implied,
            "kind": self.kind,
            "lane": self.lane,
            "lost": list(self.lost),
            "needs": list(self.needs),
            "opaque": dict(self.opaque) if self.opaque is not None else None,
            "phase": self.phase,
            "planned": dict(self.planned),
            "reason": self.reason,
            "resource": self.resource,
            "says": self.says,
            "setting": self.setting,
            "station": self.station,
            "verb": self.verb.value,
            "wish": self.wish,
        }

    @functools.cached_property
    def id(self) -> str:
        """SHA-256 of the canonical action without this key; journal, marks and jobs bear it."""
        return canonical.digest(self.document())

    @property
    def writes(self) -> bool:
        """True where the act changes the world by calls of its own."""
        return self.verb in WRITES and not self.implied


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The promise.

    Attributes:
        mode: `apply`, or `destroy` (the plan of an empty wish).
        selection: what `--phase`/`--only` chose; empty means all.
        allow: protected resources whose replacement or deletion the command named.
        slots: writers at once by endpoint, where it is not one.
        phases: labels in order, for showing.
    """

    site: str
    site_digest: str
    paver: str
    driver: str
    mode: str
    phases: tuple[str, ...]
    actions: tuple[Action, ...]
    selection: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    offline: bool = False
    slots: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, Json]:
        """Returns the canonical form, which `Written` describes."""
        return {
            "actions": [{"id": action.id, **action.document()} for action in self.actions],
            "allow": list(self.allow),
            "driver": self.driver,
            "mode": self.mode,
            "offline": self.offline,
            "paver": self.paver,
            "phases": list(self.phases),
            "schema": SCHEMA,
            "selection": list(self.selection),
            "site": {"digest": self.site_digest, "name": self.site},
            "slots": dict(self.slots),
        }

    def dumps(self) -> bytes:
        """Returns the plan file's bytes."""
        return canonical.dumps(self.document()) + b"\n"

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the plan; what an approval signs."""
        return canonical.digest(self.document())

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that would change something, blocked ones included."""
        return tuple(a for a in self.actions if a.verb in WRITES or a.verb is Verb.BLOCKED)

    @property
    def blocked(self) -> tuple[Action, ...]:
        """The actions that paver must not take."""
        return tuple(a for a in self.actions if a.verb is Verb.BLOCKED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """The site that a plan is of.

    Attributes:
        name: the site's name.
        digest: SHA-256 of the normalised site file.
    """

    name: str
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """The promise, as a plan file has it.

    Attributes:
        site: the site that it is of.
        mode: `destroy` is the plan of an empty wish.
        paver: its version; `paver apply` wants the same.
        driver: name and version: `vsphere/1`.
        phases: labels, in order.
        selection: what `--phase` and `--only` named; empty means all.
        allow: what `--allow` named: protected resources that may be replaced or deleted.
        offline: made without asking anybody: cannot be applied.
        slots: writers at once by endpoint, where it is not one.
        actions: one a resource, kept ones too.
    """

    site: Planned
    mode: Literal["apply", "destroy"]
    paver: str
    driver: str
    phases: tuple[str, ...]
    selection: tuple[str, ...]
    allow: tuple[str, ...]
    offline: bool
    slots: Mapping[str, int]
    actions: tuple[Action, ...]


def loads(data: bytes) -> Plan:
    """Reads a plan file.

    Raises:
        BadInput: if it is not a plan, of another version, or was edited (an action's id does not fit).
    """
    try:
        document: Any = canonical.loads(data)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise BadInput(
                "this is not a plan of this version",
                why=f"this paver reads {SCHEMA}",
                do="make the plan again with this version of paver",
            )
        actions = tuple(_action(item) for item in document["actions"])
        plan = Plan(
            site=document["site"]["name"],
            site_digest=document["site"]["digest"],
            paver=document["paver"],
            driver=document["driver"],
            mode=document["mode"],
            phases=tuple(document["phases"]),
            actions=actions,
            selection=tuple(document["selection"]),
            allow=tuple(document["allow"]),
            offline=document["offline"],
            slots=document["slots"],
        )
        _check(plan)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            "the plan file cannot be read",
            why=f"{type(error).__name__}: {error}",
            do="make it again with `paver plan --out`",
        ) from error
    if plan.dumps().rstrip(b"\n") != data.rstrip(b"\n"):
        raise BadInput(
            "the plan file was edited: it is not what paver wrote",
            why="an approval holds for the plan as it was made, byte for byte",
            do="make it again with `paver plan --out`",
        )
    return plan


def _check(plan: Plan) -> None:
    """Does nothing if a plan has the shape of one: its mode, an action a resource, text where names are.

    Raises:
        ValueError, TypeError: if not.
    """
    if plan.mode not in MODES:
        raise ValueError(f"the mode {plan.mode}")
    if not isinstance(plan.slots, dict):
        raise TypeError("the slots are no object")
    twice = [id_ for id_, number in Counter(one.resource for one in plan.actions).items() if number > 1]
    if twice:
        raise ValueError(f"two actions for {twice[0]}")
    words = [plan.site, plan.site_digest, plan.paver, plan.driver, *plan.selection, *plan.allow]
    for action in plan.actions:
        words += [action.resource, action.kind, action.endpoint, action.reason, *action.lost]
        words += [change.field for change in action.changes]
    if not all(isinstance(word, str) for word in words):
        raise TypeError("a name is no text")


def _action(item: dict[str, Any]) -> Action:
    action = Action(
        resource=item["resource"],
        kind=item["kind"],
        phase=item["phase"],
        station=item["station"],
        endpoint=item["endpoint"],
        verb=Verb(item["verb"]),
        reason=item["reason"],
        says=item["says"],
        wish=item["wish"],
        planned=item["planned"],
        before=item["before"],
        changes=tuple(Change(c["field"], c["before"], c["after"], c["unknown"]) for c in item["changes"]),
        needs=tuple(item["needs"]),
        calls=tuple(item["calls"]),
        lost=tuple(item["lost"]),
        also=tuple(item["also"]),
        asked=item["asked"],
        implied=item["implied"],
        setting=item["setting"],
        opaque=item["opaque"],
        lane=item["lane"],
        estimate=item["estimate"],
    )
    if action.id != item["id"]:
        raise BadInput(
            f"the plan was edited: the action for {action.resource} does not fit its id",
            do="make the plan again with `paver plan --out`",
        )
    return action
