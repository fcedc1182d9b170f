"""The driver for vSphere: from bare ESXi hosts to a cluster that BOSH can use.

Importing it is cheap: what needs pydantic or pyVmomi is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from paver.driver import Door, Finding, Paved, Port, Resource

if TYPE_CHECKING:
    from pydantic import BaseModel

    from paver.sitefile.diagnostic import Diagnostic
    from paver.sitefile.site import Site
    from paver.transport.context import Wire


class VsphereDriver:
    """The driver, as `paver.driver.Driver` says."""

    api = 1
    name = "vsphere"
    version = "1"
    phases = ("hosts", "jumpbox", "site-services", "vcenter", "inventory")

    @property
    def settings(self) -> type[BaseModel]:
        """The model of everything under `iaas`."""
        from paver.drivers.vsphere.settings import Settings  # noqa: PLC0415

        return Settings

    @property
    def kinds(self) -> tuple[type[Resource[Any]], ...]:
        """Every kind of resource, in creation order."""
        from paver.drivers.vsphere import pave  # noqa: PLC0415

        return pave.KINDS

    def check(self, site: Site) -> Iterable[Diagnostic]:
        """Yields what is wrong beyond single values."""
        from paver.drivers.vsphere import check  # noqa: PLC0415

        return check.check(site)

    def pave(self, site: Site) -> Paved:
        """Returns the wish for `site`; pure."""
        from paver.drivers.vsphere import pave  # noqa: PLC0415

        return pave.pave(site)

    def preflight(self, site: Site, wire: Wire) -> Iterable[Finding]:
        """Yields what stands in the way, seen by looking at every host."""
        from paver.drivers.vsphere import preflight  # noqa: PLC0415

        return preflight.preflight(site, wire)

    def ports(self, site: Site) -> Iterable[Port]:
        """Returns who opens connections to whom."""
        from paver.drivers.vsphere import ports  # noqa: PLC0415

        return ports.ports(site)

    def doors(self, site: Site) -> Iterable[Door]:
        """Yields the ways in."""
        from paver.drivers.vsphere import doors  # noqa: PLC0415

        return doors.doors(site)


DRIVER = VsphereDriver()
