"""What all objects of a host have in common that cannot carry a mark themselves: the ledger carries it.

The order of writes is: the intent into the ledger, the object, the ledger's `complete`. An entry without its
object is a thing begun: it shows as incomplete, so that the next run makes it, or destroy strikes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Writer
from paver.drivers.vsphere import ledger
from paver.drivers.vsphere.host.setting import Values
from paver.transport.vsphere.faults import VsphereFault

F = TypeVar("F", bound=Facts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostThing(Resource[F]):
    """An object of a host.

    Attributes:
        ledger_on: the datastore on which the host's ledger is begun.
        name: the object's name on the host.
    """

    unmanaged = frozenset({"ledger_on", "name"})

    ledger_on: str
    name: str

    @classmethod
    def look(cls, session: Any, name: str) -> Values | None:
        """Returns the object's values by field, None if it is not there."""
        raise NotImplementedError

    @classmethod
    def facts(cls, values: Values | None, name: str, mark: Mark | None) -> F:
        """Returns the facts of what `look` saw; without values, of an intent."""
        raise NotImplementedError

    def make(self, session: Any) -> None:
        """Makes the object."""
        raise NotImplementedError

    def change(self, session: Any, differs: Values) -> None:
        """Changes fields of the object."""
        raise NotImplementedError

    @classmethod
    def remove(cls, session: Any, name: str) -> None:
        """Removes the object."""
        raise NotImplementedError

    def read(self, world: Reader) -> F | None:
        """Returns the object as it is."""
        return self._facts_now(world, self.at, self.name, ledger.read(world, self.at).get(self.id))

    @classmethod
    def _facts_now(
        cls, world: Reader, at: Endpoint[Any, Any], name: str, entry: ledger.Entry | None
    ) -> F | None:
        values = cls.look(world.session(at), name)
        if values is None and entry is None:
            return None
        mark = entry.mark(world.site) if entry is not None else None
        if values is None and mark is not None:
            mark = dataclasses.replace(mark, complete=False)
        return cls.facts(values, name, mark)

    def _wanted(self) -> Values:
        return {key: value for key, value in self.wish().items() if key not in self.unmanaged}

    def create(self, world: Writer) -> None:
        """Makes the object, or brings one that was begun to its end."""
        address = {"name": self.name}
        begun = ledger.Entry(self.id, world.mark(complete=False).action, complete=False, address=address)
        book = ledger.note(world, self.at, begun, self.ledger_on)
        session = world.writing(self.at)
        now = self.look(session, self.name)
        if now is None:
            try:
                self.make(session)
            except VsphereFault as fault:
                if fault.is_a("AlreadyExists"):
                    # Somebody was quicker: an intent must not make a foreign thing ours.
                    ledger.strike(world, self.at, self.id)
                raise
        else:
            self.change(session, _differing(self._wanted(), now))
        ledger.note(world, self.at, dataclasses.replace(begun, complete=True), self.ledger_on, book)

    def update(self, world: Writer, facts: F, fields: frozenset[str]) -> None:
        """Changes the object in place."""
        del facts, fields
        self.create(world)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[F]:
        """Yields the objects of this kind that the ledger names."""
        for entry in ledger.read(world, at).of_kind(cls.kind):
            facts = cls._facts_now(world, at, entry.address["name"], entry)
            if facts is not None:
                yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: F) -> None:
        """Removes the object, then its entry."""
        name = facts.address["name"]
        session = world.writing(at)
        if cls.look(session, name) is not None:
            cls.remove(session, name)
        if facts.mark is not None:
            ledger.strike(world, at, facts.mark.id)


def _differing(wanted: Values, now: Values) -> Mapping[str, Any]:
    return {key: value for key, value in wanted.items() if now[key] != value}
