"""A real disk in the lab: QEMU boots it when its VM is powered on, on a cable that ends in the lab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from paver.lab import control
from paver.lab.qemu import guestinfo, plant, programs
from tests.support import boots
from tests.support.ear import Ear
from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("qemu")]

MAC = "00:50:56:01:02:03"
ADDRESS, GATEWAY = "10.20.0.10", "10.20.0.1"


def card(**changes: Any) -> dict[str, Any]:
    return {"mac": MAC, "port_group": "mgmt", "vlan": 20, "uplinks_up": 1, "connected": True, **changes}


@dataclass
class Pc:
    """A VM with a real disk."""

    raised: Raised
    disk: Path
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    empty: tuple[int, ...] = ()

    @property
    def device(self) -> str:
        return f"pc-{self.uuid[:8]}"

    @property
    def folder(self) -> Path:
        return self.raised.lab.folder / "machines" / self.uuid

    def on(self, boot: str = "", **changes: Any) -> None:
        network = {
            "version": 2,
            "ethernets": {
                "nic0": {
                    "match": {"macaddress": MAC},
                    "addresses": [f"{ADDRESS}/24"],
                    "routes": [{"to": "0.0.0.0/0", "via": GATEWAY}],
                }
            },
        }
        told = {"guestinfo.metadata": json.dumps({"instance-id": "1", "network": network})}
        disks: list[dict[str, Any]] = [
            {"file": str(self.disk), "bytes": self.disk.stat().st_size, "capacity": 64 * 2**20}
        ]
        # A simulated host makes a file for an empty disk too, without a byte in it.
        disks += [{"file": f"{self.disk}-empty", "bytes": 0, "capacity": size} for size in self.empty]
        self.raised.power("on", self.uuid, extra_config=told, nics=[card(**changes)], disks=disks, boot=boot)

    def off(self, state: str = "off") -> None:
        self.raised.power(state, self.uuid)
        until(lambda: self.raised.machine(self.uuid)["state"] == state, f"it is {state}", 60)

    def serial(self) -> str:
        log = self.raised.lab.folder / "run" / self.device / "console.log"
        return log.read_text() if log.exists() else ""

    def route(self) -> str:
        return self.raised.run(["ip", "route", "get", ADDRESS], check=False).stdout

    def links(self) -> set[str]:
        found = json.loads(self.raised.run(["ip", "-j", "link"]).stdout)
        return {each["ifname"] for each in found}


@pytest.fixture
def pc(empty_lab: Raised, tmp_path: Path) -> Iterator[Pc]:
    made = Pc(empty_lab, boots.packed(tmp_path))
    yield made
    made.off("destroyed")


def test_a_real_disk_boots_when_its_vm_is_powered_on(pc: Pc) -> None:
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    assert pc.raised.machine(pc.uuid)["kind"] == "pc"
    assert pc.raised.machine(pc.uuid)["addresses"] == [ADDRESS]


def test_its_address_is_reached_over_its_cable_and_nothing_else_leads_anywhere(pc: Pc) -> None:
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    assert f"dev {pc.device}" in pc.route()
    assert pc.links() == {"lo", pc.device}
    routes = pc.raised.run(["ip", "route", "show", "table", "main"]).stdout.splitlines()
    assert [line.split(" scope")[0].strip() for line in routes] == [f"{ADDRESS} dev {pc.device}"]
    forwards = pc.raised.run(["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout
    assert forwards.strip() == "0"


def test_a_card_on_the_wrong_vlan_is_switched_on_and_not_reached(pc: Pc) -> None:
    pc.on(vlan=30)
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    assert pc.device not in pc.route()
    assert "VLAN" in pc.raised.console(pc.uuid)


def test_cutting_the_power_ends_it_and_takes_its_cable_away(pc: Pc) -> None:
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    pc.off()
    assert pc.links() == {"lo"}
    running = pc.raised.run(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], check=False).stdout
    assert pc.device not in running


def test_a_card_that_comes_to_its_vlan_later_is_reached_and_the_machine_runs_on(pc: Pc) -> None:
    pc.on(vlan=30)
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    runs = qemu(pc.device)
    wired = {"server": "esx-01", "machines": [{"vm": {"uuid": pc.uuid}, "nics": [card()]}]}
    control.call(pc.raised.lab.room, "POST", "/wiring", wired)
    until(lambda: pc.device in pc.route(), "a route leads to it")
    assert qemu(pc.device) == runs


@pytest.fixture
def host(pc: Pc) -> Iterator[Ear]:
    """The host that the machine is on."""
    ear = Ear(pc.raised.lab.room.with_name("vcenter.control.sock"))
    yield ear
    ear.close()
    ear.path.unlink()


@pytest.mark.parametrize(
    ("ends", "why"),
    [(signal.SIGABRT, "QEMU ended: by signal 6, Aborted"), (signal.SIGTERM, "it switched itself off")],
    ids=["QEMU breaks down", "it switches itself off"],
)
def test_a_machine_that_goes_off_is_told_to_its_host_and_its_console_says_why(
    pc: Pc, host: Ear, ends: signal.Signals, why: str
) -> None:
    pc.on(boot="2026-11-30T17:00:00Z")
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    # It speaks before its launch is over: what ends then could not be switched on, which is another thing.
    launched = host.next("/guest")
    assert (launched["off"], launched["tools"]) == (False, "guestToolsRunning")
    os.kill(qemu(pc.device), ends)
    said = host.next("/guest")
    assert said["off"]
    assert (said["vm"], said["tools"], said["ip"]) == (pc.uuid, "guestToolsNotRunning", "")
    assert said["boot"] == "2026-11-30T17:00:00Z"
    assert why in pc.raised.console(pc.uuid)


def test_a_machine_whose_power_is_cut_is_not_told_as_one_that_went_off(pc: Pc, host: Ear) -> None:
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    pc.off()
    pc.on()
    until(lambda: pc.raised.console(pc.uuid).count("QEMU boots it") == 2, "it boots again", 120)
    pc.off("destroyed")
    told = [body["off"] for _, body in host.all()]
    assert told
    assert not any(told)


def qemu(name: str) -> int:
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"-name" in words and name.encode() in words:
            return int(each.parent.name)
    raise AssertionError(f"no QEMU runs {name}")


def test_its_disk_is_its_own_and_has_the_stand_in_for_guestinfo(pc: Pc) -> None:
    before = pc.disk.read_bytes()
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    raw = pc.folder / "disk.raw"
    for name, content in guestinfo.FILES.items():
        seen = ["/sbin/debugfs", "-R", f"cat {name}", f"{raw}?offset={plant.root_at(raw)}"]
        assert subprocess.run(seen, capture_output=True, text=True, check=True).stdout == content
    assert pc.disk.read_bytes() == before


def test_a_disk_that_came_empty_is_there_blank_and_grows_with_the_hosts(pc: Pc) -> None:
    pc.empty = (100 * 2**30,)
    pc.on()
    until(lambda: boots.SAYS in pc.serial(), "its boot sector speaks", 120)
    running = pc.raised.run(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], check=False).stdout
    made = pc.folder / "empty1.qcow2"
    assert f"file={made}" in running
    assert size(made) == 100 * 2**30
    pc.off()
    pc.empty = (120 * 2**30,)
    pc.on()
    until(lambda: size(made) == 120 * 2**30, "it is as large as the host's", 120)


def size(disk: Path) -> int:
    argv = [programs.find(programs.IMG), "info", "--force-share", "--output", "json", str(disk)]
    found: int = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["virtual-size"]
    return found
