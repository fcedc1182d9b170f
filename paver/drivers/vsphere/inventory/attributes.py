"""Paver's custom attributes in vCenter: the mark on each entity, and a small ledger on the root folder.

An entity cannot be born with its mark, and roles and permissions cannot carry one at all. So the ledger has a
few slots, attributes of the root folder that hold one mark each: the intent of an entity for as long as it is
being made or destroyed, and the mark of each role and permission. A definition goes with its last value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import MARK_KEY, Mark, PaverError, Reader, ResourceId
from paver.transport.vsphere import VsphereFault, type_of

SLOT = "paver.ledger."
CALLS = frozenset({"AddCustomFieldDef", "SetField", "RemoveCustomFieldDef"})
"""What marking a thing calls, and taking its mark away."""

MARKED = ("Datacenter", "ClusterComputeResource", "HostSystem", "Folder", "ResourcePool")
"""Types of entities that may carry a mark."""

_CUSTOM = ("customValue",)
_LONGEST = 255
_MOST_SLOTS = 64


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The slots of the root folder that hold a mark, by the slot's name; of several sites, which have the same ids."""

    slots: Mapping[str, Mark]

    def get(self, site: str, id_: str) -> Mark | None:
        """Returns the mark of a site's resource."""
        return next((mark for mark in self.slots.values() if mark.names(site, id_)), None)

    def of_kind(self, kind: str, site: str) -> Iterator[Mark]:
        """Yields a site's marks of one kind."""
        yield from (
            mark for mark in self.slots.values() if mark.id.startswith(f"{kind}:") and mark.site == site
        )


def mark_of(session: Any, custom: Any) -> Mark | None:
    """Returns the mark among an entity's `customValue`, None if it is foreign."""
    key = _keys(session).get(MARK_KEY)
    return None if key is None else Mark.loads(_values(custom).get(key))


def ledger(session: Any) -> Ledger:
    """Returns the ledger."""
    defined, custom = _read(session)
    found = _values(custom)
    slots = (one for one in defined if one.name.startswith(SLOT) and found.get(one.key))
    read = {one.name: Mark.loads(found[one.key]) for one in slots}
    return Ledger({name: mark for name, mark in read.items() if mark is not None})


def put(session: Any, entity: Any, mark: Mark) -> None:
    """Writes an entity's mark. All sites share the attribute."""
    key = _keys(session).get(MARK_KEY)
    if key is None:
        key = _defined(session, MARK_KEY, None)
    _set(session, entity, key if key is not None else _keys(session)[MARK_KEY], _text(mark))


def note(session: Any, mark: Mark) -> None:
    """Writes a mark into the ledger: over the one of the same resource, or into a slot that is free."""
    book = ledger(session)
    name = next((name for name, kept in book.slots.items() if kept.names(mark.site, mark.id)), None)
    key = _keys(session)[name] if name is not None else _free_slot(session, book)
    _set(session, session.content.rootFolder, key, _text(mark))


def strike(session: Any, site: str, id_: str) -> None:
    """Takes a site's resource out of the ledger, and with it all definitions under which nothing has a value.

    Its own slot goes last and in one call, value and definition: until then the next run finds what is left to do.
    """
    own = [name for name, mark in ledger(session).slots.items() if mark.names(site, id_)]
    keys = _keys(session)
    used = _used(session)
    for name, key in sorted(keys.items()):
        if (name == MARK_KEY or name.startswith(SLOT)) and key not in used:
            _undefine(session, key)
    for name in own:
        _undefine(session, keys[name])


def _free_slot(session: Any, book: Ledger) -> int:
    keys = _keys(session)
    for number in range(1, _MOST_SLOTS + 1):
        name = f"{SLOT}{number}"
        if name in book.slots:
            continue
        key = keys[name] if name in keys else _defined(session, name, "Folder")
        # One that somebody defined just now is for a mark of theirs: the next one, then.
        if key is not None:
            return key
    raise PaverError(
        f"{session.name}: paver's ledger is full",
        seen=", ".join(sorted(mark.id for mark in book.slots.values())),
        do="remove the attributes paver.ledger.* of the root folder whose things are gone",
    )


def _used(session: Any) -> set[int]:
    session.snapshot(dict.fromkeys(MARKED, _CUSTOM))
    found = [
        values["customValue"] for type_name in MARKED for _, values in session.objects(type_name, _CUSTOM)
    ]
    found.append(_read(session)[1])
    return {key for custom in found for key, text in _values(custom).items() if text}


def begun(world: Reader, book: Ledger, id_: ResourceId) -> Mark | None:
    """Returns the intent of a resource whose entity bears no mark of its own: it was begun and is not complete."""
    kept = book.get(world.site, id_)
    return None if kept is None else dataclasses.replace(kept, complete=False)


def _keys(session: Any) -> dict[str, int]:
    return {one.name: one.key for one in _read(session)[0]}


def _read(session: Any) -> tuple[Any, Any]:
    """Returns all definitions, and the root folder's values: whoever asks for the ones needs the others next."""
    defined, custom = session.each(
        (session.content.customFieldsManager, "field"), (session.content.rootFolder, "customValue")
    )
    return defined or (), custom


def _values(custom: Any) -> dict[int, str]:
    return {one.key: str(one.value) for one in custom or ()}


def _defined(session: Any, name: str, type_name: str | None) -> int | None:
    """Defines an attribute and returns its key, None if somebody was quicker."""
    try:
        made = session.call(
            session.content.customFieldsManager,
            "AddCustomFieldDef",
            name=name,
            moType=type_of(type_name) if type_name else None,
            fieldDefPolicy=None,
            fieldPolicy=None,
        )
    except VsphereFault as fault:
        if not fault.is_a("DuplicateName"):
            raise
        return None
    return int(made.key)


def _undefine(session: Any, key: int) -> None:
    session.call(session.content.customFieldsManager, "RemoveCustomFieldDef", key=key)


def _set(session: Any, entity: Any, key: int, text: str) -> None:
    session.call(session.content.customFieldsManager, "SetField", entity=entity, key=key, value=text)


def _text(mark: Mark) -> str:
    text = mark.dumps()
    if len(text) <= _LONGEST:
        return text
    # Site and id say whose it is; of the action its beginning is enough to find it in a journal.
    return dataclasses.replace(mark, action=mark.action[:12]).dumps()
