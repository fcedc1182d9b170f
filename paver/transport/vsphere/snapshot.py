"""What an endpoint holds, read in one PropertyCollector call by leaf paths and kept until something is written.

Attribute access of managed objects costs a round trip each and fails on unset properties; nothing of paver
uses it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from paver.errors import Unobservable
from paver.transport.kept import Kept
from paver.transport.vsphere import soap_types

T = TypeVar("T")
Found = tuple[Any, dict[str, Any]]
Wants = Mapping[str, Iterable[str]]
File = tuple[str, str, str]
"""A datastore's name, a path in it, and the datacenter's name."""

ATTRIBUTES = frozenset({"availableField", "customValue", "field", "value"})
"""Paths that show custom attributes: of an entity, and of their manager."""


def view_filter(view: Any, wants: Mapping[Any, frozenset[str]]) -> Any:
    """Returns the filter that collects `wants` (paths by class) from everything in a container view."""
    return _listed_filter(view, "view", wants)


def tasks_filter(manager: Any) -> Any:
    """Returns the filter that collects what tells whose the recent tasks are, and how far, from their manager."""
    paths = frozenset({"info.entityName", "info.name", "info.reason", "info.state"})
    return _listed_filter(manager, "recentTask", {soap_types.type_of("Task"): paths})


def _listed_filter(lister: Any, path: str, wants: Mapping[Any, frozenset[str]]) -> Any:
    """Returns the filter that collects `wants` from all that `lister` names at `path`."""
    new = soap_types.new
    traversal = new("TraversalSpec", name=path, type=type(lister), path=path, skip=False)
    return new(
        "PropertyFilterSpec",
        objectSet=[new("ObjectSpec", obj=lister, skip=True, selectSet=[traversal])],
        propSet=[
            new("PropertySpec", type=type_, all=False, pathSet=sorted(paths))
            for type_, paths in wants.items()
        ],
    )


def object_filter(managed: Sequence[Any], paths: Iterable[str]) -> Any:
    """Returns the filter that collects `paths` of the objects given, all of one type."""
    new = soap_types.new
    return new(
        "PropertyFilterSpec",
        objectSet=[new("ObjectSpec", obj=item, skip=False) for item in managed],
        propSet=[new("PropertySpec", type=type(managed[0]), all=False, pathSet=sorted(paths))],
    )


def collect(collector: Any, filters: Sequence[Any], *, strict: bool = True) -> list[Found]:
    """Returns every object that the filters select, with the paths that are set.

    Raises:
        Unobservable: if a property is there but the account may not read it; unless `strict`, that is left out.
    """
    result = collector.RetrievePropertiesEx(list(filters), soap_types.new("RetrieveOptions"))
    found: list[Found] = []
    while result is not None:
        for content in result.objects:
            for missing in (content.missingSet or ()) if strict else ():
                _unreadable(content.obj, missing)
            found.append((content.obj, {prop.name: prop.val for prop in content.propSet or ()}))
        result = collector.ContinueRetrievePropertiesEx(result.token) if result.token else None
    return found


def _unreadable(managed: Any, missing: Any) -> None:
    fault = soap_types.name_of(type(missing.fault))
    if fault in ("NotAuthenticated", "NoPermission", "SystemError"):
        raise Unobservable(
            f"{missing.path} of {soap_types.describe(managed)} cannot be read: {fault}",
            do="give the account the right to read it (System.Read)",
        )


class Snapshot:
    """The kept answers of one endpoint; safe for several threads.

    Args:
        collector: returns the property collector.
        view: creates a recursive container view of a root (None: everything).
    """

    def __init__(self, collector: Callable[[], Any], view: Callable[[Any], Any]) -> None:
        self._collector = collector
        self._view = view
        self._lock = threading.RLock()
        self._found: dict[tuple[str, str], dict[str, Found]] = {}
        self._paths: dict[tuple[str, str], frozenset[str]] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._files = Kept()
        self._answers = Kept()
        self._wants: dict[str, frozenset[str]] = {}
        self._asked: dict[str, frozenset[str]] = {}
        self._planning = True
        self._views: dict[str, Any] = {}
        self._lasting: dict[str, tuple[Kept, frozenset[str]]] = {}
        self._age = 0

    def forget(self) -> None:
        """Drops what was read; what was asked for since the last time is remembered, and read in one call next.

        Not what was asked for the first time: that is a plan, which asks for everything, while an act asks for
        little. A host's whole configuration takes as long to decode as twenty small calls.
        """
        with self._lock:
            self._age += 1
            self._found.clear()
            self._paths.clear()
            self._values.clear()
            self._files.forget()
            self._answers.forget()
            if self._asked:
                self._wants = {} if self._planning else self._asked
                self._planning = False
                self._asked = {}

    def forget_all(self) -> None:
        """Drops also what lasts: another server may answer from now on."""
        self.forget()
        with self._lock:
            for kept, _ in self._lasting.values():
                kept.forget()

    def forget_files(self) -> None:
        """Drops what changes when files are written: the files, and how full datastores are."""
        with self._lock:
            self._age += 1
            self._files.forget()
            for key in [key for key in self._found if key[0] == "Datastore"]:
                del self._found[key], self._paths[key]

    def forget_attributes(self) -> None:
        """Drops what changes when custom attributes are defined and set: their definitions and values."""
        with self._lock:
            self._age += 1
            for place in [place for place, paths in self._paths.items() if paths & ATTRIBUTES]:
                del self._found[place], self._paths[place]
            # New ones: whoever reads just now holds the old ones.
            for key, values in self._values.items():
                self._values[key] = {path: values[path] for path in values.keys() - ATTRIBUTES}

    def lasting(self, name: str, ask: Callable[[], T], *, until: frozenset[str], anew: bool = False) -> T:
        """Returns what `ask` returns; it is kept, whatever is forgotten, until one of the calls `until` was made, or `anew`."""
        with self._lock:
            kept, _ = self._lasting.setdefault(name, (Kept(), until))
        if anew:
            kept.forget()
        return kept.get(name, ask)

    def called(self, method: str) -> None:
        """Drops of what lasts that which ends with a call of `method`."""
        with self._lock:
            for kept, until in self._lasting.values():
                if method in until:
                    kept.forget()

    def expect(self, wants: Wants) -> None:
        """Adds to what the next reading fetches in its one call."""
        with self._lock:
            for type_name, paths in wants.items():
                self._wants[type_name] = self._wants.get(type_name, frozenset()) | frozenset(paths)

    def objects(self, type_name: str, paths: Sequence[str], root: Any = None) -> list[Found]:
        """Returns all objects of a type below `root` with `paths`; unset ones are None."""
        key = (type_name, "" if root is None else soap_types.describe(root))
        with self._lock:
            if root is None:
                self._asked[type_name] = self._asked.get(type_name, frozenset()) | frozenset(paths)
            if not self._holds(key, frozenset(paths)):
                wants = {type_name: frozenset(paths)}
                if root is None:
                    self.expect(wants)
                    wants = self._wants
                lacking = {
                    name: wanted - self._paths.get((name, key[1]), frozenset())
                    for name, wanted in wants.items()
                    if not self._holds((name, key[1]), wanted)
                }
                self._fetch(key[1], root, lacking)
            found = self._found[key]
            return [
                (managed, {path: values.get(path) for path in paths}) for managed, values in found.values()
            ]

    def _holds(self, key: tuple[str, str], paths: frozenset[str]) -> bool:
        return key in self._found and paths <= self._paths[key]

    def _fetch(self, root_name: str, root: Any, wants: Mapping[str, frozenset[str]]) -> None:
        classes = {soap_types.type_of(name): name for name in wants}
        # A subclass answers for its bases too, so its own line in the filter carries their paths as well.
        merged = {
            type_: frozenset[str]().union(
                *(wants[classes[base]] for base in classes if issubclass(type_, base))
            )
            for type_ in classes
        }
        found = self._through_view(root_name, root, merged)
        outdated: dict[str, frozenset[str]] = {}
        for type_, name in classes.items():
            key = (name, root_name)
            new = {item[0]._moId: item for item in found if isinstance(item[0], type_)}  # noqa: SLF001
            kept = self._found.get(key)
            if kept is None:
                self._found[key] = new
                self._paths[key] = frozenset(wants[name])
            elif kept.keys() == new.keys():
                # What is known of them is not read again.
                self._found[key] = {id_: (ref, {**kept[id_][1], **more}) for id_, (ref, more) in new.items()}
                self._paths[key] |= wants[name]
            else:
                # Something came or went since.
                outdated[name] = self._paths.pop(key) | wants[name]
                del self._found[key]
        if outdated:
            self._fetch(root_name, root, outdated)

    def _through_view(self, root_name: str, root: Any, wants: Mapping[Any, frozenset[str]]) -> list[Found]:
        # A view follows the inventory as long as the session lives; a new session needs a new one.
        view = self._views.get(root_name)
        if view is not None:
            try:
                return collect(self._collector(), [view_filter(view, wants)])
            except soap_types.type_of("ManagedObjectNotFound"):
                del self._views[root_name]
        view = self._views[root_name] = self._view(root)
        return collect(self._collector(), [view_filter(view, wants)])

    def values(self, managed: Any, paths: Sequence[str], *, fresh: bool = False) -> dict[str, Any]:
        """Returns `paths` of one object; unset ones are None."""
        [found] = self.several([(managed, paths)], fresh=fresh)
        return found

    def several(
        self, wants: Sequence[tuple[Any, Sequence[str]]], *, fresh: bool = False
    ) -> list[dict[str, Any]]:
        """Returns paths of several objects, those that are not kept read in one call; unset ones are None."""
        names = [soap_types.describe(managed) for managed, _ in wants]
        with self._lock:
            age = self._age
            kept = {name: {} if fresh else self._values.get(name, {}) for name in names}
        lacking: dict[str, tuple[Any, dict[str, None]]] = {}
        for name, (managed, paths) in zip(names, wants, strict=True):
            wanted = lacking.setdefault(name, (managed, {}))[1]
            wanted |= dict.fromkeys(path for path in paths if path not in kept[name])
        filters = [object_filter([managed], paths) for managed, paths in lacking.values() if paths]
        if filters:
            # By id alone: what was asked for by its base type may be answered for by its own.
            found = {ref._moId: values for ref, values in collect(self._collector(), filters)}  # noqa: SLF001
            got = {
                name: {path: found.get(managed._moId, {}).get(path) for path in paths}  # noqa: SLF001
                for name, (managed, paths) in lacking.items()
            }
            kept = {name: {**kept[name], **got[name]} for name in names}
            with self._lock:
                # What was asked before somebody wrote is no answer for whoever asks after it.
                if not fresh and age == self._age:
                    self._values |= {name: {**self._values.get(name, {}), **kept[name]} for name in names}
        return [
            {path: kept[name][path] for path in paths} for name, (_, paths) in zip(names, wants, strict=True)
        ]

    def answer(self, question: Hashable, ask: Callable[[], T]) -> T:
        """Returns what `ask` returns to a question; it is kept until `forget`."""
        return self._answers.get(question, ask)

    def file(self, place: File, get: Callable[[], bytes | None]) -> bytes | None:
        """Returns what `get` returns for a file, None if it is not there; kept until files are written, or `forget`."""
        return self._files.get(place, get)
