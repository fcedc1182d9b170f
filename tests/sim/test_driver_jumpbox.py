"""The jumpbox's VM from an OVA on simulated ESXi, first boot included as far as the host sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.drivers.vsphere.jumpbox import first_boot
from paver.errors import BadInput, Interrupted, PaverError, Refused
from paver.ovf.ova import Ova
from paver.ovf.write import make_ova
from paver.transport.vsphere import new
from tests.image import mutate
from tests.support.vsphere_lab import HOST_KEY, USER_KEY, Hosts, Run, hosts, pending, site_of

pytestmark = pytest.mark.lab

JUMPBOX = "vsphere.jumpbox:jumpbox"
KINDS = {"vsphere.jumpbox", "vsphere.image", "vsphere.autostart", "trust.ssh-key", "trust.authority"}


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Hosts]:
    with hosts(tmp_path, "esx-01", "esx-02") as running:
        yield running


def in_jumpbox(resource: Any) -> bool:
    return resource.phase == "hosts" or resource.kind in KINDS


def image(folder: Path, word: bytes = b"first", data_disk_gb: int | None = None) -> None:
    make_ova(
        folder / "jumpbox.ova",
        name="paver-jumpbox",
        disk=b'{"paver-lab-boot": "jumpbox"}\n' + word,
        capacity=2**30,
        networks=("VM Network",),
        data_disk_gb=data_disk_gb,
    )


def sizes(there: Hosts) -> list[int]:
    """Returns how many GiB the jumpbox's disks have, the smallest first."""
    return sorted(disk["capacity"] >> 30 for disk in vm(there)["disks"])


@pytest.fixture
def run(there: Hosts, tmp_path: Path) -> Run:
    image(tmp_path)
    return Run(site_of(there, tmp_path), there, tmp_path, in_jumpbox)


def vm(there: Hosts) -> Any:
    return there.inventory("esx-01")["virtual_machines"]["paver-jumpbox"]


def test_a_jumpbox_is_deployed_kept_and_removed_without_a_trace(run: Run, there: Hosts) -> None:
    start = {name: there.inventory(name) for name in there.ports}
    run.fine()
    made = vm(there)
    assert made["power"] == "poweredOn"
    assert made["nics"] == [{"port_group": "mgmt", "connected": True}]
    boot = first_boot.read(made["extra_config"])
    assert boot is not None
    assert (boot.address, boot.prefix, boot.gateway) == ("10.20.0.10", 24, "10.20.0.1")
    assert boot.keys[0] == USER_KEY
    assert len(boot.keys) == 2
    event = next(event for event in there.room.heard if event["state"] == "on")
    assert event["nics"][0]["mac"] == boot.mac
    assert there.inventory("esx-01")["autostart"]["enabled"] is True
    assert pending(run.plan()) == {}
    run.fine("destroy", allow=("*",))
    assert {name: there.inventory(name) for name in there.ports} == start


def test_the_host_keys_are_what_the_machine_published(run: Run) -> None:
    run.fine()
    with run.world() as world:
        run.plan_in(world)
        facts: Any = world.board.facts(run.id(JUMPBOX))
    assert facts.host_keys == (HOST_KEY,)


def test_an_image_whose_arrival_the_host_does_not_tell_of_is_deployed_and_the_proof_says_so(
    run: Run, there: Hosts
) -> None:
    there.ask("/manifest", server="esx-01", silent=True)
    run.fine()
    with run.world() as world:
        resource = next(one for one in world.paved.resources if one.id == run.id(JUMPBOX))
        run.plan_in(world)
        facts: Any = world.board.facts(run.id(JUMPBOX))
        reader: Any = world
        said = {check.name: check.seen for check in resource.checks(reader, facts)}
    assert said["the image was sent whole; it was not compared"].startswith(
        "esx-01 does not tell what arrived of "
    )
    assert pending(run.plan()) == {}


def test_without_leave_a_jumpbox_is_not_removed(run: Run) -> None:
    run.fine()
    made = run.plan("destroy")
    assert pending(made)[JUMPBOX] == "blocked"


def test_a_jumpbox_whose_removal_broke_off_no_longer_counts_as_standing(run: Run, there: Hosts) -> None:
    """Else the next plan would ask what lies on a machine that is switched off."""
    run.fine()
    there.ask("/fault", server="esx-01", method="Destroy_Task", fault="HostCommunication", times=1)
    assert run.apply("destroy", allow=("*",)).failed
    assert vm(there)["power"] == "poweredOff"
    with run.world() as world:
        run.plan_in(world)
        facts: Any = world.board.facts(run.id(JUMPBOX))
    assert not facts.mark.complete
    run.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["virtual_machines"] == {}


def test_a_jumpbox_that_was_switched_off_is_started(run: Run, there: Hosts) -> None:
    run.fine()
    with run.someone_else("esx-01") as session:
        session.task(session.one("VirtualMachine")[0], "PowerOffVM_Task")
    made = run.plan()
    assert pending(made) == {JUMPBOX: "update"}
    run.fine()
    assert vm(there)["power"] == "poweredOn"
    assert pending(run.plan()) == {}


def test_on_a_datastore_that_vcenter_renamed_it_is_kept_removed_and_made_again(
    run: Run, there: Hosts
) -> None:
    run.fine()
    there.ask("/datastore", server="esx-01", name="datastore1", to="datastore1 (1)")
    assert pending(run.plan()) == {}
    run.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["datastores"]["datastore1 (1)"]["files"] == {}
    run.fine()
    assert pending(run.plan()) == {}
    assert vm(there)["disks"][0]["path"].startswith("[datastore1 (1)] ")


def test_more_memory_is_given_by_a_restart(run: Run, there: Hosts) -> None:
    run.fine()
    run.site = site_of(there, run.site.folder, jumpbox=", memory_mb: 8192, cpus: 4")
    assert pending(run.plan()) == {JUMPBOX: "update"}
    run.fine()
    assert (vm(there)["cpus"], vm(there)["memory_mb"]) == (4, 8192)
    assert pending(run.plan()) == {}


@pytest.fixture
def with_data(there: Hosts, tmp_path: Path) -> Run:
    image(tmp_path, data_disk_gb=50)
    return Run(site_of(there, tmp_path), there, tmp_path, in_jumpbox)


def test_of_an_image_with_a_data_disk_that_one_is_as_large_as_wished_thin_and_not_uploaded(
    with_data: Run, there: Hosts
) -> None:
    with_data.fine()
    assert sizes(there) == [1, 100]
    assert pending(with_data.plan()) == {}
    sent = [call["method"] for call in there.trace("esx-01") if "POST /nfc" in call["method"]]
    assert [each.rpartition("/")[2] for each in sent] == ["disk-0.vmdk"]
    with with_data.someone_else("esx-01") as session:
        [machine] = [values for _, values in session.objects("VirtualMachine", ("config.hardware.device",))]
    disks = [each for each in machine["config.hardware.device"] if hasattr(each, "capacityInKB")]
    assert all(disk.backing.thinProvisioned for disk in disks)
    with_data.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["virtual_machines"] == {}


def test_the_data_disk_grows_and_does_not_shrink(with_data: Run, there: Hosts) -> None:
    with_data.fine()
    with_data.site = site_of(there, with_data.site.folder, jumpbox=", disk_gb: 200")
    assert pending(with_data.plan()) == {JUMPBOX: "update"}
    with_data.fine()
    assert sizes(there) == [1, 200]
    assert pending(with_data.plan()) == {}
    with_data.site = site_of(there, with_data.site.folder, jumpbox=", disk_gb: 150, cpus: 4")
    with pytest.raises(Refused, match="a disk of 200 GiB cannot shrink to 150"):
        with_data.plan()
    assert sizes(there) == [1, 200]
    with with_data.someone_else("esx-01") as session:
        [(_, machine)] = session.objects("VirtualMachine", ("runtime.powerState",))
    assert machine["runtime.powerState"] == "poweredOn"


def test_of_an_image_with_one_disk_that_one_grows(run: Run, there: Hosts) -> None:
    run.fine()
    assert sizes(there) == [100]
    run.site = site_of(there, run.site.folder, jumpbox=", disk_gb: 200")
    run.fine()
    assert sizes(there) == [200]
    assert pending(run.plan()) == {}


@pytest.mark.parametrize("data_disk_gb", [None, 50])
def test_a_disk_that_somebody_attached_in_front_of_it_is_not_taken_for_that_of_the_state(
    run: Run, there: Hosts, data_disk_gb: int | None
) -> None:
    image(run.site.folder, data_disk_gb=data_disk_gb)
    run.fine()
    before = sizes(there)
    with run.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        ide = next(
            each for each in devices_of(session, machine) if type(each).__name__.endswith("IDEController")
        )
        session.task(machine, "ReconfigVM_Task", spec=one_more(9, controller=ide.key, unit=0))
    assert sizes(there) == sorted([*before, 9])
    assert pending(run.plan()) == {}
    run.site = site_of(there, run.site.folder, jumpbox=", disk_gb: 200")
    run.fine()
    assert sizes(there) == sorted([*before[:-1], 200, 9])


def test_where_the_data_disk_was_taken_away_the_one_in_its_place_is_not_taken_for_it(
    with_data: Run, there: Hosts
) -> None:
    with_data.fine()
    with with_data.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        gone = next(disk for disk in disks_of(session, machine) if disk.unitNumber == 1)
        change = new("VirtualDeviceConfigSpec", operation="remove", device=gone)
        session.task(machine, "ReconfigVM_Task", spec=new("VirtualMachineConfigSpec", deviceChange=[change]))
        session.task(
            machine, "ReconfigVM_Task", spec=one_more(9, controller=gone.controllerKey, unit=gone.unitNumber)
        )
    assert pending(with_data.plan()) == {JUMPBOX: "update"}
    ((_, error),) = with_data.apply().failed
    assert isinstance(error, Refused)
    assert "has not the disk with its state any more" in error.what
    assert gone.backing.uuid in error.why
    assert sizes(there) == [1, 9]


def test_a_disk_that_somebody_attached_besides_outlives_the_machine(with_data: Run, there: Hosts) -> None:
    with_data.fine()
    kept = attached(with_data, there)
    with_data.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["virtual_machines"] == {}
    assert kept.is_file()


def attached(run: Run, there: Hosts) -> Path:
    """Attaches a disk to the jumpbox whose file lies elsewhere; returns that."""
    with run.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        controller = disks_of(session, machine)[0].controllerKey
        theirs = one_more(9, controller=controller, unit=5, file="[datastore1] artefacts.vmdk")
        session.task(machine, "ReconfigVM_Task", spec=theirs)
    file = there.folder / "esx-01-datastore1/artefacts.vmdk"
    assert file.is_file()
    return file


def test_a_restored_jumpbox_with_disks_of_other_uuids_is_left_alone_until_they_are_noted_anew(
    with_data: Run, there: Hosts
) -> None:
    with_data.fine()
    with with_data.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        spec = with_data.extra_config({"paver.disks": "those of-before"})
        session.task(machine, "ReconfigVM_Task", spec=spec)
    ((_, error),) = with_data.apply("destroy", allow=("*",)).failed
    assert isinstance(error, Refused)
    assert "has none of the disks that it was deployed with" in error.what
    assert sizes(there) == [1, 100]
    with with_data.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        session.task(machine, "ReconfigVM_Task", spec=with_data.extra_config({"paver.disks": ""}))
    with_data.fine()
    assert pending(with_data.plan()) == {}
    with_data.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["virtual_machines"] == {}


def devices_of(session: Any, machine: Any) -> list[Any]:
    return list(session.value(machine, "config.hardware.device", fresh=True))


def disks_of(session: Any, machine: Any) -> list[Any]:
    return [device for device in devices_of(session, machine) if hasattr(device, "capacityInKB")]


def one_more(size_gb: int, *, controller: int, unit: int, file: str = "") -> Any:
    """Returns a specification that attaches one more disk."""
    backing = new(
        "VirtualDiskFlatVer2BackingInfo", fileName=file, diskMode="persistent", thinProvisioned=True
    )
    disk = new(
        "VirtualDisk",
        key=-1,
        controllerKey=controller,
        unitNumber=unit,
        capacityInKB=size_gb * 2**20,
        backing=backing,
    )
    change = new("VirtualDeviceConfigSpec", operation="add", fileOperation="create", device=disk)
    return new("VirtualMachineConfigSpec", deviceChange=[change])


def test_an_image_of_two_disks_with_files_is_refused_before_a_byte_is_sent(run: Run, there: Hosts) -> None:
    image(run.site.folder, data_disk_gb=50)
    made = run.site.folder / "jumpbox.ova"
    with Ova(made) as whole:
        text = whole.descriptor.text
    members = {member.name: made.read_bytes()[member.offset :][: member.size] for member in Ova(made).members}
    changed = text.replace('<Disk ovf:capacity="${', '<Disk ovf:fileRef="file1" ovf:capacity="${')
    made.write_bytes(mutate.archive(mutate.sealed({**members, "paver-jumpbox.ovf": changed.encode()})))
    ((_, error),) = run.apply().failed
    assert isinstance(error, BadInput)
    assert "does not have the disks of an appliance" in error.what
    assert not [call for call in there.trace("esx-01") if "ImportVApp" in call["method"]]


def test_an_image_with_shares_and_reservations_is_deployed_on_a_host_that_a_vcenter_manages(
    run: Run, there: Hosts
) -> None:
    made = run.site.folder / "jumpbox.ova"
    with Ova(made) as whole:
        text = whole.descriptor.text
    members = {member.name: made.read_bytes()[member.offset :][: member.size] for member in Ova(made).members}
    for kind in ("3", "4"):
        item = f"<rasd:ResourceType>{kind}</rasd:ResourceType>"
        assert item in text
        asked = "<rasd:Reservation>64</rasd:Reservation>{}<rasd:Weight>2000</rasd:Weight>"
        text = text.replace(item, asked.format(item))
    made.write_bytes(mutate.archive(mutate.sealed({**members, "paver-jumpbox.ovf": text.encode()})))
    there.ask("/manager", server="esx-01", manager="of-the-site", address="10.20.0.20")
    run.fine()
    assert vm(there)["power"] == "poweredOn"


def test_another_image_replaces_it_only_where_command_and_plan_name_it(run: Run) -> None:
    run.fine()
    image(run.site.folder, b"second")
    assert pending(run.plan()) == {JUMPBOX: "blocked"}
    assert pending(run.plan(allow=(JUMPBOX,))) == {JUMPBOX: "replace"}
    run.fine(allow=(JUMPBOX,))
    assert pending(run.plan()) == {}


def test_where_the_image_is_not_at_hand_the_jumpbox_says_which_it_was(run: Run) -> None:
    run.fine()
    (run.site.folder / "jumpbox.ova").unlink()
    assert pending(run.plan()) == {}


def test_without_image_and_jumpbox_the_plan_says_where_it_looked(run: Run) -> None:
    (run.site.folder / "jumpbox.ova").unlink()
    with pytest.raises(BadInput, match=r"the jumpbox's image jumpbox\.ova is not here"):
        run.plan()


def test_a_foreign_vm_of_that_name_blocks(run: Run, there: Hosts) -> None:
    run.fine()
    run.site = site_of(there, run.site.folder, name="south")
    assert pending(run.plan())[JUMPBOX] == "blocked"


def test_a_damaged_image_is_refused_before_a_byte_is_sent(run: Run, there: Hosts) -> None:
    made = run.site.folder / "jumpbox.ova"
    with Ova(made) as whole:
        disk = next(member for member in whole.members if member.name.endswith(".vmdk"))
    data = bytearray(made.read_bytes())
    data[disk.offset + disk.size - 1] ^= 0xFF
    made.write_bytes(data)
    ((_, error),) = run.apply().failed
    assert isinstance(error, BadInput)
    assert "is not what its manifest promises" in error.what
    assert there.inventory("esx-01")["virtual_machines"] == {}
    assert not [call for call in there.trace("esx-01") if "ImportVApp" in call["method"]]


def test_an_upload_that_is_cut_leaves_nothing_and_is_made_again(run: Run, there: Hosts) -> None:
    there.ask("/fault", server="esx-01", method="POST /nfc", times=1, cut_after_bytes=1000)
    assert run.apply().failed
    assert there.inventory("esx-01")["virtual_machines"] == {}
    run.fine()
    assert pending(run.plan()) == {}


def test_an_upload_is_given_up_as_soon_as_the_run_is_to_stop_and_is_made_again(
    run: Run, there: Hosts
) -> None:
    class Watched(list[Any]):
        """Wants to stop while the image is verified, just before it is sent."""

        def append(self, event: Any) -> None:
            super().append(event)
            if event.text == "verifying the image":
                run.stop.set()

    run.events = Watched()
    ((_, error),) = run.apply().failed
    assert isinstance(error, Interrupted)
    assert error.what == "stopped while uploading the image"
    assert there.inventory("esx-01")["virtual_machines"] == {}
    run.stop.clear()
    run.events = []
    run.fine()
    assert pending(run.plan()) == {}


def test_a_jumpbox_that_never_answers_is_told_and_taken_up_again(run: Run, there: Hosts) -> None:
    there.room.boots = False
    run.patience = 2
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert error.lines()[0] == "error: paver-jumpbox did not publish its host keys within 2 s"
    assert "never started" in error.why
    uploads = len([call for call in there.trace("esx-01") if call["method"] == "ImportVApp"])
    there.room.boots = True
    run.patience = 60
    with run.someone_else("esx-01") as session:
        session.task(session.one("VirtualMachine")[0], "PowerOffVM_Task")
    run.fine()
    assert len([call for call in there.trace("esx-01") if call["method"] == "ImportVApp"]) == uploads
    assert pending(run.plan()) == {}


def test_a_jumpbox_that_goes_off_while_it_boots_is_told_at_once_and_switched_on_again(
    run: Run, there: Hosts
) -> None:
    there.room.boots, there.room.falls = False, True
    ((_, error),) = run.apply().failed
    assert isinstance(error, PaverError)
    assert error.lines()[0] == "error: paver-jumpbox is poweredOff while it was to boot"
    assert "events of paver-jumpbox on esx-01" in error.do
    there.room.boots = True
    run.fine()
    assert len([call for call in there.trace("esx-01") if call["method"] == "ImportVApp"]) == 1
    assert pending(run.plan()) == {}


def test_a_datastore_without_room_is_refused_before_a_byte_is_sent(tmp_path: Path) -> None:
    image(tmp_path)
    with hosts(tmp_path, "esx-01", "esx-02", capacity=60_000) as small:
        failed = Run(site_of(small, tmp_path), small, tmp_path, in_jumpbox).apply().failed
        assert not [call for call in small.trace("esx-01") if call["method"] == "ImportVApp"]
    assert [type(error) for _, error in failed] == [Refused]
    assert "is too full for paver-jumpbox" in str(failed[0][1])


def test_room_for_the_swap_file_that_the_jumpbox_starts_with_is_looked_for_before_a_byte_is_sent(
    tmp_path: Path,
) -> None:
    image(tmp_path)
    # The site's jumpbox has 4 GiB of memory, and its image less than one MB.
    with hosts(tmp_path, "esx-01", "esx-02", capacity=2 * 10**9) as small:
        failed = Run(site_of(small, tmp_path), small, tmp_path, in_jumpbox).apply().failed
        assert not [call for call in small.trace("esx-01") if call["method"] == "ImportVApp"]
    assert [type(error) for _, error in failed] == [Refused]
    assert "is too full for paver-jumpbox" in str(failed[0][1])


def test_a_vm_that_was_placed_by_hand_is_adopted(run: Run, there: Hosts) -> None:
    run.fine()
    with run.someone_else("esx-01") as session:
        machine = session.one("VirtualMachine")[0]
        blank = [
            ("paver.mark", ""),
            ("paver.image", ""),
            ("paver.disks", ""),
            ("guestinfo.metadata", ""),
            ("guestinfo.userdata", ""),
        ]
        session.task(machine, "ReconfigVM_Task", spec=run.extra_config(dict(blank)))
    run.site = site_of(there, run.site.folder, jumpbox=", placed_by: hand")
    assert pending(run.plan()) == {JUMPBOX: "adopt"}
    run.fine()
    assert pending(run.plan()) == {}
    kept = attached(run, there)
    run.fine("destroy", allow=("*",))
    assert there.inventory("esx-01")["virtual_machines"] == {}
    assert kept.is_file()


def test_a_jumpbox_on_another_host_is_named_and_never_made_twice(run: Run, there: Hosts) -> None:
    run.fine()
    other = run.site.jumpbox.model_copy(update={"on": "esx-02"})
    run.site = dataclasses.replace(run.site, jumpbox=other)
    with pytest.raises(Refused, match="the jumpbox paver-jumpbox is on esx-01, not on esx-02"):
        run.plan()
    with pytest.raises(Refused, match="is on esx-01"):
        run.plan("destroy", allow=("*",))
    assert there.inventory("esx-02")["virtual_machines"] == {}
