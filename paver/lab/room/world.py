"""What the room is told at its start, and what a power event says: frozen data and its parsing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from paver.errors import BadInput
from paver.lab import plan as plans
from paver.lab.room import cables


@dataclass(frozen=True)
class World:
    """The lab's folder and plan, the programs built for it by name, and the system's tools by name.

    `run` is where the lab's sockets are, by the shortest path there is. `isolated` is False where the machine
    allows no namespaces and all runs on loopback addresses.
    """

    lab: Path
    run: Path
    plan: plans.Plan
    programs: Mapping[str, Path]
    tools: Mapping[str, Path]
    isolated: bool

    def folder(self, uuid: str) -> Path:
        """Returns the folder of what belongs to the machine `uuid`."""
        return self.lab / "machines" / uuid


@dataclass(frozen=True)
class Event:
    """A machine's power event: `state` is "on", "off" or "destroyed"; `disks` are files of the datastores.

    `empty` are the capacities in bytes of disks that nothing was uploaded to, `boot` tells one time that it was switched
    on from another.
    """

    server: str
    state: str
    uuid: str
    name: str
    extra_config: Mapping[str, str] = field(repr=False)
    cards: tuple[cables.Card, ...]
    disks: tuple[Path, ...]
    empty: tuple[int, ...] = ()
    boot: str = ""

    @property
    def macs(self) -> tuple[str, ...]:
        """Returns the MAC addresses of the machine's cards, in order."""
        return tuple(card.mac for card in self.cards)


@dataclass(frozen=True)
class Wanted:
    """An address that a machine's system sets up, and the card (by MAC) that it sets it on.

    `device` is where the lab finds it: itself, or the cable that leads to a machine with a network of its own.
    """

    mac: str
    address: str
    device: str = cables.LOOPBACK


@dataclass(frozen=True)
class Guest:
    """What a running machine tells about itself through its tools."""

    address: str | None
    guestinfo: Mapping[str, str]


class System(Protocol):
    """What boots on a machine. Used by one thread.

    `waits` is whether what runs on it starts only once an address of it is up, and so is launched anew then.
    """

    kind: str
    waits: bool

    def wake(self) -> tuple[Wanted, ...]:
        """Reads what the machine was given, prepares its files, and returns the addresses that it sets up."""
        ...

    def launch(self, up: tuple[str, ...]) -> Guest:
        """Starts what runs on it; of its addresses, `up` have come up."""
        ...

    def halt(self) -> None:
        """Ends all that `launch` started, at once, as when the power goes."""
        ...

    def about(self) -> dict[str, Any]:
        """Returns what the room tells of it beside the general: progress, for one."""
        ...


@dataclass(frozen=True)
class Monitor:
    """How a running machine makes itself heard: lines for its console, what its tools tell the host, and its end.

    `ended` is called, from any thread, for a machine that went off by itself: with what tells, in the machine's own
    thread, whether it is still that which is on, and with why.
    """

    say: Callable[[str], None]
    publish: Callable[[Guest], None]
    ended: Callable[[Callable[[], bool], str], None]


def event(raw: Any) -> Event:
    """Returns the power event of a request's body.

    Raises:
        BadInput: it is none.
    """
    try:
        return Event(
            server=str(raw.get("server", "")),
            state=_one_of(raw["state"], "on", "off", "destroyed"),
            uuid=_uuid(raw["vm"]["uuid"]),
            name=str(raw["vm"].get("name", "")),
            extra_config={str(key): str(value) for key, value in (raw.get("extra_config") or {}).items()},
            cards=tuple(cables.card(each) for each in raw.get("nics") or ()),
            disks=tuple(Path(each["file"]) for each in raw.get("disks") or () if each.get("file")),
            empty=tuple(
                int(each["capacity"])
                for each in raw.get("disks") or ()
                if each.get("capacity") and not each.get("bytes")
            ),
            boot=str(raw.get("boot") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput("not a power event", why=f"{type(error).__name__}: {error}") from error


def wiring(raw: Any) -> dict[str, tuple[cables.Card, ...]]:
    """Returns the machines' cards by uuid, from the body of a wiring event.

    Raises:
        BadInput: it is none.
    """
    try:
        return {
            _uuid(each["vm"]["uuid"]): tuple(cables.card(nic) for nic in each.get("nics") or ())
            for each in raw["machines"]
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput("not a wiring event", why=f"{type(error).__name__}: {error}") from error


def switched_on(raw: Any) -> bool:
    """Returns what the body of a host's power event says.

    Raises:
        BadInput: it is none.
    """
    try:
        return _one_of(raw["state"], "on", "off") == "on"
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput('a host is powered "on" or "off"', why=f"{type(error).__name__}: {error}") from error


def load(path: Path, run: Path, *, isolated: bool) -> World:
    """Returns the world as `paver.lab.raising` wrote it for the room."""
    raw = json.loads(path.read_text())
    return World(
        lab=Path(raw["lab"]),
        run=run,
        plan=plans.from_json(json.dumps(raw["plan"])),
        programs={name: Path(place) for name, place in raw["programs"].items()},
        tools={name: Path(place) for name, place in raw["tools"].items()},
        isolated=isolated,
    )


def _one_of(value: Any, *known: str) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _uuid(text: Any) -> str:
    # It becomes a folder's name.
    value = str(text)
    if not value or not all(sign.isalnum() or sign == "-" for sign in value):
        raise ValueError(f"uuid {value!r}")
    return value
