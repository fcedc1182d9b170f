"""Phase `hosts` from a site file to simulated ESXi hosts and back, through the real sessions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere.host import reading
from paver.errors import Refused
from tests.support.vsphere_lab import Hosts, Run, hosts, pending, site_of

pytestmark = pytest.mark.lab


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Hosts]:
    with hosts(tmp_path, "esx-01", "esx-02") as running:
        yield running


def in_hosts(resource: Any) -> bool:
    return bool(resource.phase == "hosts")


@pytest.fixture
def run(there: Hosts, tmp_path: Path) -> Run:
    return Run(site_of(there, tmp_path), there, tmp_path, in_hosts)


def test_hosts_are_prepared_kept_repaired_and_put_back(run: Run, there: Hosts) -> None:
    start = {name: there.inventory(name) for name in there.ports}
    run.fine()
    made = there.inventory("esx-01")
    assert made["port_groups"]["bosh"]["vlan"] == 30
    assert made["dns"]["servers"] == ["10.20.0.53"]
    assert pending(run.plan()) == {}

    run.site = site_of(there, run.site.folder, ntp="[10.20.0.54, 10.20.0.55]")
    assert pending(run.plan()) == {"vsphere.ntp:esx-01": "update", "vsphere.ntp:esx-02": "update"}
    run.fine()
    assert pending(run.plan()) == {}

    run.fine("destroy")
    assert {name: there.inventory(name) for name in there.ports} == start


def test_a_host_that_is_renamed_in_the_site_file_keeps_what_it_has(run: Run, there: Hosts) -> None:
    start = there.inventory("esx-01")
    run.fine()
    made, calls = there.inventory("esx-01"), len(there.trace("esx-01"))
    book = there.folder / "esx-01-datastore1" / "paver" / "north" / "esx-01.json"
    old = list(json.loads(book.read_text())["entries"])

    site = site_of(there, run.site.folder, first="esx-one")
    run.site = dataclasses.replace(site, moved={id_: id_.replace("esx-01", "esx-one") for id_ in old})
    run.there = dataclasses.replace(
        there, ports={"esx-one": there.ports["esx-01"], "esx-02": there.ports["esx-02"]}
    )
    moving = run.plan()
    assert pending(moving) == {id_.replace("esx-01", "esx-one"): "update" for id_ in old}
    # A host is called what its key is, so that is all that changes of it.
    assert [(a.kind, c.field) for a in moving.pending for c in a.changes] == [("vsphere.dns", "hostname")]
    run.fine()
    assert pending(run.plan()) == {}
    now = there.inventory("esx-01")
    assert {key for key in made if now[key] != made[key]} == {"name", "dns", "datastores"}
    done = {call["method"].partition(" ")[0] for call in there.trace("esx-01")[calls:] if call["write"]}
    assert done == {"UpdateDnsConfig", "PUT", "MoveDatastoreFile_Task", "DeleteDatastoreFile_Task"}
    assert [path.name for path in book.parent.iterdir()] == ["esx-one.json"]

    run.site = dataclasses.replace(run.site, moved={})
    assert pending(run.plan()) == {}
    run.fine("destroy")
    assert there.inventory("esx-01") == start


def test_a_destroy_takes_away_the_folder_that_a_run_left_which_was_killed_before_its_ledger(
    run: Run, there: Hosts
) -> None:
    start = there.inventory("esx-01")
    # As MakeDirectory leaves it, the call before the one that writes the ledger.
    datastore = there.folder / "esx-01-datastore1"
    (datastore / "paver" / "north").mkdir(parents=True)
    assert pending(run.plan()).get("vsphere.ledger-folder:esx-01") is None
    assert pending(run.plan("destroy")) == {"vsphere.ledger-folder:esx-01": "delete"}
    run.fine("destroy")
    assert there.inventory("esx-01") == start
    assert not (datastore / "paver").exists()


def test_what_somebody_changes_on_a_host_is_named_and_repaired(run: Run) -> None:
    run.fine()
    with run.someone_else("esx-01") as session:
        system = reading.manager(session, "networkSystem")
        spec = reading.named(session, reading.PORT_GROUPS, "bosh", field="spec.name").spec
        spec.vlanId = 99
        session.call(system, "UpdatePortGroup", pgName="bosh", portgrp=spec)
        services = reading.manager(session, "serviceSystem")
        session.call(services, "StopService", id="ntpd")
    made = run.plan()
    assert pending(made) == {"vsphere.port-group:esx-01/bosh": "update", "vsphere.ntp:esx-01": "update"}
    changes = {change.field: (change.before, change.after) for a in made.pending for change in a.changes}
    assert changes == {"vlan": (99, 30), "running": (False, True)}
    run.fine()
    assert pending(run.plan()) == {}


def test_planning_writes_nothing(run: Run, there: Hosts) -> None:
    run.plan()
    run.fine()
    before = len(there.trace("esx-01"))
    run.plan()
    calls = there.trace("esx-01")
    assert [call for call in calls[before:] if call["write"]] == []
    assert [call for call in calls[:before] if call["write"]]


def test_a_password_that_is_wrong_is_told_as_one(run: Run) -> None:
    run.secrets["esx-root"] = "wrong"
    with pytest.raises(Exception, match="refuses the login of root"):
        run.plan()


def test_a_free_licence_stops_the_plan_before_anything_is_written(run: Run, there: Hosts) -> None:
    there.ask("/licence", server="esx-02", licence="free")
    with pytest.raises(Refused, match="esx-02 refuses to be written to: its licence is the free one"):
        run.plan()
    assert [call for call in there.trace("esx-01") if call["write"]] == []
