"""A PC in software: what it is made of, what runs it, what guestinfo answers, what its console is read for."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.errors import BadInput, PaverError
from paver.lab import cache, debian
from paver.lab.qemu import acceleration, guestinfo, hardware, monitor, plant, programs
from paver.lab.qemu.console import Console, Hung

SOFTWARE = acceleration.Acceleration("tcg", "")


def pc(**more: object) -> str:
    network = hardware.UserNetwork(port=2222, cidr="10.20.0.0/24", address="10.20.0.10")
    made = hardware.Hardware(disk=Path("d.qcow2"), network=network, mac="00:50:56:00:00:01", **more)  # type: ignore[arg-type]
    return " ".join(hardware.argv(made, SOFTWARE, Path("/folder")))


def test_by_bios_the_disk_hangs_on_the_controller_and_the_card_that_the_image_has_on_vsphere() -> None:
    made = pc()
    assert "pvscsi" in made
    assert "vmxnet3,netdev=net0,mac=00:50:56:00:00:01" in made
    assert "virtio-blk" not in made


def ovmf(root: Path) -> tuple[Path, Path]:
    """Puts firmware below `root`, as Debian's package has it."""
    files = tuple(root / "usr/share/OVMF" / f"OVMF_{part}_4M.fd" for part in ("CODE", "VARS"))
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.touch()
    return files[0], files[1]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that has no firmware for UEFI, and an empty cache."""
    monkeypatch.setattr(programs, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "system"


def test_firmware_for_uefi_is_the_systems_or_is_unpacked_into_the_cache_once_or_is_told_to_be_missing(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PaverError, match="OVMF is not there"):
        programs.firmware()
    package = debian.Package("ovmf", "2022.11", 4_000_000)
    unpacked = cache.root() / "debian" / "x"
    found: list[tuple[Path, Path]] = []

    def unpack(packages: object, wanted: object, folder: Path) -> Path:
        assert (packages, wanted, folder) == ((package,), [], cache.root())
        found.append(ovmf(unpacked / "root"))
        (unpacked / "bin").mkdir()
        return unpacked / "bin"

    monkeypatch.setattr(debian, "resolve", lambda names, _: (package,) if names == ["ovmf"] else ())
    monkeypatch.setattr(debian, "unpack", unpack)
    said: list[str] = []
    for _ in range(2):
        programs.provide_firmware(said.append)
    assert said == ["ovmf: unpacked into the lab's cache, nothing is installed (4.0 MB)"]
    assert [programs.firmware()] == found
    assert programs.firmware() != ovmf(system) == programs.firmware()


def test_by_uefi_the_disk_hangs_on_what_the_firmware_boots_from(system: Path) -> None:
    code, _ = ovmf(system)
    made = pc(firmware=hardware.UEFI)
    assert "virtio-blk-pci,drive=root" in made
    assert f"file={code}" in made
    assert "file=/folder/firmware.fd" in made
    assert "pvscsi" not in made


def test_nothing_gets_out_of_its_network_but_one_port_of_loopback_that_leads_to_its_ssh() -> None:
    made = pc()
    assert "user,id=net0,restrict=on,ipv6=off" in made
    assert made.count("hostfwd=") == 1
    assert "hostfwd=tcp:127.0.0.1:2222-10.20.0.10:22" in made


def test_only_a_machine_that_shall_have_guestinfo_says_that_vmware_made_it() -> None:
    assert "VMware" not in pc()
    made = pc(vmware=True)
    assert "manufacturer=VMware,, Inc." in made
    assert "max,-hypervisor" in made
    assert "path=/folder/guestinfo.sock" in made


@pytest.mark.parametrize(
    ("kvm", "name"), [(0.1, "kvm"), (None, "tcg")], ids=["faster than software", "not through in its time"]
)
def test_kvm_is_taken_only_where_a_pc_runs_with_it_no_slower_than_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kvm: float | None, name: str
) -> None:
    there = tmp_path / "kvm"
    there.touch()
    monkeypatch.setattr(acceleration, "KVM", there)
    tried = []

    def tries(wanted: str, seconds: float) -> float | None:
        tried.append((wanted, seconds))
        return 0.4 if wanted == "tcg" else kvm

    chosen = acceleration.choose(tries)
    assert chosen.name == name
    assert "0.4 s" in chosen.why
    assert tried == [("tcg", 20.0), ("kvm", 0.4)]


def test_kvm_is_not_taken_where_nothing_tells_how_fast_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "kvm"
    there.touch()
    monkeypatch.setattr(acceleration, "KVM", there)
    chosen = acceleration.choose(lambda *_: None)
    assert (chosen.name, chosen.why) == ("tcg", f"no PC ran in software, which {there} is measured by")


def test_a_missing_value_is_told_as_the_real_program_tells_it() -> None:
    values = guestinfo.Guestinfo({"guestinfo.metadata": "e30="})
    assert values.answer("info-get guestinfo.metadata") == (0, "e30=")
    assert values.answer("info-get guestinfo.userdata") == (1, "No value found")


def test_what_the_machine_sets_is_kept_and_told() -> None:
    told: list[dict[str, str]] = []
    values = guestinfo.Guestinfo({}, lambda now: told.append(dict(now)))
    assert values.answer("info-set guestinfo.paver.host-keys c3NoLWVkMjU1MTk=") == (0, "")
    assert values.answer("info-get guestinfo.paver.host-keys") == (0, "c3NoLWVkMjU1MTk=")
    assert told == [{"guestinfo.paver.host-keys": "c3NoLWVkMjU1MTk="}]


def test_what_is_no_guestinfo_is_not_set() -> None:
    values = guestinfo.Guestinfo({})
    assert values.answer("info-set answer 42")[0] == 1
    assert values.answer("log hello")[0] == 1
    assert values.values == {}


def test_a_console_shows_its_last_lines_without_what_is_meant_for_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"\x1b[2J\x1b[1;31mone\x1b[0m\r\n\r\n\x1b[32766;32766H\x1b[6ntwo\r\n\x07three")
    assert Console(log).last(2) == "two\n\N{REPLACEMENT CHARACTER}three"


def test_a_boot_that_hangs_is_told_with_the_last_lines_of_the_console(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("grub rescue> \nerror: no such device\n")
    with pytest.raises(Hung) as raised:
        Console(log).wait("login:", 0, lambda: True, what="its login prompt")
    assert "did not come to its login prompt" in raised.value.what
    assert "error: no such device" in raised.value.seen
    assert str(log) in raised.value.do


def test_a_machine_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Hung, match="ended before login:"):
        Console(tmp_path / "console.log").wait("login:", 3600, lambda: False)


def test_what_a_machine_said_before_it_ended_still_counts(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("jumpbox login: ")
    assert Console(log).wait("^(.*) login:", 0, lambda: False).group(1) == "jumpbox"


def test_a_disk_without_a_root_partition_gets_no_files(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(4096))
    with pytest.raises(BadInput, match="no root partition"):
        plant.root_at(disk)


def test_further_disks_hang_on_the_same_controller_as_the_first_behind_it(system: Path) -> None:
    ovmf(system)
    more = (Path("data.qcow2"), Path("artefacts.qcow2"))
    for firmware, device in ((hardware.BIOS, "scsi-hd,bus=scsi0.0"), (hardware.UEFI, "virtio-blk-pci")):
        made = pc(firmware=firmware, disks=more)
        places = [made.index(f"{device},drive={name}") for name in ("root", "disk1", "disk2")]
        assert places == sorted(places)
        assert made.count(device) == 3
        assert "file=data.qcow2" in made


@pytest.mark.parametrize(
    ("text", "pressed"),
    [
        ("a1", [["a"], ["1"]]),
        ("A!", [["shift", "a"], ["shift", "1"]]),
        ('-/"\n', [["minus"], ["slash"], ["shift", "apostrophe"], ["ret"]]),
        ("~_", [["shift", "grave_accent"], ["shift", "minus"]]),
    ],
)
def test_text_is_typed_with_the_keys_of_a_us_keyboard(text: str, pressed: list[list[str]]) -> None:
    assert list(monitor.keys(text)) == pressed


def test_every_printable_character_has_a_key_and_nothing_else_has() -> None:
    printable = "".join(map(chr, range(0x20, 0x7F)))
    assert len({tuple(together) for together in monitor.keys(printable)}) == len(printable)
    with pytest.raises(PaverError, match="no key for 'é'"):
        list(monitor.keys("é"))
