"""A real disk: QEMU boots it, on a card whose cable ends in the lab and nowhere else.

The machine has a kernel and a network of its own: its addresses are reached over a tap, and it reaches what the lab
has. guestinfo goes through the stand-in that is planted on its disk (`paver.lab.qemu.guestinfo`), since QEMU has none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paver.errors import PaverError
from paver.lab.qemu import acceleration, guestinfo, hardware, machine, plant
from paver.lab.room import cables, cloudinit, world

_PREFIX = "guestinfo."
_ADDRESS = "guestinfo.local-ipv4"
_HOST_KEYS = "guestinfo.paver.host-keys"


class Computer:
    """See `world.System`."""

    kind = "pc"
    waits = False

    def __init__(self, place: world.World, event: world.Event, monitor: world.Monitor) -> None:
        self._world = place
        self._event = event
        self._monitor = monitor
        self._folder = place.folder(event.uuid)
        self._device = f"pc-{event.uuid[:8]}"
        self._values = guestinfo.Guestinfo(
            {key: value for key, value in event.extra_config.items() if key.startswith(_PREFIX)},
            self._changed,
        )
        self._addresses: list[str] = []
        self._running: machine.Machine | None = None

    def wake(self) -> tuple[world.Wanted, ...]:
        """Makes its disk, at its first boot, and plugs its cable in."""
        if not self._world.isolated:
            self._monitor.say("no boot: a machine with a network of its own needs user namespaces")
            return ()
        if not self._disk.exists():
            self._monitor.say("unpacking its disk, planting the stand-in for guestinfo")
            self._unpack()
        # What the first boot will make of guestinfo, as far as the lab's cables have to know it beforehand.
        seed = cloudinit.seed(self._values.values, self._event.macs)
        self._addresses = [address.split("/")[0] for card in seed.cards for address in card.addresses]
        cables.plug(self._device, dict.fromkeys(each for card in seed.cards for each in card.gateways))
        return tuple(
            world.Wanted(card.mac, address.split("/")[0], self._device)
            for card in seed.cards
            for address in card.addresses
        )

    def launch(self, up: tuple[str, ...]) -> world.Guest:
        """Switches it on; what runs on it is heard of later, by guestinfo."""
        del up  # It has a network of its own: what comes up outside of it starts nothing in it.
        if not self._world.isolated:
            return world.Guest(None, {})
        # Sockets want short paths.
        folder = self._world.run / self._device
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        runs_by = acceleration.choose()
        self._monitor.say(f"QEMU boots it with {runs_by.name}: {runs_by.why}; its console is {self._log}")
        pc = hardware.Hardware(
            disk=self._disk,
            network=hardware.Tap(name=self._device),
            mac=self._event.macs[0],
            disks=self._blank(),
            vmware=True,
        )
        running = self._running = machine.Machine(pc, runs_by, folder)
        threading.Thread(target=self._watch, args=(running,), name=self._device, daemon=True).start()
        self._values.serve(folder / "guestinfo.sock", running.runs)
        return world.Guest(None, {})

    def _watch(self, running: machine.Machine) -> None:
        said = "it switched itself off"
        try:
            running.wait()
        except PaverError as error:
            said = "\n".join(filter(None, (f"{error.what}: {error.why}", error.seen)))
        self._monitor.ended(lambda: running is self._running, said)

    def halt(self) -> None:
        """Cuts the power."""
        if self._running is not None:
            running, self._running = self._running, None
            running.off()
        if self._world.isolated:
            cables.unplug(self._device)

    def about(self) -> dict[str, Any]:
        """Returns where its console is written, and its cable."""
        return {"console": str(self._log), "device": self._device}

    @property
    def _disk(self) -> Path:
        return self._folder / "disk.qcow2"

    @property
    def _log(self) -> Path:
        return self._world.lab / "run" / self._device / "console.log"

    def _unpack(self) -> None:
        raw = self._folder / "disk.raw"
        raw.unlink(missing_ok=True)
        plant.unpack(self._event.disks[0], raw)
        plant.plant(raw, guestinfo.FILES)
        draft = machine.overlay(raw, "raw", self._folder / "disk.part")
        draft.replace(self._disk)

    def _blank(self) -> tuple[Path, ...]:
        """Makes the disks that came empty, at the first boot; later they are as large as the host has made them."""
        found = []
        for number, size in enumerate(self._event.empty, 1):
            file = self._folder / f"empty{number}.qcow2"
            if file.exists():
                machine.grow(file, size)
            else:
                machine.blank(size, draft := file.with_suffix(".part"))
                draft.replace(file)
            found.append(file)
        return tuple(found)

    def _changed(self, values: Mapping[str, str]) -> None:
        # The real tools tell the address by themselves; here what they would see counts once the machine speaks for it.
        told = self._addresses if values.keys() & {_ADDRESS, _HOST_KEYS} else ()
        try:
            self._monitor.publish(world.Guest(told[0] if told else None, values))
        except PaverError as error:
            self._monitor.say(f"tools: {error.what}")
