"""What all managed entities have in common: marked by a custom attribute, found by that or by name where they lie.

The order of writes is: the intent into the ledger, the entity, its mark, out of the ledger again. An entity
without a mark whose intent stands in the ledger was begun by us; any other without a mark is foreign. An intent
without an entity is one that was not made yet, or is destroyed already.

Names are compared as they are written: to vCenter `vm` and `VM` in one folder are two (tried by a user of
Icinga/icingaweb2-module-vspheredb, #129), as are datastores (vmware-archive/vsphere-storage-for-docker, #1800).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from paver.driver import Endpoint, Facts, Mark, Reader, Refused, Resource, Verb, Writer
from paver.drivers.vsphere.inventory import attributes
from paver.transport.vsphere import VsphereFault, describe

F = TypeVar("F", bound=Facts)

COMMON = ("name", "parent", "customValue")


def declared(
    *, create: Iterable[str], update: Iterable[str] = (), delete: Iterable[str]
) -> Mapping[Verb, frozenset[str]]:
    """Returns what a kind of entity declares: its own calls, and those of its mark."""
    return {
        Verb.CREATE: attributes.CALLS | frozenset(create),
        Verb.UPDATE: attributes.CALLS | frozenset(update),
        Verb.DELETE: attributes.CALLS | frozenset(delete),
    }


def same(one: Any, other: Any) -> bool:
    """Tells whether two references name the same object."""
    return one is not None and other is not None and describe(one) == describe(other)


@dataclasses.dataclass(frozen=True)
class Found:
    """An entity as it was read: its reference, and its values by path."""

    ref: Any
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EntityFacts(Facts):
    """An entity as it is; without a name where it was only begun."""

    name: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entity(Resource[F]):
    """A managed entity.

    Attributes:
        name: its name in vCenter.
    """

    type_name: ClassVar[str]
    facts_type: ClassVar[type[Any]] = EntityFacts
    paths: ClassVar[tuple[str, ...]] = ()
    """What is read of it beside `COMMON`."""

    name: str

    def lies_in(self, session: Any) -> Any:
        """Returns the reference of what it lies in, None if that is not there."""
        raise NotImplementedError

    @classmethod
    def values(cls, session: Any, found: Found) -> Mapping[str, Any]:
        """Returns the fields of the facts."""
        del session
        return {"name": found.values["name"]}

    @classmethod
    def facts(cls, session: Any, found: Found | None, address: Mapping[str, str], mark: Mark | None) -> F:
        """Returns the facts of what was found; of an intent, without values."""
        values = cls.values(session, found) if found is not None else {}
        facts: F = cls.facts_type(address=address, mark=mark, **values)
        return facts

    def make(self, world: Writer, session: Any, parent: Any) -> None:
        """Makes the entity in `parent`."""
        raise NotImplementedError

    def change(self, world: Writer, session: Any, found: Found) -> None:
        """Brings what differs from the wish to it."""
        del world, session, found

    @classmethod
    def remove(cls, world: Writer, session: Any, found: Found) -> None:
        """Removes the entity.

        Raises:
            Refused: if something is in it that paver did not make.
        """
        raise NotImplementedError

    def look(self, world: Reader, session: Any) -> Found | None:
        """Returns the entity that bears this resource's mark, whatever it is called, else that of its name."""
        parent = self.lies_in(session)
        named = None
        for found in every(session, self.type_name, self.paths):
            mark = attributes.mark_of(session, found.values["customValue"])
            now = world.current(mark) if mark is not None else None
            if now is not None and now.names(world.site, self.id):
                return found
            if self._is_here(found, parent):
                named = found
        return named

    def _is_here(self, found: Found, parent: Any) -> bool:
        return bool(found.values["name"] == self.name and same(found.values["parent"], parent))

    def read(self, world: Reader) -> F | None:
        """Returns the entity as it is."""
        session = world.session(self.at)
        found = self.look(world, session)
        intent = attributes.begun(world, attributes.ledger(session), self.id)
        if found is None:
            return None if intent is None else self.facts(session, None, {"name": self.name}, intent)
        mark = attributes.mark_of(session, found.values["customValue"]) or intent
        if mark is not None and intent is not None:
            # Its mark says complete, and the ledger's intent is still to be struck.
            mark = dataclasses.replace(mark, complete=False)
        return self.facts(session, found, _address(found), mark)

    def create(self, world: Writer) -> None:
        """Makes the entity, or brings one that was begun to its end."""
        session = world.writing(self.at)
        begun = world.mark(complete=False)
        if self.look(world, session) is None:
            attributes.note(session, begun)
            try:
                self.make(world, session, self.lies_in(session))
            except VsphereFault as fault:
                if fault.is_a("DuplicateName"):
                    # Somebody was quicker: an intent must not make a foreign thing ours.
                    attributes.strike(session, world.site, self.id)
                raise
        self._settle(world, session)

    def update(self, world: Writer, facts: F, fields: frozenset[str]) -> None:
        """Changes the entity in place."""
        del facts, fields
        self._settle(world, world.writing(self.at))

    def _settle(self, world: Writer, session: Any) -> None:
        found = self.look(world, session)
        if found is None:
            # It is read back as absent then, which the engine tells.
            return
        if found.values["name"] != self.name:
            session.task(found.ref, "Rename_Task", newName=self.name)
        self.change(world, session, found)
        attributes.put(session, found.ref, world.mark(complete=True))
        if attributes.ledger(session).get(world.site, self.id) is not None:
            attributes.strike(session, world.site, self.id)

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[F]:
        """Yields the entities of this kind that bear the site's mark, and the intents of those that do not stand."""
        session = world.session(at)
        seen = set()
        for found in every(session, cls.type_name, cls.paths):
            mark = attributes.mark_of(session, found.values["customValue"])
            if mark is not None and mark.site == world.site and mark.id.startswith(f"{cls.kind}:"):
                seen.add(mark.id)
                yield cls.facts(session, found, _address(found), mark)
        for mark in attributes.ledger(session).of_kind(cls.kind, world.site):
            if mark.id not in seen:
                yield cls.facts(session, None, {}, dataclasses.replace(mark, complete=False))

    @classmethod
    def machines(cls, session: Any, ref: str) -> list[str]:
        """Returns the names of the machines in the entity of that reference, for kinds that machines keep standing."""
        del session, ref
        return []

    @classmethod
    def holds(cls, world: Reader, at: Endpoint[Any, Any], facts: F) -> str:
        """Returns that machines are in it, and how they leave it without being made anew."""
        found = cls.machines(world.session(at), facts.address.get("ref", ""))
        if not found:
            return ""
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        return (
            f"machines are in it ({', '.join(sorted(found)[:3])}{more}): make the new one first, by "
            f"`paver apply --only '{cls.kind}:*'`, move them there in vCenter's client, and plan again"
        )

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: F) -> None:
        """Removes the entity, and what is left of its mark."""
        session = world.writing(at)
        for found in every(session, cls.type_name, cls.paths):
            if describe(found.ref) == facts.address.get("ref"):
                # Its own mark goes with it: the ledger's says until the end that there is something left to do.
                attributes.note(session, world.mark(complete=False))
                try:
                    cls.remove(world, session, found)
                except Refused:
                    attributes.strike(session, world.site, world.mark(complete=False).id)
                    raise
        attributes.strike(session, world.site, world.mark(complete=False).id)


def every(session: Any, type_name: str, paths: tuple[str, ...] = ()) -> list[Found]:
    """Returns all entities of a type."""
    return [Found(ref, values) for ref, values in session.objects(type_name, (*COMMON, *paths))]


def _address(found: Found) -> dict[str, str]:
    return {"name": str(found.values["name"]), "ref": describe(found.ref)}
