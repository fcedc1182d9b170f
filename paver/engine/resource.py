"""What a resource is: a wish, the facts that are read, the verbs, and the sessions that it is handed.

A kind of resource is one small frozen dataclass in one small module. Everything else (order, parallelism,
plan, diff, approval, resume, journal, destroy, progress) the engine does, once, for every kind.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from paver.engine.mark import Mark
from paver.engine.values import ResourceId, Secret
from paver.signing.canonical import Json

R = TypeVar("R")
W = TypeVar("W")
R_co = TypeVar("R_co", covariant=True)
W_co = TypeVar("W_co", covariant=True)
F = TypeVar("F", bound="Facts")


class Verb(enum.StrEnum):
    """What a plan may say of a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    ADOPT = "adopt"
    KEEP = "keep"
    BLOCKED = "blocked"


class Lane(enum.StrEnum):
    """Which of an endpoint's slots an action takes: configuration is exclusive, bulk transfers overlap it."""

    CONFIG = "config"
    BULK = "bulk"


@dataclasses.dataclass(frozen=True)
class Endpoint(Generic[R, W]):
    """A place where resources live: a host, vCenter, a machine, the sealed store. A value, named by resources.

    Attributes:
        name: literal, as in `host:esx-01`; the settings behind it stand in its connector.
        provider: the resource that brings it into being; planned absent means nobody dials it.
        slots: how many writers at once.
        through: the endpoint that it is only reached through; as long as that is not brought into being nobody dials this
            one either, but what is there neither comes nor goes with it.
    """

    name: str
    provider: ResourceId | None = None
    slots: int = 1
    through: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read: managed state only, never free space or uptime.

    Attributes:
        address: all that deleting it needs.
        mark: whose it is; None means foreign (for a setting: at its baseline, or not touched by paver).
    """

    address: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mark: Mark | None = None

    def lacking(self, fact: str) -> str:
        """Returns why `fact` is None, for whoever needs it and is told so; empty where there is nothing to add."""
        del fact
        return ""


@dataclasses.dataclass(frozen=True)
class Check:
    """One proof after the act: what was asked, whether it held, what was seen."""

    name: str
    ok: bool
    seen: str = ""


@dataclasses.dataclass(frozen=True)
class Opaque:
    """What a tool that writes by itself is about to do: said in the plan in words, compared afterwards.

    Attributes:
        tool: the program's name, as in `vcsa-deploy`.
        argv: its arguments; never a secret.
        effects: what it is declared to bring about, one sentence each.
        makes: patterns of what may come and go in the surroundings.
        program: SHA-256 of the tool's program, where it is known; a field of the wish, so that it may be an output.
    """

    tool: str
    argv: tuple[str, ...]
    effects: tuple[str, ...]
    makes: tuple[str, ...] = ()
    program: Any = None


class Reader(Protocol):
    """What reading methods are handed: sessions that cannot write."""

    def session(self, at: Endpoint[R, W]) -> R:
        """Returns the reading face of the endpoint's session.

        Raises:
            Unobservable: if the endpoint should answer and does not.
        """
        ...

    def version(self, secret: Secret) -> str | None:
        """Returns the version of a secret in the sealed store, None if it is not there yet."""
        ...

    @property
    def site(self) -> str:
        """The site's name, as it stands in marks."""
        ...

    @property
    def moved(self) -> Mapping[ResourceId, ResourceId]:
        """The resources that the site file renamed: old id to new one."""
        ...

    def current(self, mark: Mark) -> Mark:
        """Returns a mark by the id that its resource has now.

        Whoever looks for a thing by its mark, or in a ledger, compares what this returns; the marks in facts the
        engine itself brings up to date.
        """
        ...


class Writer(Reader, Protocol):
    """What acting methods are handed while their action is begun."""

    @property
    def around(self) -> Around | None:
        """What lies around the act; None where nothing is compared, or nobody wishes for the thing any more."""
        ...

    def writing(self, at: Endpoint[R, W]) -> W:
        """Returns the writing face; each write passes the gate: declared, begun, journalled before it leaves."""
        ...

    def reveal(self, secret: Secret) -> str:
        """Returns a secret's value, for the moment of use only."""
        ...

    def mark(self, *, complete: bool) -> Mark:
        """Returns the mark that this action leaves on what it makes."""
        ...

    def stopping(self) -> bool:
        """Tells whether the user asked to stop: whoever follows a job detaches and raises Interrupted."""
        ...

    def report(self, doing: str, done: int = 0, total: int = 0, unit: str = "") -> None:
        """Tells what is being done now, and how much of it (`unit` is `B` for bytes, `%`, or empty)."""
        ...


class Around(Protocol):
    """What lies around the acts of a tool that writes by itself; a driver knows it, whatever makes the act."""

    @property
    def makes(self) -> tuple[str, ...]:
        """Patterns of what the tool may make and unmake there."""
        ...

    def look(self, world: Reader) -> frozenset[str]:
        """Returns the names of all that is there; reads only."""
        ...

    def machines(self, world: Reader) -> frozenset[str]:
        """Returns the names of all machines where the tool makes its own; reads only."""
        ...

    def disks(self, world: Reader) -> frozenset[str]:
        """Returns the names of all disks where the tool keeps those that outlive a machine; reads only."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resource(Generic[F]):
    """The wish for one thing. Fields of a subclass are what is wished; None leaves a field unmanaged.

    Attributes:
        id: from keys of the site file, never from positions.
        phase: a label; edges alone give order.
        at: where it lives.
        also: other endpoints that its acts write to (an appliance's VM stands on a host, its installer's
            job on the jumpbox).
        within: it exists inside of that one: absent with it, gone with it.
        after: order only.
        protected: replaced or deleted only where plan and command name it.
        adopt: a foreign thing of the same name becomes ours.
        around: what is compared before and after an opaque act; None: nothing is.
    """

    kind: ClassVar[str]
    calls: ClassVar[Mapping[Verb, frozenset[str]]] = {}
    replaces: ClassVar[frozenset[str]] = frozenset()
    remade: ClassVar[frozenset[str]] = frozenset()
    """Facts that any update makes anew, beside the fields that differ: who uses them changes with it."""
    setting: ClassVar[bool] = False
    """A setting is set and put back to its baseline; an object (the default) is made and deleted."""
    lane: ClassVar[Lane] = Lane.CONFIG
    dies_with_parent: ClassVar[bool] = False
    """True where deleting `within` takes this along without a call of its own."""
    stays: ClassVar[str] = ""
    """Why a destroy leaves it: the declared residue. Empty for what goes."""
    left_over: ClassVar[bool] = False
    """True for what a killed run may leave, and the next one puts to use: only a destroy looks for it."""
    unmanaged: ClassVar[frozenset[str]] = frozenset()
    """Fields that steer how it is made and that cannot be read again; never compared."""

    id: ResourceId
    phase: str
    at: Endpoint[Any, Any]
    also: tuple[Endpoint[Any, Any], ...] = ()
    within: ResourceId | None = None
    after: frozenset[ResourceId] = frozenset()
    protected: bool = False
    adopt: bool = False
    around: Around | None = None

    def read(self, world: Reader) -> F | None:
        """Returns what is there, None if it is absent; raises Unobservable, never "absent" by accident."""
        raise NotImplementedError

    def foresees(self, world: Reader, facts: F | None) -> str:
        """Returns what a plan has to say of making it, or of changing what was found; reads only.

        Raises:
            Refused: if the act must not even be planned, as the world is.
        """
        del world, facts
        return ""

    def create(self, world: Writer) -> None:
        """Makes it: idempotent, interruptible, waits until it is ready; `complete` is marked last."""
        raise NotImplementedError

    def update(self, world: Writer, facts: F, fields: frozenset[str]) -> None:
        """Changes `fields` in place."""
        raise NotImplementedError

    def checks(self, world: Reader, facts: F) -> Iterable[Check]:
        """Yields proofs after the act; reads only."""
        del world, facts
        return ()

    def opaque(self, verb: Verb) -> Opaque | None:
        """Returns what a tool will do by itself, if the act of `verb` is one tool's; by the wish alone, as `says`."""
        del verb
        return None

    def surroundings(self, world: Reader) -> frozenset[str] | None:
        """Returns names of what lies around an opaque act, compared before and after; None: nothing is compared."""
        return self.around.look(world) if self.around is not None else None

    def estimate(self) -> int:
        """Returns about how many seconds creating it takes; by the wish alone, as `says`."""
        return 1

    def says(self) -> str:
        """Returns the few words that a plan shows beside the name; by the wish alone: they are worked out again at the act."""
        return ""

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[F]:
        """Yields all of this kind at `at` that bear this site's mark."""
        del world, at
        return ()

    @classmethod
    def holds(cls, world: Reader, at: Endpoint[Any, Any], facts: F) -> str:
        """Returns why it stays though nobody wishes for it, as the world is, and what to do; nothing if it may go; reads only.

        A plan that was to delete it is blocked by that, but for a destroy, which also takes away what is in it.
        """
        del world, at, facts
        return ""

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: F) -> None:
        """Deletes it (a setting: puts it back to its baseline); needs no wish."""
        raise NotImplementedError

    @classmethod
    def former(cls, world: Reader, at: Endpoint[Any, Any], facts: F) -> Mapping[str, Any]:
        """Returns the values that deleting a setting puts back, by field of its facts; reads only. Never a secret."""
        del world, at, facts
        return {}

    def wish(self) -> dict[str, Any]:
        """Returns the wished fields by name (unset ones, None, are unmanaged)."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if field.name not in META_FIELDS and (value := getattr(self, field.name)) is not None
        }


META_FIELDS = frozenset(field.name for field in dataclasses.fields(Resource))
"""What every resource has, whatever its kind: not wished for, so in no digest of a wish."""


class Gate(Protocol):
    """Every write passes it before it leaves: refuses what is not declared, journals what is."""

    def __call__(self, call: str, target: str = "", detail: Mapping[str, Json] | None = None) -> None:
        """Lets the call pass or raises Refused."""
        ...


class Connection(Protocol[R_co, W_co]):
    """One endpoint, connected: thread-safe; `forget` drops what was read, after a write."""

    def reader(self) -> R_co: ...
    def writer(self, gate: Gate) -> W_co: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class Settling(Protocol):
    """A connection to what goes on with what it was asked for, also without whoever asked."""

    def settle(self, stopping: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Waits until what was asked for before has come to its end; tells in words what it waits for, and heeds `stopping`."""


class Connector(Protocol):
    """Frozen settings of an endpoint; fields may hold outputs and secrets, put in before `connect`.

    `context` is what the run hands to all connectors (tunnels, secrets, station); the engine passes it on.
    """

    def connect(self, context: Any) -> Connection[Any, Any]: ...


@dataclasses.dataclass(frozen=True)
class Ground:
    """Where a kind is to be discovered: orphans are looked for at `at`; `phase` and `also` as in the wish."""

    kind: type[Resource[Any]]
    at: Endpoint[Any, Any]
    phase: str
    also: tuple[Endpoint[Any, Any], ...] = ()
