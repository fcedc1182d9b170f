"""The folder of a host's ledger without a ledger in it: what a run leaves that was killed between making the two."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from paver.driver import Endpoint, Facts, Mark, Reader, Resource, Verb, Writer, resource_id
from paver.drivers.vsphere import ledger


@dataclasses.dataclass(frozen=True, kw_only=True)
class LedgerFolder(Resource[Facts]):
    """Such a folder. Nobody wishes for it: the ledger brings its own along, and takes it along when it goes."""

    kind = "vsphere.ledger-folder"
    left_over = True
    calls: ClassVar = {Verb.DELETE: frozenset({"DeleteDatastoreFile_Task"})}

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[Facts]:
        """Yields the folders that hold no ledger, and nothing of anybody else's."""
        host = at.name.partition(":")[2]
        mark = Mark(world.site, resource_id(cls.kind, host), action="", complete=True)
        for datastore in ledger.left_without(world, at):
            yield Facts(address={"datastore": datastore, "path": ledger.folder(world.site)}, mark=mark)

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: Facts) -> None:
        """Deletes the folder; one in which something lies by now stays."""
        ledger.clear(world, at, facts.address["datastore"])
