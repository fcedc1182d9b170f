"""Reacts to power buttons and cables: boots machines, gives and takes their addresses, ends what they ran.

Events of one machine are handled one after another, in the order in which they came; those of different
machines at the same time.
"""

from __future__ import annotations

import datetime as dt
import queue
import shutil
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paver.errors import PaverError
from paver.lab import control
from paver.lab.room import cables, disk, world

_HEARD = 60.0
"""Seconds for a simulator to take what a guest says: it says it once, and one that works on a machine looks at it after that."""

Systems = Mapping[str, Callable[[world.World, world.Event, world.Monitor], world.System]]


@dataclass
class _Machine:
    """One machine; its fields belong to its thread, and are only looked at by others."""

    uuid: str
    events: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    last: world.Event | None = None
    cards: tuple[cables.Card, ...] = ()
    state: str = "off"
    kind: str = ""
    system: world.System | None = None
    wanted: tuple[world.Wanted, ...] = ()
    up: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    waits_for: frozenset[str] = frozenset()
    launched: bool = False


class Supervisor:
    """The machines of a lab, by uuid."""

    def __init__(self, place: world.World, systems: Systems) -> None:
        self._world = place
        self._systems = systems
        self._lock = threading.Lock()
        self._addresses = threading.Lock()
        self._machines: dict[str, _Machine] = {}
        self._hosts_off: set[str] = set()

    def power(self, event: world.Event) -> None:
        """Takes a power event, to be handled soon."""
        machine = self._machine(event.uuid)
        machine.events.put(lambda: self._handle(machine, event))

    def wire(self, cards: Mapping[str, tuple[cables.Card, ...]]) -> None:
        """Takes the new wiring of machines, to be handled soon."""
        for uuid, each in cards.items():
            machine = self._machine(uuid)
            machine.events.put(lambda machine=machine, each=each: self._rewire(machine, each))  # type: ignore[misc]

    def host(self, name: str, *, on: bool) -> bool:
        """Powers a host on or off: its address, and the machines that run on it. False: no such host."""
        found = next((host for host in self._world.plan.hosts if host.name == name), None)
        if found is None:
            return False
        if on:
            self._hosts_off.discard(name)
            cables.up((found.address,))
            return True
        self._hosts_off.add(name)
        cables.down((found.address,))
        for machine in self._all():
            if machine.last is not None and machine.last.server == name:
                machine.events.put(lambda machine=machine: self._off(machine))  # type: ignore[misc]
        return True

    def describe(self, uuid: str) -> dict[str, Any] | None:
        """Returns what is known of one machine."""
        with self._lock:
            machine = self._machines.get(uuid)
        return None if machine is None else _told(machine)

    def machines(self) -> list[dict[str, Any]]:
        """Returns what is known of all machines that are there."""
        return [_told(machine) for machine in self._all() if machine.state != "destroyed"]

    def hosts(self) -> list[dict[str, Any]]:
        """Returns the hosts, their addresses, and whether they have power."""
        return [
            {
                "name": host.name,
                "address": host.address,
                "state": "off" if host.name in self._hosts_off else "on",
            }
            for host in self._world.plan.hosts
        ]

    def halt(self) -> None:
        """Ends what runs on all machines."""
        for machine in self._all():
            if machine.system is not None:
                machine.system.halt()

    def _all(self) -> list[_Machine]:
        with self._lock:
            return list(self._machines.values())

    def _machine(self, uuid: str) -> _Machine:
        with self._lock:
            machine = self._machines.get(uuid)
            if machine is None:
                machine = self._machines[uuid] = _Machine(uuid)
                threading.Thread(
                    target=self._work, args=(machine,), name=f"machine {uuid}", daemon=True
                ).start()
            return machine

    def _work(self, machine: _Machine) -> None:
        while True:
            act = machine.events.get()
            try:
                act()
            except Exception as error:  # noqa: BLE001 - a machine that fails must not take the room with it
                machine.state = "failed"
                told = "\n".join(error.lines()) if isinstance(error, PaverError) else traceback.format_exc()
                self._say(machine, told)
                if machine.last is not None:
                    self._ends(machine.last)

    def _handle(self, machine: _Machine, event: world.Event) -> None:
        if event.state == "on":
            self._off(machine)
            self._on(machine, event)
            return
        self._off(machine)
        if event.state == "destroyed":
            shutil.rmtree(self._world.folder(machine.uuid), ignore_errors=True)
            machine.state = "destroyed"

    def _on(self, machine: _Machine, event: world.Event) -> None:
        machine.last = event
        self._world.folder(machine.uuid).mkdir(parents=True, exist_ok=True)
        machine.state = "on"
        self._say(machine, f"power on: {event.name} on {event.server}")
        machine.kind = (disk.kind(event.disks[0]) if event.disks else None) or ""
        make = self._systems.get(machine.kind)
        if make is None:
            self._say(machine, f"no bootable device{f' ({machine.kind})' if machine.kind else ''}")
            return

        monitor = world.Monitor(
            say=lambda line: self._say(machine, line),
            publish=lambda guest: self._publish(event, "guestToolsRunning", guest),
            ended=lambda still, why: machine.events.put(lambda: self._ended(machine, event, still, why)),
        )
        machine.system = make(self._world, event, monitor)
        machine.wanted = machine.system.wake()
        self._connect(machine, event.cards)
        self._launch(machine, event)

    def _launch(self, machine: _Machine, event: world.Event) -> None:
        if machine.system is None:
            return
        guest = machine.system.launch(machine.up)
        machine.launched = bool(machine.up)
        self._publish(event, "guestToolsRunning", guest)

    def _ended(self, machine: _Machine, event: world.Event, still: Callable[[], bool], why: str) -> None:
        if still():
            self._say(machine, why)
            self._ends(event)

    def _ends(self, event: world.Event) -> None:
        """Shows at its host that a machine is off; the host's answer is the event that it is."""
        self._publish(event, "guestToolsNotRunning", world.Guest(None, {}), off=True)

    def _off(self, machine: _Machine) -> None:
        if machine.system is not None:
            machine.system.halt()
            self._say(machine, "power off")
        self._disconnect(machine)
        if machine.system is not None and machine.last is not None:
            self._publish(machine.last, "guestToolsNotRunning", world.Guest(None, {}))
        machine.system, machine.wanted, machine.obstacles, machine.waits_for = None, (), (), frozenset()
        machine.state = "off"

    def _disconnect(self, machine: _Machine) -> None:
        """Takes a machine's addresses away."""
        with self._addresses:
            freed, machine.up = machine.up, ()
            _reach(machine, freed, cables.down)
            self._hand_on(freed)

    def _hand_on(self, freed: Iterable[str]) -> None:
        """Has machines look at their cards again that were switched on while another one had their address."""
        for machine in self._all():
            if machine.waits_for.intersection(freed):
                machine.events.put(lambda machine=machine: self._rewire(machine, machine.cards))  # type: ignore[misc]

    def _rewire(self, machine: _Machine, cards: tuple[cables.Card, ...]) -> None:
        if machine.system is None or machine.last is None:
            return
        self._connect(machine, cards)
        if machine.system.waits and machine.up and not machine.launched:
            # It booted without an address, so nothing listens yet: what waits for one starts now.
            machine.system.halt()
            self._launch(machine, machine.last)

    def _connect(self, machine: _Machine, cards: tuple[cables.Card, ...]) -> None:
        machine.cards = cards
        # One after another: who looks while an address is given or taken would keep what it saw.
        with self._addresses:
            self._claim(machine)

    def _claim(self, machine: _Machine) -> None:
        by_mac = {card.mac: card for card in machine.cards}
        taken = {address for other in self._all() if other is not machine for address in other.up}
        taken |= {host.address for host in self._world.plan.hosts}
        obstacles, up, waits_for = [], [], set()
        for wanted in machine.wanted:
            why = cables.obstacle(self._world.plan, wanted.address, by_mac.get(wanted.mac))
            if why is None and wanted.address in taken:
                why = f"{wanted.address}: another machine has it"
                waits_for.add(wanted.address)
            if why is None:
                up.append(wanted.address)
            else:
                obstacles.append(why)
        freed = [address for address in machine.up if address not in up]
        _reach(machine, freed, cables.down)
        _reach(machine, up, cables.up)
        for why in obstacles:
            if why not in machine.obstacles:
                self._say(machine, f"network: {why}")
        for address in up:
            if address not in machine.up:
                self._say(machine, f"network: {address} is up")
        machine.up, machine.obstacles, machine.waits_for = tuple(up), tuple(obstacles), frozenset(waits_for)
        self._hand_on(freed)

    def _publish(self, event: world.Event, tools: str, guest: world.Guest, *, off: bool = False) -> None:
        names = {host.name for host in self._world.plan.hosts}
        socket = self._world.run / ("esx.control.sock" if event.server in names else "vcenter.control.sock")
        body = {
            "host": event.server,
            "vm": event.uuid,
            "ip": guest.address or "",
            "tools": tools,
            "guestinfo": dict(guest.guestinfo),
            "off": off,
            "boot": event.boot if off else "",
        }
        try:
            control.call(socket, "POST", "/guest", body, timeout=_HEARD)
        except control.ControlError as error:
            # A machine that was destroyed is not known any more, and a simulator may be going down.
            self._write(event.uuid, f"tools: {error.what}: {error.why}")

    def _say(self, machine: _Machine, text: str) -> None:
        self._write(machine.uuid, text)

    def _write(self, uuid: str, text: str) -> None:
        path = self._world.folder(uuid) / "console.log"
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        try:
            with path.open("a") as sink:
                for line in text.splitlines():
                    sink.write(f"{now} {line}\n")
        except OSError:
            # Destroyed meanwhile, or the disk is full: a console nobody can read must not stop the machine.
            return


def _reach(machine: _Machine, addresses: Iterable[str], act: Callable[[Iterable[str], str], None]) -> None:
    devices = {wanted.address: wanted.device for wanted in machine.wanted}
    for device in dict.fromkeys(devices.values()):
        act([address for address in addresses if devices.get(address) == device], device)


def _told(machine: _Machine) -> dict[str, Any]:
    event = machine.last
    system = machine.system
    return {
        "uuid": machine.uuid,
        "name": event.name if event else "",
        "server": event.server if event else "",
        "state": machine.state,
        "kind": machine.kind,
        "addresses": list(machine.up),
        "obstacles": list(machine.obstacles),
        **(system.about() if system is not None else {}),
    }
