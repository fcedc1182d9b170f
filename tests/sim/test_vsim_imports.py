"""An OVA into a simulated host: the lease, the uploads, and what is left when it goes wrong."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paver.image import publish
from paver.lab import build
from paver.ovf.ova import Ova
from tests.support import small_image, vsim
from tests.support import vsim_wishes as wishes
from tests.support.ear import Ear
from tests.support.vsim import Site, fault, vim
from tests.support.waiting import until

pytestmark = pytest.mark.lab

_STREAM = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}


@pytest.fixture
def room() -> Iterator[Ear]:
    with tempfile.TemporaryDirectory(prefix="room-") as folder:
        made = Ear(Path(folder) / "room.sock")
        yield made
        made.close()


@pytest.fixture
def site(room: Ear) -> Iterator[Site]:
    with vsim.site(room=room.path) as made:
        yield made


def _begun(site: Site) -> tuple[Any, Any, str]:
    content = site.host()
    made = wishes.import_spec(content, wishes.ova())
    assert not made.error
    lease = wishes.lease_of(content, made.importSpec)
    [item] = made.fileItem
    url = next(url for url in lease.info.deviceUrl if url.importKey == item.deviceId)
    assert url.url.startswith("https://*/nfc/")
    return content, lease, wishes.upload_path(url.url)


def _files(site: Site) -> list[str]:
    found: dict[str, Any] = site.steer("/inventory?server=esx-01")["datastores"]["datastore1"]["files"]
    return sorted(found)


def test_what_was_uploaded_is_what_the_manifest_says_and_what_boots(site: Site, room: Ear) -> None:
    content, lease, path = _begun(site)
    headers = {**_STREAM, **wishes.cookie(content)}
    assert wishes.request(site.where("esx-01"), "POST", path, wishes.DISK, headers)[0] == 201
    lease.HttpNfcLeaseProgress(70)
    assert lease.transferProgress == 70
    [entry] = lease.HttpNfcLeaseGetManifest()
    assert entry.sha1 == hashlib.sha1(wishes.DISK, usedforsecurity=False).hexdigest()
    assert (entry.size, entry.disk, entry.capacity) == (len(wishes.DISK), True, 8 << 20)
    vm = lease.info.entity
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"
    vsim.wait(vm.PowerOnVM_Task(None))
    event = room.next("/power")
    assert (event["server"], event["state"], event["vm"]["name"]) == ("esx-01", "on", "imported")
    assert event["vm"]["uuid"] == vm.config.uuid
    [disk, blank] = event["disks"]
    assert Path(disk["file"]).read_bytes() == wishes.DISK
    assert disk["sha256"] == hashlib.sha256(wishes.DISK).hexdigest()
    assert blank["bytes"] == 0
    [nic] = event["nics"]
    assert (nic["port_group"], nic["vlan"], nic["uplinks_up"], nic["connected"]) == ("VM Network", 0, 1, True)


def test_the_room_hears_when_the_wiring_changes_under_a_running_machine(site: Site, room: Ear) -> None:
    content = site.host()
    network = wishes.compute(content).configManager.networkSystem
    network.AddPortGroup(wishes.group("mgmt", 20))
    vm = wishes.new_vm(content, network="mgmt")
    vsim.wait(vm.PowerOnVM_Task(None))
    assert room.next("/power")["nics"][0]["vlan"] == 20
    network.UpdatePortGroup("mgmt", wishes.group("mgmt", 21))
    assert room.next("/wiring")["machines"][0]["nics"][0]["vlan"] == 21
    site.steer("/uplink", {"server": "esx-01", "device": "vmnic0", "up": False})
    assert room.next("/wiring")["machines"][0]["nics"][0]["uplinks_up"] == 0
    vsim.wait(vm.PowerOffVM_Task())
    assert room.next("/power")["state"] == "off"
    vsim.wait(vm.Destroy_Task())
    assert room.next("/power")["state"] == "destroyed"


def test_a_machine_that_went_off_is_off_at_its_host_unless_it_was_switched_on_again_meanwhile(
    site: Site, room: Ear
) -> None:
    content = site.host()
    vm = wishes.new_vm(content)
    vsim.wait(vm.PowerOnVM_Task(None))
    first = room.next("/power")
    assert first["state"] == "on"
    guest = {"vm": vm.config.uuid, "tools": "guestToolsRunning", "ip": "10.20.0.10"}
    site.steer("/guest", guest)
    off = {**guest, "tools": "guestToolsNotRunning", "ip": "", "off": True}
    site.steer("/guest", {**off, "boot": "2026-01-01T00:00:00Z"})
    assert (vm.runtime.powerState, vm.guest.ipAddress) == ("poweredOn", "10.20.0.10")
    site.steer("/guest", {**off, "boot": first["boot"]})
    assert room.next("/power")["state"] == "off"
    assert (vm.runtime.powerState, vm.guest.toolsRunningStatus) == ("poweredOff", "guestToolsNotRunning")
    assert not vm.guest.ipAddress
    site.steer("/guest", guest)
    assert vm.guest.toolsRunningStatus == "guestToolsNotRunning"
    vsim.wait(vm.PowerOnVM_Task(None))
    again = room.next("/power")
    assert again["state"] == "on"
    site.steer("/guest", {**off, "boot": first["boot"]})
    assert (vm.runtime.powerState, again["boot"] > first["boot"]) == ("poweredOn", True)


def test_an_aborted_import_leaves_nothing(site: Site) -> None:
    content, lease, path = _begun(site)
    headers = {**_STREAM, **wishes.cookie(content)}
    wishes.request(site.where("esx-01"), "POST", path, wishes.DISK, headers)
    lease.HttpNfcLeaseAbort(None)
    assert lease.state == "error"
    assert not list(wishes.compute(content).vm)
    assert _files(site) == []


def test_an_upload_that_is_cut_fails_the_lease(site: Site) -> None:
    content, lease, path = _begun(site)
    site.steer("/fault", {"server": "esx-01", "method": "POST /nfc", "cut_after_bytes": 1000})
    with pytest.raises((ConnectionError, OSError, http.client.HTTPException)):
        wishes.request(site.where("esx-01"), "POST", path, wishes.DISK, {**_STREAM, **wishes.cookie(content)})
    assert lease.state == "error"
    assert fault(lease.HttpNfcLeaseComplete) == "InvalidState"
    lease.HttpNfcLeaseAbort(None)
    assert _files(site) == []


def test_a_lease_without_progress_times_out_and_leaves_nothing(room: Ear) -> None:
    with vsim.site(room=room.path, lease_timeout_s=1) as site:
        content, lease, _ = _begun(site)
        until(lambda: lease.state == "error", "the lease times out")
        assert fault(lambda: lease.HttpNfcLeaseProgress(1)) == "Timedout"
        until(lambda: not list(wishes.compute(content).vm), "the machine goes")
        until(lambda: not _files(site), "its files go")


def test_a_full_datastore_fails_the_lease(room: Ear) -> None:
    small = [{"name": "datastore1", "path": "", "capacity_bytes": 4096}]
    with tempfile.TemporaryDirectory() as folder:
        small[0]["path"] = folder
        with vsim.site(room=room.path, datastores=small) as site:
            content, lease, path = _begun(site)
            headers = {**_STREAM, **wishes.cookie(content)}
            assert wishes.request(site.where("esx-01"), "POST", path, wishes.DISK, headers)[0] == 507
            assert type(lease.error).__name__ == "vim.fault.NoDiskSpace"


def test_garbage_is_a_fault_and_the_next_call_works(site: Site) -> None:
    content = site.host()
    for garbage in ("", "no xml", "<a/>", "<Envelope/>"):
        assert fault(partial(wishes.import_spec, content, garbage)) == "InvalidArgument"
    assert not wishes.import_spec(content, wishes.ova()).error


def test_a_host_takes_what_an_image_is_published_as(site: Site, tmp_path: Path) -> None:
    machine = publish.Machine(capacity=64 * small_image.GRAIN, memory_mb=512, cpus=1)
    parts = small_image.parts(tmp_path / "parts", b"\x01" * small_image.GRAIN)
    done = publish.publish(tmp_path / "out", "1.0", machine, parts)
    content = site.host()
    with Ova(done.files["ova"]) as ova:
        result = wishes.import_spec(content, ova.descriptor.text)
    assert not result.error
    lease = wishes.lease_of(content, result.importSpec)
    assert lease.state == "ready"
    lease.HttpNfcLeaseAbort(None)


@pytest.mark.parametrize(
    ("settable", "mapped", "gibibytes"),
    [(True, {}, 12), (True, {"data": "40"}, 40), (True, {"other": "40"}, 12), (False, {"data": "40"}, 12)],
)
def test_an_empty_disk_is_as_large_as_its_property_is_mapped_or_by_default(
    site: Site, settable: bool, mapped: dict[str, str], gibibytes: int
) -> None:
    content = site.host()
    mapping = [vim.KeyValue(key=key, value=value) for key, value in mapped.items()]
    descriptor = wishes.ova(replaced=wishes.sized_by("12", "MinValue(8),MaxValue(64)", settable=settable))
    made = wishes.import_spec(content, descriptor, propertyMapping=mapping)
    assert not made.error
    # Nothing is uploaded to it.
    assert [item.path for item in made.fileItem] == ["disk.vmdk"]
    lease = wishes.lease_of(content, made.importSpec)
    disks = [each for each in lease.info.entity.config.hardware.device if hasattr(each, "capacityInKB")]
    assert [disk.capacityInKB for disk in disks] == [8 << 10, gibibytes << 20]
    assert disks[1].capacityInBytes == gibibytes << 30
    assert (disks[1].controllerKey, disks[1].unitNumber) == (disks[0].controllerKey, 1)
    assert disks[1].backing.thinProvisioned
    lease.HttpNfcLeaseAbort(None)


@pytest.mark.parametrize(
    ("default", "mapped", "refused"),
    [
        ("12", "7", "OvfPropertyValue"),
        ("12", "65", "OvfPropertyValue"),
        ("12", "-12", "OvfPropertyValue"),
        ("12", "a dozen", "OvfPropertyValue"),
        ("12", "", "OvfPropertyValue"),
        ("12", "9" * 40, "OvfPropertyValue"),
        ("", None, "OvfPropertyValue"),
        ("7", None, "OvfPropertyValue"),
    ],
)
def test_a_size_that_is_no_number_within_its_bounds_is_refused(
    site: Site, default: str, mapped: str | None, refused: str
) -> None:
    mapping = [] if mapped is None else [vim.KeyValue(key="data", value=mapped)]
    descriptor = wishes.ova(replaced=wishes.sized_by(default, "MinValue(8),MaxValue(64)"))
    made = wishes.import_spec(site.host(), descriptor, propertyMapping=mapping)
    assert [type(error).__name__.rpartition(".")[2] for error in made.error] == [refused]
    assert made.importSpec is None


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ('ovf:capacity="2"', 'ovf:capacity="${none}"', "OvfInvalidValueReference"),
        ('ovf:capacity="2"', 'ovf:capacity="two"', "OvfInvalidValueFormatMalformed"),
        ('ovf:capacity="2"', 'ovf:capacity="-2"', "OvfInvalidValueFormatMalformed"),
        ('ovf:capacity="2"', f'ovf:capacity="{2**62}"', "OvfInvalidValueFormatMalformed"),
        ('ovf:capacity="8"', 'ovf:capacity="${data}"', "OvfInvalidValueReference"),
    ],
)
def test_a_capacity_that_comes_to_no_disk_is_refused(site: Site, old: str, new: str, refused: str) -> None:
    described = wishes.sized_by("12")
    descriptor = wishes.ova(
        replaced={**{key: described[key] for key in described if "Section" in key}, old: new}
    )
    made = wishes.import_spec(site.host(), descriptor)
    assert [type(error).__name__.rpartition(".")[2] for error in made.error] == [refused]


def test_govc_imports_the_same_ova(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "machine.ova"
    file.write_bytes(wishes.archive())
    here, port = site.where("esx-01")
    settings = {
        **os.environ,
        "GOVC_URL": f"https://{here}:{port}",
        "GOVC_USERNAME": "root",
        "GOVC_PASSWORD": vsim.ROOT,
        "GOVC_INSECURE": "true",
        "GOVC_PERSIST_SESSION": "false",
        "GOVC_DATASTORE": "datastore1",
    }
    govc = build.build(["govc"])["govc"]
    subprocess.run([govc, "import.ova", "-m", file], env=settings, check=True, capture_output=True)
    shown = subprocess.run(
        [govc, "vm.info", "machine"], env=settings, check=True, capture_output=True, text=True
    ).stdout
    assert "128MB" in shown
