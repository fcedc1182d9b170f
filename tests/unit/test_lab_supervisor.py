"""What the lab's supervisor does when a machine goes off by itself, or cannot be started."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.errors import PaverError
from paver.lab import control, plan
from paver.lab.room import cables, disk, supervisor, vcsa, world
from tests.support.waiting import until

EVENT = world.Event(
    server="esx-01",
    state="on",
    uuid="u1",
    name="jumpbox",
    extra_config={},
    cards=(),
    disks=(Path("disk"),),
    boot="2026-11-30T17:00:00Z",
)


class System:
    """A machine that starts as `start` lets it."""

    kind = "fake"
    waits = False

    def __init__(
        self, monitor: world.Monitor, start: Callable[[], None], wanted: tuple[world.Wanted, ...]
    ) -> None:
        self.monitor, self._start, self._wanted = monitor, start, wanted

    def wake(self) -> tuple[world.Wanted, ...]:
        return self._wanted

    def launch(self, _: tuple[str, ...]) -> world.Guest:
        self._start()
        return world.Guest(None, {})

    def halt(self) -> None:
        return

    def about(self) -> dict[str, Any]:
        return {}


class Room:
    """A supervisor, and what it told hosts, as (tools, off, boot).

    Attributes:
        kinds: what makes a machine's system.
        wanted: the addresses that each machine has in its settings.
        listens: cleared, nobody takes what is told, and the machine's thread waits.
    """

    wanted: tuple[world.Wanted, ...] = ()

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[], None]) -> None:
        self.told: list[tuple[str, bool, str]] = []
        self.made: list[System] = []
        self._folder = folder
        self._more = threading.Condition()
        self.listens = threading.Event()
        self.listens.set()
        monkeypatch.setattr(control, "call", self._call)
        monkeypatch.setattr(disk, "kind", lambda _: "fake")
        place = world.World(
            lab=folder,
            run=folder,
            plan=plan.demo(dict.fromkeys(("esx-01", "esx-02"), "VMware1!")),
            programs={},
            tools={},
            isolated=True,
        )

        def make(_: world.World, __: world.Event, monitor: world.Monitor) -> System:
            self.made.append(System(monitor, start, self.wanted))
            return self.made[-1]

        self.kinds: dict[str, Any] = {"fake": make}
        self.supervisor = supervisor.Supervisor(place, self.kinds)

    def on(self) -> None:
        """Switches the machine on, and waits until its host was told how that went."""
        count = len(self.told)
        self.supervisor.power(EVENT)
        self.heard(count + 1)

    def _call(self, _: Path, __: str, ___: str, body: dict[str, Any], **____: object) -> None:
        with self._more:
            self.told.append((body["tools"], body["off"], body["boot"]))
            self._more.notify_all()
        assert self.listens.wait(60)

    def heard(self, count: int) -> list[tuple[str, bool, str]]:
        """What hosts were told, once they were told `count` times."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.told) >= count, 10)
            return list(self.told)

    def console(self) -> str:
        return (self._folder / "machines" / "u1" / "console.log").read_text()


RUNNING = ("guestToolsRunning", False, "")
OFF = ("guestToolsNotRunning", True, EVENT.boot)


def test_a_machine_that_went_off_is_told_with_its_boot_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, monkeypatch, lambda: None)
    room.on()
    room.made[0].monitor.ended(lambda: True, "it switched itself off")
    assert room.heard(2) == [RUNNING, OFF]
    assert "it switched itself off" in room.console()


def test_an_end_of_what_is_not_on_any_more_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, monkeypatch, lambda: None)
    room.on()
    room.made[0].monitor.ended(lambda: False, "an earlier one ended")
    room.supervisor.power(EVENT)
    again = room.heard(3)
    room.made[1].monitor.ended(lambda: True, "this one ended")
    assert room.heard(4) == [*again, OFF]
    assert again == [RUNNING, ("guestToolsNotRunning", False, ""), RUNNING]
    assert "earlier" not in room.console()


def test_a_machine_that_cannot_be_started_is_off_at_its_host_and_its_console_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> None:
        raise PaverError("no disk could be made", seen="No space left on device", why="qemu-img refused")

    room = Room(tmp_path, monkeypatch, start)
    room.on()
    assert room.told == [OFF]
    said = room.console()
    assert "no disk could be made" in said
    assert "No space left on device" in said
    assert "Traceback" not in said


def card(mac: str) -> cables.Card:
    return cables.Card(mac=mac, port_group="mgmt", vlan=20, uplinks_up=1, connected=True)


MAC = "00:50:56:00:00:01"
FIRST = dataclasses.replace(EVENT, cards=(card(MAC),))
SECOND = dataclasses.replace(FIRST, uuid="u2", name="jumpbox again")


@pytest.fixture
def addressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room whose machines all have one address in their settings; no command for addresses is run."""
    for act in ("up", "down"):
        monkeypatch.setattr(cables, act, lambda *_: None)
    room = Room(tmp_path, monkeypatch, lambda: None)
    room.wanted = (world.Wanted(MAC, "10.20.0.10"),)
    return room


def has(room: Room, uuid: str) -> list[str]:
    found: list[str] = (room.supervisor.describe(uuid) or {})["addresses"]
    return found


def both_on(room: Room) -> None:
    """Switches two machines on, of which the first one has the address."""
    for count, event in enumerate((FIRST, SECOND), start=1):
        room.supervisor.power(event)
        room.heard(count)


def test_an_address_is_free_as_soon_as_the_machine_that_had_it_is_off_whether_or_not_its_host_was_told(
    addressed: Room,
) -> None:
    addressed.supervisor.power(FIRST)
    addressed.heard(1)
    addressed.listens.clear()
    addressed.supervisor.power(dataclasses.replace(FIRST, state="off"))
    addressed.heard(2)
    addressed.supervisor.power(SECOND)
    addressed.heard(3)
    assert (has(addressed, "u1"), has(addressed, "u2")) == ([], ["10.20.0.10"])
    addressed.listens.set()


def test_a_machine_that_was_switched_on_while_another_one_had_its_address_has_it_once_that_is_off(
    addressed: Room,
) -> None:
    both_on(addressed)
    assert (has(addressed, "u1"), has(addressed, "u2")) == (["10.20.0.10"], [])
    addressed.supervisor.power(dataclasses.replace(FIRST, state="off"))
    until(lambda: has(addressed, "u2") == ["10.20.0.10"], "the second one has it")
    assert has(addressed, "u1") == []


def test_an_address_that_a_cable_takes_from_one_machine_goes_to_the_one_that_waits_for_it(
    addressed: Room,
) -> None:
    both_on(addressed)
    addressed.supervisor.wire({"u1": (dataclasses.replace(card(MAC), connected=False),)})
    until(lambda: has(addressed, "u2") == ["10.20.0.10"], "the second one has it")
    assert has(addressed, "u1") == []


def test_a_vcenter_that_gets_its_address_late_begins_its_first_boot_then(
    addressed: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        vcsa.Appliance, "_boot", lambda _, address, halted: booted.append((address, halted.is_set()))
    )
    settings = {"guestinfo.cis.appliance.net.addr": "10.20.0.10", "guestinfo.cis.appliance.net.pnid": "vcsa"}
    appliance = dataclasses.replace(SECOND, extra_config=settings)
    monkeypatch.setattr(world.Event, "macs", property(lambda _: (MAC,)))
    addressed.supervisor.power(FIRST)
    addressed.heard(1)
    addressed.kinds["fake"] = vcsa.Appliance
    addressed.supervisor.power(appliance)
    addressed.heard(2)
    assert booted == []
    addressed.supervisor.power(dataclasses.replace(FIRST, state="off"))
    until(lambda: booted, "it boots")
    assert booted == [("10.20.0.10", False)]
