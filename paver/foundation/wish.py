"""What is gathered while the foundation's phases are put together."""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Endpoint, Material, Paved, Resource
from paver.sitefile.site import Site


@dataclasses.dataclass
class Wish:
    """What is gathered while the parts are put together."""

    site: Site
    under: Paved
    jumpbox: Endpoint[Any, Any]
    resources: list[Resource[Any]] = dataclasses.field(default_factory=list)
    material: list[Material] = dataclasses.field(default_factory=list)

    def add(self, *resources: Resource[Any]) -> None:
        """Adds resources."""
        self.resources.extend(resources)

    def need(self, material: Material) -> Material:
        """Returns trust material, asked for once however many need it."""
        if material not in self.material:
            self.material.append(material)
        return material
