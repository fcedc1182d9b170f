"""Hosts that vCenter takes in and lets go: agents, certificates, passwords."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.driver import PaverError, Refused, ResourceId, Secret
from paver.drivers.vsphere import DRIVER
from paver.drivers.vsphere.endpoints import shown_certificate
from paver.drivers.vsphere.inventory import retreat
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.transport.context import Wire
from paver.transport.tls import TrustError
from tests.support.inventory import (
    HOST,
    carried,
    entity,
    machine,
    small,
    state,
)
from tests.support.left import agents
from tests.support.vcenter_lab import InventoryRun, VCenter, vcenter, with_cluster, with_pool
from tests.support.vsphere_lab import ADDRESS as HOSTS_AT
from tests.support.vsphere_lab import hosts, pending, site_of, text_of
from tests.support.waiting import until

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("version", ["8.0.3", "8.0.2"])
def test_a_host_leaves_its_cluster_without_the_agent_that_it_carries_and_the_other_one_keeps_its_own(
    tmp_path: Path, version: str
) -> None:
    with (
        hosts(tmp_path, "esx-01", "esx-02", version=version) as running,
        vcenter(tmp_path, running, version) as there,
    ):
        run = InventoryRun(site_of(running, tmp_path), there, tmp_path)
        bare = state(running)
        run.fine()
        carried(running)
        run.site = with_cluster(run.site, hosts=("esx-01",))
        assert pending(run.plan()) == {"vsphere.cluster-host:esx-02": "delete"}
        run.fine()
        assert state(running)["esx-02"] == bare["esx-02"]
        until(lambda: agents(running.inventory("esx-01")), "the other host carries an agent")
        assert pending(run.plan()) == {}


def test_without_retreat_the_agents_would_stay_on_the_hosts_that_leave(
    run: InventoryRun, there: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the two before this one prove, they prove of paver and not of the lab."""

    def only_disconnects(_: object, session: Any, host: Any, *__: object) -> None:
        session.task(host, "DisconnectHost_Task")

    run.fine()
    carried(there.hosts)
    monkeypatch.setattr(retreat, "disconnect", only_disconnects)
    run.fine("destroy")
    assert all(agents(there.hosts.inventory(name)) for name in there.hosts.ports)


def test_an_agent_that_comes_back_while_its_host_leaves_is_taken_along(
    run: InventoryRun, there: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the host before it has just ended the retreat: this one carried none when it was looked at."""
    seen = retreat._on
    looks = iter(range(99))

    def late(session: Any, host: Any) -> set[str]:
        return set() if next(looks) == 0 else seen(session, host)

    run.fine()
    carried(there.hosts)
    monkeypatch.setattr(retreat, "_on", late)
    run.fine("destroy")
    assert not any(agents(there.hosts.inventory(name)) for name in there.hosts.ports)
    assert "ReconnectHost_Task" in there.writes()


def _anew(run: InventoryRun, there: VCenter) -> None:
    """Puts another vCenter in the place of the one that the hosts have left."""
    run.vcenter = there
    run.anchors["vmca"] = there.root


def test_hosts_that_have_left_are_taken_in_by_the_vcenter_that_stands_anew_and_by_no_stranger(
    tmp_path: Path,
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    with hosts(tmp_path, "esx-01", "esx-02") as running:
        with vcenter(tmp_path, running) as first:
            run = InventoryRun(with_pool(site_of(running, tmp_path)), first, tmp_path)
            run.fine()
            run.fine("destroy")
        for name, port in running.ports.items():
            run.anchors[shown_certificate(name)] = ssl.get_server_certificate((HOSTS_AT, port))
        with run.someone_else("esx-01") as session:
            assert session.one("HostSystem", ("summary.managementServerIp",))[1]["summary.managementServerIp"]
        with vcenter(again, running) as second:
            _anew(run, second)
            run.changed[HOST] = {"vcenter": "10.20.0.99"}
            failed = dict(run.apply().failed)
            assert "another vCenter manages the host" in str(getattr(failed[run.id(HOST)], "why", ""))
            run.changed.clear()
            run.fine()
            assert second.inventory()["entities"]["/north/host/compute/esx-01.north.example"]


def test_a_vcenter_9_takes_hosts_in_by_their_certificates(tmp_path: Path) -> None:
    with hosts(tmp_path, "esx-01", "esx-02") as running, vcenter(tmp_path, running, "9.0.0") as newer:
        run = InventoryRun(with_pool(site_of(running, tmp_path)), newer, tmp_path)
        run.fine()
        assert newer.writes().count("AddHost_Task") == len(running.ports)
        assert pending(run.plan()) == {}


def test_a_wrong_password_of_a_host_is_told_as_one(run: InventoryRun) -> None:
    run.secrets["wrong"] = "Not-The-Password-1"
    run.changed[HOST] = {"password": Secret("wrong")}
    ((resource, error),) = run.apply().failed
    assert resource == HOST
    assert isinstance(error, PaverError)
    assert "vCenter cannot add esx-01" in error.what
    assert "refuses user or password" in error.why
    del run.changed[HOST]
    run.fine()
    assert pending(run.plan()) == {}


def test_a_host_that_shows_vcenter_another_certificate_is_not_added(
    run: InventoryRun, there: VCenter
) -> None:
    run.changed[HOST] = {"port": there.hosts.ports["esx-02"]}
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert "another certificate under that name" in error.why
    assert "/north/host/compute/esx-01.north.example" not in there.inventory()["entities"]


def test_a_host_that_vcenter_does_not_reach_is_told_as_one(run: InventoryRun) -> None:
    run.changed[HOST] = {"name": "esx-01.elsewhere.example"}
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert "does not reach the host" in error.why
    assert "DNS" in error.do


def test_after_it_was_added_a_host_is_trusted_by_vcenters_authority_and_no_longer_by_its_pin(
    run: InventoryRun,
) -> None:
    run.fine()
    with run.someone_else("esx-01") as session:
        assert session.one("HostSystem") is not None
    connector: Any = run.paved().connectors["host:esx-01"]
    with pytest.raises(TrustError, match="another certificate than the one that is pinned"):
        connector.connect(Wire(reveal=lambda secret: run.secrets[secret.name]))


def test_a_connection_to_a_host_outlives_its_new_certificate(run: InventoryRun) -> None:
    with run.someone_else("esx-01") as session:
        before = session.value(session.one("HostSystem")[0], "name", fresh=True)
        run.fine()
        assert session.value(session.one("HostSystem")[0], "name", fresh=True) == before
        machine(session, "made-afterwards")


def _in_clusters(there: VCenter, folder: Path, second: str = "", *, alone: bool = False) -> Site:
    first = (
        "first: {hosts: [esx-01], azs: [z1]}"
        if second or alone
        else "first: {hosts: [esx-01, esx-02], azs: [z1]}"
    )
    clusters = f"{{{first}, {second}}}" if second else f"{{{first}}}"
    text = text_of(list(there.hosts.pins.values())).replace("{compute: {hosts: [esx-01, esx-02]}}", clusters)
    if alone:
        text = re.sub(r"    esx-02: .*\n", "", text)
    text = text.replace("address: 10.20.0.12", "address: 10.20.0.12, datastore: hdd")
    return loads(text, {"vsphere": DRIVER}, file="site.yml", folder=folder)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[InventoryRun]:
    """Two hosts in a cluster each, the second with a datastore that no other host has."""
    with (
        hosts(tmp_path, "esx-01", "esx-02", stores={"esx-02": "hdd"}) as running,
        vcenter(tmp_path, running) as there,
    ):
        run = InventoryRun(
            _in_clusters(there, tmp_path, "second: {hosts: [esx-02], azs: [z1]}"), there, tmp_path
        )
        run.fine()
        yield run


def test_a_cluster_that_gets_another_name_in_the_site_file_hands_its_host_over_in_one_apply(
    apart: InventoryRun,
) -> None:
    apart.site = _in_clusters(apart.vcenter, apart.site.folder, "other: {hosts: [esx-02], azs: [z1]}")
    planned = pending(apart.plan())
    assert planned["vsphere.cluster-host:esx-02"] == "replace"
    assert planned["vsphere.cluster:other"] == "create"
    assert planned["vsphere.cluster:second"] == "delete"
    apart.fine()
    assert pending(apart.plan()) == {}


def test_a_host_that_goes_to_another_cluster_takes_what_stands_on_its_own_datastore_along(
    apart: InventoryRun,
) -> None:
    """VCenter forgets a datastore with its last host, and each permission on it."""
    apart.site = _in_clusters(apart.vcenter, apart.site.folder)
    (moved,) = (one for one in apart.plan().actions if one.resource == "vsphere.cluster-host:esx-02")
    assert moved.verb.value == "replace"
    assert moved.lost == ("vsphere.permission:north/datastore/hdd",)
    apart.fine()
    assert pending(apart.plan()) == {}


def test_a_host_and_its_cluster_leave_in_one_apply(apart: InventoryRun) -> None:
    apart.site = _in_clusters(apart.vcenter, apart.site.folder, alone=True)
    assert set(pending(apart.plan()).values()) == {"delete"}
    apart.fine()
    assert pending(apart.plan()) == {}


@pytest.mark.parametrize("alone", [True, False], ids=["leaves", "goes to another cluster"])
def test_a_host_that_machines_of_boshs_are_on_stays_in_its_cluster(
    apart: InventoryRun, *, alone: bool
) -> None:
    with apart.administrator() as session:
        cluster = entity(session, "ClusterComputeResource", "second")
        pool = session.value(cluster, "resourcePool")
        for name in ("vm-1", "sc-1"):
            session.task(
                entity(session, "Folder", "BOSH_VMs"), "CreateVM_Task", config=small(name, "hdd"), pool=pool
            )
    apart.site = _in_clusters(apart.vcenter, apart.site.folder, alone=alone)
    errors = dict(apart.apply().failed)
    refused = errors[ResourceId("vsphere.cluster-host:esx-02")]
    assert isinstance(refused, Refused)
    assert (refused.what, refused.seen) == ("machines of BOSH's are on esx-02.north.example", "vm-1")
    with apart.administrator() as session:
        assert session.value(cluster, "host")
        session.task(entity(session, "VirtualMachine", "vm-1"), "Destroy_Task")
    apart.fine()
    assert pending(apart.plan()) == {}


def test_a_host_that_leaves_is_the_same_once_vcenter_has_lost_sight_of_it(apart: InventoryRun) -> None:
    """As of one whose name the site's DNS has no more, since the site file has it no more."""
    apart.site = _in_clusters(apart.vcenter, apart.site.folder, alone=True)

    def read() -> str | None:
        return {one.resource: one.before for one in apart.plan().actions}[leaves]

    leaves = ResourceId("vsphere.cluster-host:esx-02")
    before = read()
    with apart.administrator() as session:
        session.task(entity(session, "HostSystem", "esx-02.north.example"), "DisconnectHost_Task")
    assert read() == before
