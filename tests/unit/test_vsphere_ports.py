"""The port matrix names every connection that paving needs, once."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

import pytest
from pydantic import BaseModel

from paver.driver import Port
from paver.drivers.vsphere import DRIVER, check, ports, settings
from paver.runs import offers
from paver.sitefile import load
from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.site import Site

GOOD = (pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml").read_text()


@dataclasses.dataclass(frozen=True)
class Vsphere:
    name: str = "vsphere"
    settings: type[BaseModel] = settings.Settings

    def check(self, site: Site) -> Iterable[Diagnostic]:
        return check.check(site)


def matrix(text: str = GOOD) -> tuple[Port, ...]:
    site = load.loads(text, {"vsphere": Vsphere()}, file="site.yml", folder=pathlib.Path("/site"))
    return offers.ports(site, DRIVER)


def between(rows: tuple[Port, ...], source: str, target: str) -> set[tuple[int, str]]:
    return {(row.port, row.protocol) for row in rows if (row.source, row.target) == (source, target)}


def test_paver_reaches_hosts_and_jumpbox_from_outside_and_nothing_else() -> None:
    outside = {(row.target, row.port) for row in matrix() if row.source == ports.OUTSIDE}
    assert outside == {("esx-01", 443), ("esx-02", 443), ("jumpbox", 22)}


def test_the_installer_reaches_the_appliances_own_api() -> None:
    assert {(443, "tcp"), (5480, "tcp")} <= between(matrix(), "jumpbox", "vcenter")


def test_vcenter_and_hosts_speak_both_ways() -> None:
    assert {(902, "tcp"), (902, "udp"), (443, "tcp")} == between(matrix(), "vcenter", "esx-02")
    assert {(902, "tcp"), (902, "udp")} == between(matrix(), "esx-02", "vcenter")


CLUSTER = "compute: {hosts: [esx-01, esx-02], drs: true, ha: false}"


@pytest.mark.parametrize(
    ("clusters", "wanted"),
    [
        ("compute: {hosts: [esx-01, esx-02]}", {(902, "tcp"), (8000, "tcp")}),
        ("compute: {hosts: [esx-01, esx-02], drs: false}", {(902, "tcp")}),
        ("compute: {hosts: [esx-01], azs: [z1]}, more: {hosts: [esx-02], azs: [z1]}", {(902, "tcp")}),
        ("compute: {hosts: [esx-01], azs: [z1]}, more: {hosts: [esx-02]}", set()),
        (
            "compute: {hosts: [esx-01, esx-02], drs: false, ha: true}",
            {(902, "tcp"), (8182, "tcp"), (8182, "udp")},
        ),
    ],
)
def test_hosts_copy_stemcells_where_they_carry_zones_move_machines_where_drs_is_and_watch_each_other_where_ha_is(
    clusters: str, wanted: set[tuple[int, str]]
) -> None:
    assert CLUSTER in GOOD
    rows = matrix(GOOD.replace(CLUSTER, clusters))
    assert between(rows, "esx-01", "esx-02") == wanted
    assert between(rows, "esx-02", "esx-01") == wanted


def test_jumpbox_and_director_upload_to_every_host() -> None:
    for host in ("esx-01", "esx-02"):
        assert (443, "tcp") in between(matrix(), "director", host)
        assert (443, "tcp") in between(matrix(), "jumpbox", host)


def test_the_jumpbox_reaches_all_that_bucc_listens_on() -> None:
    wanted = {22, 6868, 25555, 8443, 8844, 443, 8200}
    assert wanted == {port for port, _ in between(matrix(), "jumpbox", "director")}


def test_boshs_vms_reach_the_director() -> None:
    assert {4222, 25250, 2222, 8443, 8844} <= {
        port for port, _ in between(matrix(), "network bosh", "director")
    }


def test_everyone_asks_the_jumpbox_for_names_and_time() -> None:
    for client in ("esx-01", "vcenter", "director", "network bosh"):
        assert {(53, "udp"), (53, "tcp"), (123, "udp")} == between(matrix(), client, "jumpbox")


def test_servers_outside_of_the_site_are_named_where_it_uses_them() -> None:
    text = GOOD.replace("dns: jumpbox, ntp: jumpbox", "dns: [10.0.0.53], ntp: [ntp.corp.example]")
    text = text.replace(
        "registry: {address: 10.30.0.12}", "registry: {external: {endpoint: 'https://r.corp.example:5000'}}"
    )
    rows = matrix(text)
    targets = {(row.target_address, row.port) for row in rows if row.source == "director"}
    assert {("10.0.0.53", 53), ("ntp.corp.example", 123), ("r.corp.example", 5000)} <= targets
    assert not between(rows, "esx-01", "jumpbox")


@pytest.mark.parametrize(("port", "asked"), [("", 2049), (":2050", 2050)])
def test_the_jumpbox_reaches_the_nfs_server_that_has_the_installer_and_its_portmapper(
    port: str, asked: int
) -> None:
    text = GOOD.replace(
        '"[datastore1] iso/VMware-VCSA-all-8.0.3.iso"', f"nfs://nas.corp.example{port}/iso/vcsa.iso"
    )
    rows = [row for row in matrix(text) if row.target_address == "nas.corp.example"]
    assert {(row.source, row.port, row.protocol) for row in rows} == {
        ("jumpbox", asked, "tcp"),
        ("jumpbox", 111, "tcp"),
    }
    assert not [row for row in matrix() if row.target == "NFS server"]


def test_no_row_stands_twice_and_each_says_why() -> None:
    rows = matrix()
    assert len(rows) == len(set(rows))
    assert all(row.why and row.source_address and row.target_address for row in rows)
