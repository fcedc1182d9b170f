"""The public plugin API: what a driver may import, and what it must be. Re-exports, and one protocol.

A driver is registered under the entry point group `paver.drivers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import BaseModel

from paver.engine.offer import Door, Finding, Grade, Port, Quoted, Root
from paver.engine.paved import Paved
from paver.engine.resource import (
    Check,
    Connection,
    Connector,
    Endpoint,
    Facts,
    Gate,
    Ground,
    Lane,
    Mark,
    Opaque,
    Reader,
    Resource,
    Verb,
    Writer,
)
from paver.engine.store import STORE, Entry, Material, StoreReader, StoreWriter
from paver.engine.values import Output, ResourceId, Secret, output, resource_id
from paver.errors import BadInput, PaverError, Refused, Unobservable

API = 1

__all__ = [
    "API",
    "STORE",
    "BadInput",
    "Check",
    "Connection",
    "Connector",
    "Door",
    "Driver",
    "Endpoint",
    "Entry",
    "Facts",
    "Finding",
    "Gate",
    "Grade",
    "Ground",
    "Lane",
    "Mark",
    "Material",
    "Opaque",
    "Output",
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
    "StoreReader",
    "StoreWriter",
    "Unobservable",
    "Verb",
    "Writer",
    "output",
    "resource_id",
]


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

    def check(self, site: Any) -> Iterable[Any]:
        """Yields diagnostics (`paver.sitefile.Diagnostic`) that need more than one section of the site file."""
        ...

    def pave(self, site: Any) -> Paved:
        """Returns the wish for `site` (a `paver.sitefile.Site`); pure."""
        ...
