"""The lab plan: through JSON and back, on loopback, and derived from what a site says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from paver.errors import BadInput
from paver.lab import plan

PASSWORDS = {"esx-01": "S3cret!", "esx-02": "two"}


def site(**changes: Any) -> dict[str, Any]:
    host = {
        "address": "10.20.0.11",
        "login": {"user": "root", "password": "secret:esx-root"},
        "datastore": "fast",
        "switches": {"vSwitch0": {"uplinks": ["vmnic0"]}, "vSwitch1": {"uplinks": ["vmnic2", "vmnic1"]}},
        "port_groups": {
            "mgmt": {"switch": "vSwitch0", "vlan": 20},
            "bosh": {"switch": "vSwitch1", "vlan": 30},
        },
    }
    return {
        "name": "lab-north",
        "driver": "vsphere",
        "iaas": {
            "hosts": {"esx-01": host},
            "vcenter": {"fqdn": "vcsa.north.example", "address": "10.20.0.20"},
        },
        "networks": {
            "mgmt": {"cidr": "10.20.0.0/24", "port_group": "mgmt"},
            "bosh": {"cidr": "10.30.0.0/24", "port_group": "bosh"},
            "far": {"cidr": "10.40.0.0/24", "port_group": None},
        },
        "site_services": {"dns": "jumpbox", "ntp": "jumpbox", "zone": "north.example"},
        "jumpbox": {"hostname": "jumpbox", "address": "10.20.0.10"},
        "bucc": {"hostname": "director", "address": "10.30.0.10"},
        "services": {
            "object_store": {"hostname": "objects", "address": "10.30.0.11"},
            "registry": {"hostname": "registry", "address": None},
        },
        **changes,
    }


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    made = plan.demo(PASSWORDS)
    assert plan.from_json(made.to_json()) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}'])
def test_another_text_is_no_plan(text: str) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        plan.from_json(text)


def test_a_password_shows_in_no_representation() -> None:
    assert "S3cret!" not in repr(plan.demo(PASSWORDS))


def test_on_loopback_only_the_first_number_of_an_address_changes() -> None:
    moved = plan.demo(PASSWORDS).on_loopback()
    assert [host.address for host in moved.hosts] == ["127.20.0.11", "127.20.0.12"]
    assert [network.cidr for network in moved.networks] == ["127.20.0.0/24", "127.30.0.0/24"]


def test_an_address_belongs_to_the_narrowest_network() -> None:
    made = plan.demo(PASSWORDS)
    wide = dataclasses.replace(made, networks=(plan.Network("all", "10.0.0.0/8", 1), *made.networks))
    assert [
        getattr(wide.network_of(each), "name", None) for each in ("10.20.0.9", "10.9.0.1", "192.0.2.1", "x")
    ] == [
        "mgmt",
        "all",
        None,
        None,
    ]


def test_a_site_gives_hosts_cables_and_vlans() -> None:
    made = plan.from_site(site(), {"esx-root": "s3cret"})
    (host,) = made.hosts
    assert (host.hostname, host.password, host.datastores[0].name) == (
        "esx-01.north.example",
        "s3cret",
        "fast",
    )
    assert [uplink.device for uplink in host.uplinks] == ["vmnic0", "vmnic1", "vmnic2"]
    assert [(network.name, network.vlan) for network in made.networks] == [
        ("mgmt", 20),
        ("bosh", 30),
        ("far", 0),
    ]
    assert (made.dns, made.ntp, made.records) == ((), (), ())


def test_a_site_with_servers_of_its_own_knows_every_machine_both_ways() -> None:
    services = {"dns": ["10.20.0.2"], "ntp": ["10.20.0.3", "time.corp.example"], "zone": "north.example"}
    made = plan.from_site(site(site_services=services), {"esx-root": "x"})
    assert made.dns == ("10.20.0.2",)
    assert made.ntp == ("10.20.0.3", "10.20.0.2")
    assert dict(made.records) == {
        "esx-01.north.example": "10.20.0.11",
        "jumpbox.north.example": "10.20.0.10",
        "director.north.example": "10.30.0.10",
        "objects.north.example": "10.30.0.11",
        "vcsa.north.example": "10.20.0.20",
        "time.corp.example": "10.20.0.2",
    }


def test_a_site_of_another_driver_or_without_a_password_is_refused() -> None:
    with pytest.raises(BadInput, match="not aws"):
        plan.from_site(site(driver="aws"), {})
    with pytest.raises(BadInput, match="no password for esx-01"):
        plan.from_site(site(), {})
