"""BOSH's folder for persistent disks: a directory of a datastore."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Facts, PaverError, Reader, Refused, ResourceId, Writer
from paver.drivers.vsphere.inventory import attributes, datacenter
from paver.drivers.vsphere.inventory.entity import declared, same
from paver.drivers.vsphere.inventory.noted import Noted, Seen, key_of
from paver.transport.vsphere import VsphereFault, describe

_HIDDEN = ("HostNotConnected", "HostCommunication", "InvalidState")
"""Faults that say that no host shows the datastore at the moment."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFolderFacts(Facts):
    """A directory; it has no values but its name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFolder(Noted[DiskFolderFacts]):
    """A directory. The key of its id is `<datacenter>/<datastore>/<directory>`."""

    kind = "vsphere.disk-folder"
    facts = DiskFolderFacts
    calls = declared(create=("MakeDirectory",), delete=("DeleteDatastoreFile_Task",))

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the directory.

        While its hosts are not connected, which a plan tells of them, nobody can look: then what the ledger names
        counts as there, and nothing else does.
        """
        del world
        place, name, path = key_of(id_).split("/", 2)
        found = datacenter.find(session, place)
        browser = _browser(session, found, name)
        if found is None or browser is None:
            return None
        try:
            there = _content(session, browser, name, path) is not None
        except VsphereFault as fault:
            if not any(fault.is_a(hidden) for hidden in _HIDDEN):
                raise
            there = attributes.ledger(session).get(id_) is not None
        seen = Seen({"datacenter": describe(found.ref), "datastore": name, "path": path}, {})
        return seen if there else None

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Makes the directory.

        Raises:
            PaverError: if vCenter has no datastore of that name.
        """
        del world
        if seen is not None:
            return
        place, name, path = key_of(self.id).split("/", 2)
        found = datacenter.find(session, place)
        if found is None or _browser(session, found, name) is None:
            raise PaverError(
                f"vCenter has no datastore {name} in {place}", do="see what its hosts bring along"
            )
        session.datastore_mkdir(name, path, found.ref)

    @classmethod
    def remove(cls, session: Any, address: Mapping[str, str]) -> None:
        """Removes the directory.

        Raises:
            Refused: if something lies in it.
        """
        type_name, _, moid = address["datacenter"].partition(":")
        place = session.ref(type_name, moid)
        name, path = address["datastore"], address["path"]
        found = next((one for one in datacenter.all_of(session) if same(one.ref, place)), None)
        browser = _browser(session, found, name)
        inside = _content(session, browser, name, path) if browser is not None else None
        if inside:
            raise Refused(
                f"[{name}] {path} is not empty",
                seen=", ".join(inside[:10]),
                why="BOSH's persistent disks lie there",
                do="delete them by BOSH (`bosh clean-up --all`), or move them away, then run the same command again",
            )
        if inside is not None:
            session.datastore_delete(name, path, place)


def _browser(session: Any, place: Any, name: str) -> Any:
    """Returns the browser of a datacenter's datastore, None if there is none of that name."""
    if place is None:
        return None
    for _, values in session.objects("Datastore", ("name", "parent", "browser")):
        if values["name"] == name and same(values["parent"], place.values["datastoreFolder"]):
            return values["browser"]
    return None


def _content(session: Any, browser: Any, name: str, path: str) -> list[str] | None:
    """Returns the names of what lies in a directory, None if it is not there."""
    try:
        result = session.query(
            browser, "SearchDatastore_Task", datastorePath=f"[{name}] {path}", searchSpec=None
        )
    except VsphereFault as fault:
        if fault.is_a("FileNotFound"):
            return None
        raise
    return sorted(str(one.path) for one in result.file or ())
