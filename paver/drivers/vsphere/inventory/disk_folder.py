"""BOSH's folder for persistent disks: a directory of each datastore that its hosts call by one name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from paver.driver import Facts, PaverError, Reader, Refused, ResourceId, Writer
from paver.drivers.vsphere.host.datastore import content
from paver.drivers.vsphere.inventory import attributes, datacenter, stores
from paver.drivers.vsphere.inventory.entity import Found, declared, same
from paver.drivers.vsphere.inventory.noted import Noted, Removal, Seen, key_of
from paver.transport.vsphere import VsphereFault, describe

_AND = "\n"
"""Between the names of several datastores: no name has it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFolderFacts(Facts):
    """A directory; `whole` where it is on all datastores that are meant."""

    whole: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFolder(Noted[DiskFolderFacts]):
    """A directory. The key of its id is `<datacenter>/<datastore>/<directory>`.

    Attributes:
        hosts: whose datastore it is, as vCenter names them; several may share it, or have one each.
        whole: it is to be on all of theirs.
    """

    kind = "vsphere.disk-folder"
    facts = DiskFolderFacts
    unmanaged = frozenset({"hosts"})
    calls = declared(
        create=("MakeDirectory",), update=("MakeDirectory",), delete=("DeleteDatastoreFile_Task",)
    )

    hosts: frozenset[str]
    whole: bool = True

    @classmethod
    def look(cls, world: Reader, session: Any, id_: ResourceId) -> Seen | None:
        """Returns the directory, on whatever datastores of that name it is."""
        place, name, _ = key_of(id_).split("/", 2)
        found = datacenter.find(session, place)
        if found is None:
            return None
        return _seen(world, session, id_, found, stores.named(session, found, name))

    def seen(self, world: Reader, session: Any) -> Seen | None:
        """Returns the directory on its hosts' datastores; it is not whole where one lacks it, or a host is not there."""
        place, name, _ = key_of(self.id).split("/", 2)
        found = datacenter.find(session, place)
        if found is None:
            return None
        theirs = stores.of_hosts(session, found, name, self.hosts)
        looked = stores.distinct(theirs.values())
        return _seen(world, session, self.id, found, looked, whole=None not in theirs.values())

    def make(self, world: Writer, session: Any, seen: Seen | None) -> None:
        """Makes the directory where it is not.

        Raises:
            PaverError: if a host brings no datastore of that name along.
        """
        del world, seen
        place, name, path = key_of(self.id).split("/", 2)
        found = datacenter.find(session, place)
        theirs = stores.of_hosts(session, found, name, self.hosts) if found is not None else {}
        without = [host for host, store in theirs.items() if store is None]
        if found is None or without:
            raise PaverError(
                f"vCenter has no datastore {name} of {', '.join(without) or place}",
                do="see what its hosts bring along",
            )
        for store in stores.distinct(theirs.values()):
            if content(session, store.values["browser"], store.values["name"], path) is None:
                session.datastore_mkdir(store.values["name"], path, found.ref)

    @classmethod
    def removing(cls, session: Any, address: Mapping[str, str]) -> list[Removal]:
        """Returns what removes the directory, from all datastores or from none.

        Raises:
            Refused: if something lies in it.
        """
        type_name, _, moid = address["datacenter"].partition(":")
        place = session.ref(type_name, moid)
        path = address["path"]
        found = next((one for one in datacenter.all_of(session) if same(one.ref, place)), None)
        browsers = {
            store.values["name"]: store.values["browser"]
            for store in (stores.all_of(session, found) if found is not None else ())
        }
        empty = []
        for name in address["datastore"].split(_AND):
            browser = browsers.get(name)
            inside = content(session, browser, name, path) if browser is not None else None
            if inside:
                raise Refused(
                    f"[{name}] {path} is not empty",
                    seen=", ".join(inside[:10]),
                    why="BOSH's persistent disks lie there",
                    do="delete them by BOSH (`bosh clean-up --all`), or move them away, then run the same command again",
                )
            if inside is not None:
                empty.append(name)
        return [functools.partial(session.datastore_delete, name, path, place) for name in empty]


def _seen(
    world: Reader, session: Any, id_: ResourceId, place: Found, looked: list[Found], *, whole: bool = True
) -> Seen | None:
    """Returns the directory on those of the datastores that have it, None if none has."""
    path = key_of(id_).split("/", 2)[2]
    there = [store.values["name"] for store in looked if _is_there(world, session, id_, store, path)]
    if not there:
        return None
    address = {"datacenter": describe(place.ref), "datastore": _AND.join(there), "path": path}
    return Seen(address, {"whole": whole and len(there) == len(looked)})


def _is_there(world: Reader, session: Any, id_: ResourceId, store: Found, path: str) -> bool:
    """Tells whether a datastore has the directory.

    While its hosts are not connected, which a plan tells of them, nobody can look: then what the ledger names counts
    as there, and nothing else does.
    """
    try:
        return content(session, store.values["browser"], store.values["name"], path) is not None
    except VsphereFault as fault:
        if not stores.hidden(fault):
            raise
        return attributes.ledger(session).get(world.site, id_) is not None
