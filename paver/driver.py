"""The public plugin API: what a driver may import of the engine, and what it must be. Re-exports, and one protocol.

A driver is registered under the entry point group `paver.drivers`. Beside this module it may use `paver.sitefile`,
`paver.machine`, `paver.transport`, `paver.ovf`, `paver.signing` and `paver.sealed.passwords`, never the engine itself. Importing it is cheap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from paver.engine.mark import MARK_KEY, Mark
from paver.engine.offer import Door, End, Finding, Grade, Part, Port, Quoted, Root, ToolDoor
from paver.engine.paved import JUMPBOX_ENDPOINT, Paved
from paver.engine.resource import (
    Around,
    Check,
    Connection,
    Connector,
    Endpoint,
    Facts,
    Gate,
    Ground,
    Lane,
    Opaque,
    Reader,
    Resource,
    Verb,
    Writer,
)
from paver.engine.store import STORE, Entry, Material, StoreReader, StoreWriter
from paver.engine.values import InUse, Output, ResourceId, Secret, encode, kind_of, output, resource_id
from paver.errors import BadInput, Interrupted, PaverError, Refused, Unobservable, Unreachable, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from paver.sitefile.diagnostic import Diagnostic, Severity

API = 1

__all__ = [
    "API",
    "JUMPBOX_ENDPOINT",
    "MARK_KEY",
    "STORE",
    "Around",
    "BadInput",
    "Check",
    "Connection",
    "Connector",
    "Diagnostic",
    "Door",
    "Driver",
    "End",
    "Endpoint",
    "Entry",
    "Facts",
    "Finding",
    "Gate",
    "Grade",
    "Ground",
    "InUse",
    "Interrupted",
    "Lane",
    "Mark",
    "Material",
    "Opaque",
    "Output",
    "Part",
    "Paved",
    "PaverError",
    "Port",
    "Quoted",
    "Reader",
    "Refused",
    "Resource",
    "ResourceId",
    "Root",
    "Secret",
    "Severity",
    "StoreReader",
    "StoreWriter",
    "ToolDoor",
    "Unobservable",
    "Unreachable",
    "Verb",
    "Writer",
    "encode",
    "kind_of",
    "nearest",
    "output",
    "resource_id",
]


def __getattr__(name: str) -> Any:
    """Gives a finding's parts when they are asked for: what they lie beside loads pydantic."""
    if name in {"Diagnostic", "Severity"}:
        from paver.sitefile import diagnostic  # noqa: PLC0415 - importing this module is cheap

        return getattr(diagnostic, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Driver(Protocol):
    """One IaaS.

    Attributes:
        api: the version of this protocol that the driver was written for.
        name: what stands under `iaas.driver` in the site file.
        version: the driver's own version, printed in plans.
        phases: labels of its resources, in order.
        settings: the model of everything under `iaas`.
        kinds: every kind of resource that it makes, in creation order.

    It may also have `preflight`, `ports` and `doors`, as `paver.engine.offer` says.
    """

    @property
    def api(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def phases(self) -> tuple[str, ...]: ...
    @property
    def settings(self) -> type[BaseModel]: ...
    @property
    def kinds(self) -> tuple[type[Resource[Any]], ...]: ...

    def check(self, site: Any) -> Iterable[Diagnostic]:
        """Yields what is wrong that only more than one section of the site file shows."""
        ...

    def pave(self, site: Any) -> Paved:
        """Returns the wish for `site` (a `paver.sitefile.Site`); pure."""
        ...
