"""An address answers only through a card with a live uplink and the network's own VLAN."""

from __future__ import annotations

from typing import Any

import pytest

from paver.errors import BadInput
from paver.lab import plan
from paver.lab.room import cables, world

PLAN = plan.demo({"esx-01": "x", "esx-02": "y"})
CARD: dict[str, Any] = {
    "mac": "00:50:56:AA:BB:CC",
    "port_group": "mgmt",
    "vlan": 20,
    "uplinks_up": 1,
    "connected": True,
}


def test_nothing_is_in_the_way_of_a_card_that_is_wired_right() -> None:
    assert cables.obstacle(PLAN, "10.20.0.10", cables.card(CARD)) is None


@pytest.mark.parametrize(
    ("address", "changes", "words"),
    [
        ("10.20.0.10", {"vlan": 0}, "VLAN 20"),
        ("10.20.0.10", {"uplinks_up": 0}, "no live uplink"),
        ("10.20.0.10", {"connected": False}, "not connected"),
        ("10.30.0.10", {}, "VLAN 30"),
        ("192.0.2.1", {}, "no network of this datacentre"),
    ],
)
def test_each_cable_that_is_wrong_is_named(address: str, changes: dict[str, Any], words: str) -> None:
    assert words in (cables.obstacle(PLAN, address, cables.card({**CARD, **changes})) or "")


def test_a_card_that_is_not_there_is_named() -> None:
    assert "no such card" in (cables.obstacle(PLAN, "10.20.0.10", None) or "")


def test_a_power_event_is_read() -> None:
    found = world.event(
        {
            "server": "esx-01",
            "state": "on",
            "vm": {"uuid": "4211-aa", "name": "jumpbox", "moid": "7"},
            "extra_config": {"guestinfo.a": "b"},
            "nics": [CARD],
            "disks": [
                {"file": "/x/y.vmdk", "bytes": 900, "capacity": 1000},
                {"label": "none"},
                {"file": "/x/z.vmdk", "bytes": 0, "capacity": 2**37},
            ],
        }
    )
    assert found.empty == (2**37,)
    assert (found.macs, [str(path) for path in found.disks]) == (
        ("00:50:56:aa:bb:cc",),
        ["/x/y.vmdk", "/x/z.vmdk"],
    )
    assert "guestinfo" not in repr(found)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"state": "on"},
        {"state": "melted", "vm": {"uuid": "a"}},
        {"state": "on", "vm": {"uuid": "../../etc"}},
    ],
)
def test_what_is_no_power_event_is_refused(raw: Any) -> None:
    with pytest.raises(BadInput, match="not a power event"):
        world.event(raw)


def test_a_machine_with_a_network_of_its_own_is_reached_over_its_cable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(cables, "_batch", ran.extend)
    cables.up(["10.20.0.10"], "pc-1")
    cables.down(["10.20.0.10"], "pc-1")
    cables.up(["10.20.0.20"])
    assert ran == [
        "route replace 10.20.0.10/32 dev pc-1\n",
        "route del 10.20.0.10/32 dev pc-1\n",
        "addr replace 10.20.0.20/32 dev lo\n",
    ]
