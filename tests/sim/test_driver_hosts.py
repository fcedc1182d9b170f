"""Phase `hosts` from a site file to simulated ESXi hosts and back, through the real sessions."""

from __future__ import annotations

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
