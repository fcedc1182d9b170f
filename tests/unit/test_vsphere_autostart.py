"""What starts with its host after a power cut: the jumpbox and vCenter, where high availability does not start them."""

from __future__ import annotations

import pathlib
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import Paved, PaverError, Verb
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.host import autostart, reading
from paver.drivers.vsphere.host.autostart import Autostart
from paver.drivers.vsphere.jumpbox.machine import Jumpbox
from paver.drivers.vsphere.vcsa.appliance import Appliance
from paver.sitefile import load
from paver.transport.vsphere import VsphereFault, ref

GOOD = (pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()
CLUSTERS = "compute: {hosts: [esx-01, esx-02], drs: true, ha: false}"
THIRD = (
    "  vcenter:\n",
    f"    esx-03: {{like: esx-01, address: 10.20.0.13, fingerprint: 'sha256:{'9e' + ':3c' * 31}'}}\n  vcenter:\n",
)
ON_THE_THIRD = ("image: paver-jumpbox-1.4.0.ova, on: esx-01", "image: paver-jumpbox-1.4.0.ova, on: esx-03")
WITH_HA = (CLUSTERS, CLUSTERS.replace("ha: false", "ha: true"))
ELSEWHERE = ("image: paver-jumpbox-1.4.0.ova, on: esx-01", "image: paver-jumpbox-1.4.0.ova, on: esx-02")


def paved(*changes: tuple[str, str]) -> Paved:
    text = GOOD
    for old, changed in changes:
        assert old in text
        text = text.replace(old, changed)
    return DRIVER.pave(load.loads(text, {"vsphere": DRIVER}, file="site.yml", folder=pathlib.Path("/site")))


def starting(wish: Paved) -> dict[str, str]:
    """The hosts that start VMs, with the phase in which they are told to."""
    return {str(one.id): one.phase for one in wish.resources if isinstance(one, Autostart)}


def wished(wish: Paved, kind: type[Any]) -> Any:
    (found,) = (one for one in wish.resources if isinstance(one, kind))
    return found


@pytest.mark.parametrize(
    ("changes", "hosts", "jumpbox", "vcenter"),
    [
        ((), {"esx-01": "jumpbox"}, True, True),
        ((ELSEWHERE,), {"esx-02": "jumpbox", "esx-01": "vcenter"}, True, True),
        ((WITH_HA,), {}, None, None),
        ((THIRD, ON_THE_THIRD, WITH_HA), {"esx-03": "jumpbox"}, True, None),
    ],
)
def test_jumpbox_and_vcenter_start_with_their_hosts_where_high_availability_does_not_start_them(
    changes: tuple[tuple[str, str], ...],
    hosts: dict[str, str],
    jumpbox: bool | None,
    vcenter: bool | None,
) -> None:
    wish = paved(*changes)
    assert starting(wish) == {f"vsphere.autostart:{host}": phase for host, phase in hosts.items()}
    assert wished(wish, Jumpbox).autostart is jumpbox
    appliance = wished(wish, Appliance)
    assert appliance.autostart is vcenter
    assert ("vsphere.autostart:esx-01" in appliance.after) is bool(vcenter)


class Host:
    """A host whose autostart holds entries by the ids of their VMs."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    def ref(self, type_name: str, moid: str) -> Any:
        return ref(type_name, moid)

    def call(self, _: object, method: str, spec: Any) -> None:
        assert method == "ReconfigureAutostart"
        self.entries |= {entry.key._moId: entry for entry in spec.powerInfo}


def test_vcenter_starts_after_the_jumpbox_that_its_names_and_time_are_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one host the jumpbox has the first place in the order; vCenter has none, and so comes behind."""
    host, vm = Host(), ref("VirtualMachine", "7")
    monkeypatch.setattr(reading, "manager", lambda *_: "manager")
    wished(paved(), Appliance).enter_autostart(host, vm)
    assert (host.entries["7"].startAction, host.entries["7"].startOrder) == ("powerOn", -1)


@pytest.mark.parametrize(
    ("stops", "as_wished"), [("guestShutdown", True), ("systemDefault", False), ("powerOff", False)]
)
def test_a_machine_that_starts_with_its_host_is_shut_down_with_it_and_not_switched_off(
    monkeypatch: pytest.MonkeyPatch, stops: str, *, as_wished: bool
) -> None:
    host, vm = Host(), ref("VirtualMachine", "7")
    monkeypatch.setattr(reading, "manager", lambda *_: "manager")
    wished(paved(), Appliance).enter_autostart(host, vm)
    entry = host.entries["7"]
    assert (entry.stopAction, entry.stopDelay) == ("guestShutdown", 600)
    entry.stopAction = stops
    monkeypatch.setattr(reading, "of", lambda *_: SimpleNamespace(powerInfo=[entry]))
    assert autostart.starts(None, vm) is as_wished


def test_putting_an_entry_back_is_no_act_of_the_installers() -> None:
    appliance = wished(paved(), Appliance)
    assert appliance.opaque(Verb.UPDATE) is None
    assert appliance.opaque(Verb.CREATE).tool == "vcsa-deploy"


def test_an_entry_that_somebody_took_out_is_put_back_and_nothing_else_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host()
    world: Any = SimpleNamespace(writing=lambda _: host)
    monkeypatch.setattr(reading, "manager", lambda *_: "manager")
    facts: Any = SimpleNamespace(address={"vm": "7"})
    wished(paved(), Appliance).update(world, facts, frozenset({"autostart"}))
    assert [entry.startAction for entry in host.entries.values()] == ["powerOn"]


@pytest.mark.parametrize(
    ("fault", "told"), [("NotSupported", "starts no VMs by itself"), ("HostConfigFault", "HostConfigFault")]
)
def test_a_host_whose_cluster_has_high_availability_still_says_so(
    monkeypatch: pytest.MonkeyPatch, fault: str, told: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise VsphereFault(fault, {}, (fault,), "ReconfigureAutostart", "esx-01")

    host = SimpleNamespace(name="esx-01", call=refuse)
    monkeypatch.setattr(reading, "manager", lambda *_: "manager")
    with pytest.raises(PaverError, match=told) as caught:
        wished(paved(), Appliance).enter_autostart(host, ref("VirtualMachine", "7"))
    assert ("high availability" in caught.value.why) is (fault == "NotSupported")
