"""What is installed: drivers, and every kind of resource, theirs and those that come with any of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Driver, Resource
from paver.runs import compose


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of resource.

    Attributes:
        kind: its name, with which ids begin.
        about: what it is, in a few words.
        setting: it is set and put back to its baseline, where others are made and deleted.
        calls: what it may call, by verb: what its sessions let pass.
    """

    kind: str
    about: str
    setting: bool
    calls: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """What is paved with any driver.

    Attributes:
        name: `trust`, or `foundation`.
        phases: its phases, in order.
        kinds: what it makes.
    """

    name: str
    phases: tuple[str, ...]
    kinds: tuple[Kind, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Installed(Room):
    """An installed driver.

    Attributes:
        name: what stands under `iaas.driver` in the site file.
        version: the driver's own.
        api: the version of the plugin API that it was written for.
    """

    version: str
    api: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drivers:
    """The installed drivers, and what paver makes with any of them.

    Attributes:
        drivers: by name.
        with_any: what comes with any of them.
    """

    drivers: tuple[Installed, ...]
    with_any: tuple[Room, ...]


def drivers() -> Drivers:
    """Returns what is installed.

    Raises:
        BadInput: if a driver cannot be loaded.
    """
    return Drivers(
        drivers=tuple(_driver(driver) for _, driver in sorted(compose.drivers().items())),
        with_any=tuple(
            Room(name=name, phases=phases, kinds=tuple(map(_kind, kinds)))
            for name, phases, kinds in compose.with_any_driver()
        ),
    )


def _driver(driver: Driver) -> Installed:
    return Installed(
        name=driver.name,
        version=driver.version,
        api=driver.api,
        phases=tuple(driver.phases),
        kinds=tuple(map(_kind, driver.kinds)),
    )


def _kind(kind: type[Resource[Any]]) -> Kind:
    return Kind(
        kind=kind.kind,
        about=(kind.__doc__ or "").strip().splitlines()[0].rstrip(".") if kind.__doc__ else "",
        setting=kind.setting,
        calls={verb.value: tuple(sorted(calls)) for verb, calls in sorted(kind.calls.items()) if calls},
    )
