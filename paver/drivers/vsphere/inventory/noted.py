"""What things have in common that cannot carry a mark themselves: the ledger on the root folder carries it.

The order of writes is: the intent into the ledger, the thing, the ledger's `complete`. An entry without its thing
is one begun: it shows as incomplete, so that the next run makes it, or destroy strikes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, ResourceId, Writer
from paver.drivers.vsphere.inventory import attributes
from paver.transport.vsphere import VsphereFault

F = TypeVar("F", bound=Facts)
Removal = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Seen:
    """A thing as it was read.

    Attributes:
        address: all that deleting it needs.
        values: its facts.
    """

    address: Mapping[str, str]
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noted(Resource[F]):
    """A thing of vCenter whose mark stands in the ledger; where it is follows from its id alone."""

    facts: ClassVar[type[Any]]
    taken: ClassVar[frozenset[str]] = frozenset({"AlreadyExists", "DuplicateName"})
    """Faults that say that somebody was quicker."""

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the thing as it is, None if it is not there; of several that it could be, paver's."""
        raise NotImplementedError

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Makes the thing, or changes what differs."""
        raise NotImplementedError

    @classmethod
    def removing(cls, session: Any, address: Mapping[str, str]) -> list[Removal]:
        """Returns the writes that remove the thing, each to be called; nothing is written before all are known.

        Raises:
            Refused: if it must not be removed.
        """
        raise NotImplementedError

    def seen(self, world: Reader, session: Any) -> Seen | None:
        """Returns the very thing that is wished for."""
        return self.look(world, session, self.id)

    def read(self, world: Reader) -> F | None:
        """Returns the thing as it is."""
        session = world.session(self.at)
        return self._facts(self.seen(world, session), attributes.ledger(session).get(world.site, self.id))

    @classmethod
    def _facts(cls, seen: Seen | None, mark: Mark | None) -> F | None:
        if seen is None:
            if mark is None:
                return None
            unmade: F = cls.facts(mark=dataclasses.replace(mark, complete=False))
            return unmade
        found: F = cls.facts(address=seen.address, mark=mark, **seen.values)
        return found

    def create(self, world: Writer) -> None:
        """Makes the thing, or brings one that was begun to its end."""
        session = world.writing(self.at)
        seen = self.seen(world, session)
        attributes.note(session, world.mark(complete=False))
        try:
            self.make(world, session, seen)
        except VsphereFault as fault:
            if fault.fault in self.taken:
                # An intent must not make a foreign thing ours.
                attributes.strike(session, world.site, self.id)
            raise
        attributes.note(session, world.mark(complete=True))

    def update(self, world: Writer, facts: F, fields: frozenset[str]) -> None:
        """Changes the thing in place."""
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[F]:
        """Yields the things of this kind that the ledger names."""
        session = world.session(at)
        for mark in attributes.ledger(session).of_kind(cls.kind, world.site):
            facts = cls._facts(cls.look(world, session, mark.id), mark)
            if facts is not None:
                yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: F) -> None:
        """Removes the thing, then its entry.

        Where that takes several writes it is begun first: after one of them it is not what the plan saw, and only of what is
        begun does the engine know that it was paver itself.
        """
        session = world.writing(at)
        begun = world.mark(complete=False)
        writes = cls.removing(session, facts.address) if facts.address else []
        if len(writes) > 1:
            attributes.note(session, begun)
        for write in writes:
            write()
        attributes.strike(session, world.site, begun.id)


def key_of(id_: ResourceId) -> str:
    """Returns the key of an id."""
    return str(id_).partition(":")[2]
