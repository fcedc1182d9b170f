"""The whole wish of a site: driver, foundation and trust, put together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from paver.driver import API, Driver, Paved, Resource, Secret
from paver.engine import moves
from paver.engine.paved import merge
from paver.engine.values import references
from paver.errors import BadInput
from paver.foundation import PHASES as ABOVE
from paver.sitefile.site import Site
from paver.trust import PHASES as BELOW

GROUP = "paver.drivers"


def drivers() -> Mapping[str, Driver]:
    """Returns every installed driver by name.

    Raises:
        BadInput: if one was written for another version of the plugin API.
    """
    found: dict[str, Driver] = {}
    for entry_point in metadata.entry_points(group=GROUP):
        driver: Driver = entry_point.load()
        if driver.api != API:
            raise BadInput(
                f"the driver {entry_point.name} was written for the plugin API {driver.api}",
                why=f"this paver offers {API}",
                do="install a version of the driver that fits",
            )
        found[driver.name] = driver
    return found


def phases(driver: Driver) -> tuple[str, ...]:
    """Returns the labels of all phases, in order."""
    return (*BELOW, *driver.phases, *ABOVE)


def with_any_driver() -> tuple[tuple[str, tuple[str, ...], tuple[type[Resource[Any]], ...]], ...]:
    """Returns name, phases and kinds of what is paved with any driver: below its phases, and above them."""
    from paver.foundation import paving as foundation  # noqa: PLC0415 - a session's weight, as below
    from paver.trust import paving as trust  # noqa: PLC0415

    return (("trust", BELOW, trust.KINDS), ("foundation", ABOVE, foundation.KINDS))


def compose(site: Site, driver: Driver) -> Paved:
    """Returns the wish for `site`, trust material included.

    Raises:
        BadInput: if `moved` names what this site does not have.
    """
    # Their kinds bring sessions and cryptography along, which a mere listing of drivers does not need.
    from paver.foundation import paving as foundation  # noqa: PLC0415
    from paver.trust import paving as trust  # noqa: PLC0415

    under = driver.pave(site)
    above = foundation.pave(site, under)
    material: dict[Any, Any] = {}
    for item in (*under.material, *above.material):
        if material.setdefault(item.id, item) != item:
            msg = f"{item.id} is asked for in two ways"
            raise ValueError(msg)
    wish = merge(phases(driver), trust.pave(site, tuple(material.values())), under, above)
    return moves.carried(wish, site.moved)


def given(paved: Paved) -> frozenset[str]:
    """Returns the names of the secrets that the user has to give: referred to, and made by no resource."""
    found = {
        reference.name
        for value in (*paved.resources, *paved.connectors.values())
        for reference in references(value)
        if isinstance(reference, Secret) and reference.made_by is None
    }
    return frozenset(
        found - {one.id.partition(":")[2] for one in paved.resources if one.id.startswith("trust.")}
    )
