"""The whole wish, as a pure `pave(site)` returns it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from paver.engine.graph import Graph, build
from paver.engine.resource import Around, Connector, Endpoint, Ground, Resource
from paver.engine.store import Material
from paver.engine.values import ResourceId
from paver.errors import BadInput

JUMPBOX_ENDPOINT = "machine:jumpbox"
"""The name of the jumpbox's endpoint with every driver: what stands on any IaaS keeps its records there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paved:
    """What a driver, the trust and the foundation each contribute; `merge` puts them together.

    Attributes:
        phases: labels in order; no edge may point to a later one. What is only a part need not name its own.
        outside: the phases whose writes happen where paver was started; all others on the jumpbox.
        resources: the wishes.
        connectors: by endpoint name.
        grounds: where to look for orphans, kinds in creation order.
        material: passwords, keys and certificates that these resources refer to.
        jumpbox: the machine on which the phases after `outside` run; the endpoint is called `JUMPBOX_ENDPOINT`.
        brought: files of the site that are brought to the jumpbox, by name (`bucc`): the resources whose
            facts `sha256` and `path` say where they are.
        cpi: the name of BOSH's CPI for this IaaS.
        cpi_values: BUCC's variables for that CPI, verbatim; values may be outputs and secrets.
        cpi_flags: BUCC's flags for that CPI.
        cpi_operators: ops files for `bosh create-env` that this IaaS needs, by name.
        azs: cloud properties by availability zone, for BOSH's cloud config.
        network_properties: cloud properties by network.
        vm_types: cloud properties by the VM type's name; `default` is always there.
        around: what lies around BOSH's acts in this IaaS, compared before and after them.
        needs: what must stand before BUCC (resources of the driver).
        moved: resources that have another id now: old to new; the site file says so, never a part.
    """

    phases: tuple[str, ...] = ()
    outside: frozenset[str] = frozenset()
    resources: tuple[Resource[Any], ...] = ()
    connectors: Mapping[str, Connector] = dataclasses.field(default_factory=dict)
    grounds: tuple[Ground, ...] = ()
    material: tuple[Material, ...] = ()
    jumpbox: Endpoint[Any, Any] | None = None
    brought: Mapping[str, ResourceId] = dataclasses.field(default_factory=dict)
    cpi: str = ""
    cpi_values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cpi_flags: tuple[str, ...] = ()
    cpi_operators: Mapping[str, str] = dataclasses.field(default_factory=dict)
    azs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    network_properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vm_types: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    around: Around | None = None
    needs: frozenset[ResourceId] = frozenset()
    moved: Mapping[ResourceId, ResourceId] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def graph(self) -> Graph:
        """The resources as a graph.

        Raises:
            ValueError: as `graph.build`.
        """
        return build(self.resources, self.phases, self.connectors)

    @functools.cached_property
    def ground_of(self) -> Mapping[tuple[str, str], Ground]:
        """The grounds by kind and endpoint: there is one of each."""
        return {(ground.kind.kind, ground.at.name): ground for ground in self.grounds}

    @property
    def slots(self) -> dict[str, int]:
        """Returns how many may write to an endpoint at once, where it is not one."""
        return {one.at.name: one.at.slots for one in self.resources if one.at.slots != 1}

    def demanded_jumpbox(self, driver: str) -> Endpoint[Any, Any]:
        """Returns the endpoint of the jumpbox, from which a site is paved.

        Raises:
            BadInput: if the driver of that name gives none, or calls it something else.
        """
        found = self.jumpbox
        if found is not None and found.name == JUMPBOX_ENDPOINT:
            return found
        raise BadInput(
            f"the driver {driver} carries no whole site: it names no jumpbox"
            if found is None
            else f"the driver {driver} calls the jumpbox's endpoint {found.name}, not {JUMPBOX_ENDPOINT}",
            why="what stands on any IaaS is made from there, and keeps its records there",
            do="name another driver under iaas.driver\n"
            f"who wrote this one: `paver lab conformance --driver {driver}` tries what it makes; what is missing, docs/howto/driver.md says",
        )


def merge(phases: tuple[str, ...], *parts: Paved) -> Paved:
    """Returns the parts as one wish with `phases` in that order; what parts tell each other is left out.

    Raises:
        ValueError: if two parts connect the same endpoint differently or name two jumpboxes, or if a part has phases that
            are not among `phases` in their order, or says what was renamed.
    """
    connectors: dict[str, Connector] = {}
    for part in parts:
        if part.phases != tuple(phase for phase in phases if phase in part.phases):
            msg = f"a part has the phases {', '.join(part.phases)}, the whole has {', '.join(phases)}"
            raise ValueError(msg)
        if part.moved:
            msg = f"a part renames {min(part.moved)}: what was renamed is for the site file to say"
            raise ValueError(msg)
        for name, connector in part.connectors.items():
            if connectors.setdefault(name, connector) != connector:
                msg = f"the endpoint {name} is connected in two ways"
                raise ValueError(msg)
    jumpboxes = list(dict.fromkeys(part.jumpbox for part in parts if part.jumpbox is not None))
    if len(jumpboxes) > 1:
        msg = f"two jumpboxes: {', '.join(one.name for one in jumpboxes)}"
        raise ValueError(msg)
    return Paved(
        phases=phases,
        outside=frozenset().union(*(part.outside for part in parts)),
        resources=tuple(resource for part in parts for resource in part.resources),
        connectors=connectors,
        grounds=tuple(ground for part in parts for ground in part.grounds),
        material=tuple(item for part in parts for item in part.material),
        jumpbox=jumpboxes[0] if jumpboxes else None,
    )
