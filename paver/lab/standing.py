"""How a lab stands: its hosts, and the machines that run on them, as the room tells it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the lab.

    Attributes:
        name: the host's name.
        address: where it answers.
        state: whether it has power.
    """

    name: str
    address: str
    state: Literal["on", "off"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine of the lab.

    Attributes:
        uuid: the VM's instance.
        name: the VM's name.
        server: the simulator that it is on: a host, or vCenter.
        state: `failed` where what runs on it could not be started.
        kind: what runs on it: `jumpbox`, `vcsa`, …
        addresses: those that it answers at.
        obstacles: why it does not, in words.
        progress: of the first boot of an appliance; null for other machines.
        console: the file of its console, if it is a PC of its own; null for other machines.
        device: its cable, likewise.
    """

    uuid: str
    name: str
    server: str
    state: Literal["on", "off", "failed"]
    kind: str
    addresses: tuple[str, ...]
    obstacles: tuple[str, ...]
    progress: Mapping[str, object] | None = None
    console: str | None = None
    device: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A lab that is up.

    Attributes:
        folder: the lab's.
        isolated: whether it has a network of its own; else it stands on loopback addresses.
        hosts: its hosts.
        machines: its machines.
    """

    folder: Path
    isolated: bool
    hosts: tuple[Host, ...]
    machines: tuple[Machine, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labs:
    """All labs that are up in their default places.

    Attributes:
        labs: each of them, by folder.
    """

    labs: tuple[Standing, ...]


def of(folder: Path, told: Mapping[str, Any], *, isolated: bool) -> Standing:
    """Returns how the lab in `folder` stands, by what its room tells."""
    return Standing(
        folder=folder,
        isolated=isolated,
        hosts=tuple(Host(**host) for host in told["hosts"]),
        machines=tuple(_machine(machine) for machine in told["machines"]),
    )


def _machine(told: Mapping[str, Any]) -> Machine:
    """Returns a machine; a lab that another paver raised may tell more of it."""
    names = (field.name for field in dataclasses.fields(Machine))
    return Machine(**{name: told[name] for name in names if name in told})
