"""The datastore that a host must have. Paver looks at it and never changes it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from paver.driver import Endpoint, Facts, PaverError, Reader, Refused, Resource, Writer, nearest
from paver.transport.vsphere import VsphereFault


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatastoreFacts(Facts):
    """A datastore as it is; free space is no fact."""

    type: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Datastore(Resource[DatastoreFacts]):
    """A datastore that is to be there, accessible; a setting without anything to set.

    Attributes:
        name: its name, in the host's spelling.
    """

    kind = "vsphere.datastore"
    setting = True
    unmanaged = frozenset({"name"})

    name: str

    def read(self, world: Reader) -> DatastoreFacts | None:
        """Returns the datastore.

        Raises:
            Refused: if it is not there, or not accessible; nothing can be placed on the host then.
        """
        session = world.session(self.at)
        found = {
            values["name"]: values
            for _, values in session.objects("Datastore", ("name", "summary.accessible", "summary.type"))
        }
        name = called(self.name, found)
        if name is None:
            meant = nearest(self.name, found)
            raise Refused(
                f"{session.name} has no datastore {self.name}",
                seen=", ".join(sorted(found)) or "no datastore at all",
                why="names are told apart by upper and lower case"
                if meant and meant.lower() == self.name.lower()
                else "",
                do=f"write {meant} in the site file" if meant else "make one on the host, or name another",
            )
        values = found[name]
        if not values["summary.accessible"]:
            raise Refused(f"{session.name}: the datastore {name} is not accessible", do="bring it back")
        return DatastoreFacts(address={"name": name}, type=str(values["summary.type"] or ""))

    def create(self, world: Writer) -> None:
        """Is never called: what is not there is refused while planning."""
        del world
        raise PaverError(f"{self.id}: paver makes no datastores")

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: DatastoreFacts) -> None:
        """Is never called: no datastore bears paver's mark."""
        del world, facts
        raise PaverError(f"{at.name}: paver removes no datastores")


def called(name: str, names: Iterable[str]) -> str | None:
    """Returns what a host calls its datastore `name`, None if it has none.

    Where two hosts of a vCenter have a local datastore of one name, as ESXi's installer gives it (`datastore1`),
    vCenter renames the second one on the host itself, to `datastore1 (1)`.
    """
    known = list(names)
    if name in known:
        return name
    renamed = [one for one in known if may_be(name, one)]
    return renamed[0] if len(renamed) == 1 else None


def may_be(name: str, seen: str) -> bool:
    """Tells whether a datastore that is called `seen` may have been `name` before a vCenter renamed it."""
    return seen == name or bool(re.fullmatch(rf"{re.escape(name)} \(\d+\)", seen))


def content(session: Any, browser: Any, name: str, path: str) -> list[str] | None:
    """Returns the names of what lies in a directory of a datastore, None if it is not there.

    Raises:
        VsphereFault: also where no host shows the datastore at the moment (`hidden`).
    """
    try:
        result = session.query(
            browser, "SearchDatastore_Task", datastorePath=f"[{name}] {path}", searchSpec=None
        )
    except VsphereFault as fault:
        if fault.is_a("FileNotFound"):
            return None
        raise
    return sorted(str(one.path) for one in result.file or ())
