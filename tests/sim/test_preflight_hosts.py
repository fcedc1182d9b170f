"""Preflight against simulated hosts: everything that stands in the way at once, and not one write."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.driver import BadInput, Finding, Grade
from paver.drivers.vsphere import DRIVER, endpoints, preflight_ha
from paver.ovf.write import make_ova
from paver.sitefile import Site
from paver.sitefile.load import loads
from paver.transport.context import Station, Wire
from paver.transport.vsphere import VsphereConnector, VsphereFault, new
from tests.support.vsphere_lab import ADDRESS, PASSWORD, Hosts, Run, hosts, site_of

pytestmark = pytest.mark.lab


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    with hosts(tmp_path, "esx-01", "esx-02") as running:
        dial(running, monkeypatch)
        yield running


def dial(there: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads the site's addresses to the simulators' ports."""
    connectors = endpoints.connectors

    def led(site: Site) -> dict[str, Any]:
        found = dict(connectors(site))
        for name, port in there.ports.items():
            connector = found[f"host:{name}"]
            assert isinstance(connector, VsphereConnector)
            found[f"host:{name}"] = dataclasses.replace(connector, address=ADDRESS, port=port)
        return found

    monkeypatch.setattr(endpoints, "connectors", led)


def site_with_image(there: Hosts, folder: Path, **changes: str) -> Site:
    make_ova(folder / "jumpbox.ova", name="jumpbox", disk=b"disk", capacity=2**20, networks=("VM Network",))
    return site_of(there, folder, **changes)


def looked_at(
    site: Site, password: str = PASSWORD, station: Station = "outside"
) -> dict[tuple[str, str], Finding]:
    found = DRIVER.preflight(site, Wire(station=station, reveal=lambda _: password))
    return {(one.subject, one.check): one for one in found}


def grades(found: dict[tuple[str, str], Finding]) -> dict[str, Grade]:
    return {f"{subject} {check}": one.grade for (subject, check), one in found.items() if one.grade != "ok"}


def test_hosts_that_are_ready_have_no_finding_against_them_and_are_only_read(
    there: Hosts, tmp_path: Path
) -> None:
    before = {name: there.inventory(name) for name in there.ports}
    found = looked_at(site_with_image(there, tmp_path))
    assert grades(found) == {}
    assert re.fullmatch(
        r"Evaluation Mode, edition eval, until 20..-..-.., (59|60) days", found["esx-01", "licence"].seen
    )
    assert found["esx-01", "version"].seen.startswith("ESXi 8.0.3")
    assert found["esx-01", "jumpbox hardware"].seen == "vmx-17, known to ESXi 8.0.3"
    assert ("esx-02", "jumpbox hardware") not in found
    assert found["esx-01", "port group bosh"].seen == "absent, will be made"
    assert {name: there.inventory(name) for name in there.ports} == before
    assert not [call for name in there.ports for call in there.trace(name) if call["write"]]


def test_every_trouble_is_told_at_once(there: Hosts, tmp_path: Path) -> None:
    there.ask("/licence", server="esx-01", licence="free")
    there.ask("/uplink", server="esx-02", device="vmnic0", up=False)
    site = site_with_image(there, tmp_path)
    (tmp_path / "jumpbox.ova").write_bytes(b"this is no archive" * 100)
    found = looked_at(site)
    assert grades(found) == {
        "files jumpbox image": Grade.INPUT,
        "esx-01 licence": Grade.REFUSED,
        "esx-02 uplink vmnic0": Grade.WARNING,
    }
    assert "iaas.hosts.esx-01.licence" in found["esx-01", "licence"].do


@pytest.mark.parametrize(
    ("ahead", "ntp", "grade", "words"),
    [
        (0, "jumpbox", Grade.OK, "as here"),
        (-90, "jumpbox", Grade.WARNING, "behind this machine"),
        (3 * 3600, "jumpbox", Grade.REFUSED, "ahead of this machine"),
        (3 * 3600, "[10.20.0.54]", Grade.WARNING, "ahead of this machine"),
    ],
)
def test_a_hosts_clock_is_told_and_is_in_the_way_where_the_whole_site_would_have_its_time_from_it(
    there: Hosts, tmp_path: Path, ahead: int, ntp: str, grade: Grade, words: str
) -> None:
    there.ask("/time", server="esx-01", ahead_s=ahead)
    found = looked_at(site_with_image(there, tmp_path, dns="jumpbox", ntp=ntp))
    assert found["esx-01", "clock"].grade is grade
    assert found["esx-01", "clock"].seen.endswith(words)
    assert found["esx-02", "clock"].grade is Grade.OK


def test_what_high_availability_is_to_start_and_lies_on_one_hosts_disks_is_warned_of(
    there: Hosts, tmp_path: Path
) -> None:
    site = site_with_image(there, tmp_path)
    with_ha = site.source.text.replace("{hosts: [esx-01, esx-02]}", "{hosts: [esx-01, esx-02], ha: true}")
    site = loads(with_ha, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    found = looked_at(site)
    assert grades(found) == {
        "esx-01 high availability of vCenter": Grade.WARNING,
        "esx-01 high availability of the jumpbox": Grade.WARNING,
    }
    assert found["esx-01", "high availability of vCenter"].seen == "datastore1 is a datastore of esx-01 alone"
    shared = {name: {"datastore1": "ds:///vmfs/volumes/65a0/"} for name in there.ports}
    assert list(preflight_ha.shared(site, shared)) == []
    assert list(preflight_ha.shared(site, {})) == []


def test_at_the_jumpbox_the_image_that_it_was_made_from_is_not_asked_for(
    there: Hosts, tmp_path: Path
) -> None:
    site = site_with_image(there, tmp_path)
    (tmp_path / "jumpbox.ova").unlink()
    assert grades(looked_at(site)) == {"files jumpbox image": Grade.INPUT}
    assert grades(looked_at(site, station="jumpbox")) == {}


def test_a_wrong_pin_is_told_with_what_was_seen_and_no_password_leaves(there: Hosts, tmp_path: Path) -> None:
    site = site_with_image(there, tmp_path)
    wrong = site.source.text.replace(there.pins["esx-01"], "sha256:" + ":".join(["ab"] * 32))
    site = loads(wrong, {"vsphere": DRIVER}, file="site.yml", folder=tmp_path)
    found = looked_at(site)
    assert grades(found) == {"esx-01 certificate": Grade.INPUT}
    assert found["esx-01", "certificate"].seen == there.pins["esx-01"]
    assert "Login" not in {call["method"] for call in there.trace("esx-01")}


def test_a_wrong_password_is_bad_input_at_each_host(there: Hosts, tmp_path: Path) -> None:
    found = looked_at(site_with_image(there, tmp_path), password="not the right one")
    assert grades(found) == {"esx-01 login": Grade.INPUT, "esx-02 login": Grade.INPUT}


def test_a_host_in_lockdown_mode_is_told_with_what_to_do(there: Hosts, tmp_path: Path) -> None:
    there.ask("/lockdown", server="esx-02", mode="lockdownNormal")
    found = looked_at(site_with_image(there, tmp_path))
    assert grades(found) == {"esx-02 login": Grade.REFUSED}
    assert "lockdown mode" in found["esx-02", "login"].why
    assert "exception user" in found["esx-02", "login"].do


def test_a_secret_that_is_missing_is_bad_input_too(there: Hosts, tmp_path: Path) -> None:
    def missing(_: object) -> str:
        raise BadInput("the sealed store has no secret 'esx-root'", do="paver secrets set esx-root")

    found = {
        (one.subject, one.check): one
        for one in DRIVER.preflight(site_with_image(there, tmp_path), Wire(reveal=missing))
    }
    assert found["esx-01", "login"].grade is Grade.INPUT
    assert found["esx-01", "login"].do == "paver secrets set esx-root"


def test_a_host_that_is_down_hides_no_other(
    there: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = dataclasses.replace(there, ports={**there.ports, "esx-01": 1})
    monkeypatch.undo()
    dial(down, monkeypatch)
    found = looked_at(site_with_image(there, tmp_path))
    assert grades(found) == {"esx-01 certificate": Grade.UNREACHABLE}
    assert found["esx-02", "login"].grade is Grade.OK


def test_a_host_that_lacks_the_images_virtual_hardware_is_refused_before_the_image_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosts(tmp_path, "esx-01", "esx-02", version="6.7.0") as old:
        dial(old, monkeypatch)
        site = site_with_image(old, tmp_path)
        found = looked_at(site)
        with Run(site, old, tmp_path).someone_else("esx-01") as session:
            folder = session.one("Datacenter", ("vmFolder",))[1]["vmFolder"]
            spec = new(
                "VirtualMachineConfigSpec",
                name="jumpbox",
                version="vmx-17",
                files=new("VirtualMachineFileInfo", vmPathName="[datastore1]"),
            )
            pool = session.one("ResourcePool")[0]
            with pytest.raises(VsphereFault, match="InvalidVmConfig"):
                session.task(folder, "CreateVM_Task", config=spec, pool=pool)
    assert grades(found) == {
        "esx-01 jumpbox hardware": Grade.REFUSED,
        "esx-01 version": Grade.REFUSED,
        "esx-02 version": Grade.REFUSED,
    }
    refused = found["esx-01", "jumpbox hardware"]
    assert (refused.seen, refused.wanted) == ("ESXi 6.7.0", "7.0 or later")
    assert "vmx-17" in refused.why
    assert "BOSH's machines have virtual hardware 17" in found["esx-02", "version"].why


def test_a_host_in_maintenance_is_refused_where_a_machine_is_placed_and_named_elsewhere(
    there: Hosts, tmp_path: Path
) -> None:
    site = site_with_image(there, tmp_path)
    for name in there.ports:
        with Run(site, there, tmp_path).someone_else(name) as session:
            host = session.one("HostSystem")[0]
            session.task(host, "EnterMaintenanceMode_Task", timeout=0)
    found = looked_at(site)
    assert grades(found) == {"esx-01 maintenance": Grade.REFUSED, "esx-02 maintenance": Grade.WARNING}


def test_too_little_room_is_refused_before_anything_is_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosts(tmp_path, "esx-01", "esx-02", capacity=10**10) as small:
        dial(small, monkeypatch)
        found = looked_at(site_with_image(small, tmp_path))
    assert grades(found) == {
        "esx-01 datastore datastore1": Grade.REFUSED,
        "BOSH room for BOSH in z1": Grade.REFUSED,
    }
    assert found["esx-01", "datastore datastore1"].wanted == "64 GB"


def test_the_room_that_is_wanted_in_the_end_is_that_of_the_data_disk_and_of_the_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # vCenter's disks have 579 GB, the jumpbox's data disk 100 GB; the first disk has 40, the swap files of both have 19.
    with hosts(tmp_path, "esx-01", "esx-02", capacity=7 * 10**11) as there:
        dial(there, monkeypatch)
        site = site_with_image(there, tmp_path)
        assert looked_at(site)["esx-01", "datastore datastore1"].grade is Grade.OK
        path = tmp_path / "jumpbox.ova"
        make_ova(path, name="jumpbox", disk=b"disk", capacity=40 * 2**30, data_disk_gb=100)
        found = looked_at(site)["esx-01", "datastore datastore1"]
    assert (found.grade, found.wanted) == (Grade.WARNING, "741 GB")
