"""The whole wish of a site: driver, foundation and trust, put together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from paver.driver import API, STORE, Driver, Paved, Resource, Secret
from paver.engine import adoption, moves
from paver.engine.paved import merge
from paver.engine.values import references
from paver.errors import BadInput, PaverError
from paver.foundation import PHASES as ABOVE
from paver.sitefile.site import Site
from paver.trust import PHASES as BELOW

GROUP = "paver.drivers"


def drivers() -> Mapping[str, Driver]:
    """Returns every installed driver by name.

    Raises:
        BadInput: if one cannot be loaded, was written for another version of the plugin API, or has another's name.
    """
    found: dict[str, Driver] = {}
    packages: dict[str, str] = {}
    for entry_point in metadata.entry_points(group=GROUP):
        package = f"{entry_point.dist.name} {entry_point.dist.version}" if entry_point.dist else ""
        driver = _loaded(entry_point, package)
        if driver.name in found:
            raise BadInput(
                f"two packages bring a driver {driver.name}",
                seen=f"{packages[driver.name]}, {package}",
                do="uninstall one of them",
            )
        found[driver.name], packages[driver.name] = driver, package
    return found


def _loaded(entry_point: metadata.EntryPoint, package: str) -> Driver:
    try:
        driver: Driver = entry_point.load()
        api = driver.api
    except Exception as error:
        raise BadInput(
            f"the driver {entry_point.name} cannot be loaded: {type(error).__name__}",
            seen=f"{error}",
            why=f"a fault of its package, {package}",
            do="mend or uninstall that package",
        ) from error
    if api != API:
        raise BadInput(
            f"the driver {entry_point.name} was written for the plugin API {api}",
            why=f"this paver offers {API}",
            do="install a version of the driver that fits",
        )
    return driver


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
        BadInput: if `moved` or `adopt` names what this site does not have.
        PaverError: if what the driver gives does not hold together.
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
    try:
        wish = merge(phases(driver), trust.pave(site, tuple(material.values())), under, above)
        _held_together(wish)
    except ValueError as error:
        raise PaverError(
            f"the driver {driver.name} gives a wish that nobody can carry out",
            seen=str(error),
            why="a fault of its package, not of your site",
            do="who wrote it: docs/howto/driver.md says what `pave` has to give",
        ) from error
    return adoption.allowed(moves.carried(wish, site.moved), site.adopt)


def _held_together(wish: Paved) -> None:
    """Does nothing if all that is needed is wished for, and every endpoint is connected.

    Raises:
        ValueError: if not.
    """
    for one in wish.graph.resources.values():
        for at in (one.at, *one.also):
            # The sealed store's own connector is the run's.
            if at != STORE and at.name not in wish.connectors:
                msg = f"{one.id} is at {at.name}, which no connector leads to"
                raise ValueError(msg)


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
