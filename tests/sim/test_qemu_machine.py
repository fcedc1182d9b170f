"""A PC in software, really run: a boot sector speaks on its serial port; the end of whoever started it is its end."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.lab.qemu import acceleration, guestinfo, hardware, machine, monitor, plant, programs
from paver.lab.qemu.acceleration import Acceleration
from paver.lab.qemu.console import Hung
from paver.ovf import gpt
from paver.ovf.vmdk import write_vmdk
from tests.support import boots, tools
from tests.support.process import gone
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("qemu")

SOFTWARE = Acceleration("tcg", "")


def disk(folder: Path, sector: bytes = boots.SECTOR) -> Path:
    """A packed VMDK with a boot sector; the usual one speaks and then nothing more."""
    packed = folder / "disk.vmdk"
    with packed.open("wb") as into:
        write_vmdk(sector, into, capacity=2**20)
    return machine.overlay(packed, "vmdk", folder / "disk.qcow2")


def pc(folder: Path, sector: bytes = boots.SECTOR) -> hardware.Hardware:
    network = hardware.UserNetwork(port=0, cidr="10.20.0.0/24", address="10.20.0.10")
    return hardware.Hardware(
        disk=disk(folder, sector), network=network, mac="00:50:56:00:00:01", memory_mb=64, cpus=1
    )


def test_a_packed_disk_boots_and_its_console_is_read(tmp_path: Path) -> None:
    with machine.Machine(pc(tmp_path), SOFTWARE, tmp_path) as running:
        running.console.wait("no bootable world", 60, running.runs)
        pid = running.pid
    until(lambda: gone(pid), "QEMU is gone")


def test_a_machine_that_hangs_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    with machine.Machine(pc(tmp_path), SOFTWARE, tmp_path) as running:
        running.console.wait("no bootable world", 60, running.runs)
        with pytest.raises(Hung) as raised:
            running.console.wait("login:", 0.5, running.runs)
    assert "no bootable world" in raised.value.seen


def test_a_pc_is_measured_by_what_it_takes_and_not_waited_for_any_longer() -> None:
    took = acceleration.probe("tcg", 60)
    assert took is not None
    assert 0 < took < 60
    assert acceleration.probe("tcg", took / 20) is None


def test_a_machine_that_breaks_down_is_told_and_one_whose_power_is_cut_is_off(tmp_path: Path) -> None:
    with machine.Machine(pc(tmp_path), SOFTWARE, tmp_path) as running:
        running.console.wait("no bootable world", 60, running.runs)
        os.kill(running.pid, signal.SIGABRT)
        with pytest.raises(PaverError, match="QEMU ended") as raised:
            running.wait()
        assert raised.value.why == "by signal 6, Aborted"
    (tmp_path / "again").mkdir()
    with machine.Machine(pc(tmp_path / "again"), SOFTWARE, tmp_path / "again") as running:
        running.off()
        running.wait()
        assert not running.runs()


def test_a_machine_that_went_off_is_not_waited_for_at_its_serial_port(tmp_path: Path) -> None:
    values = guestinfo.Guestinfo({})
    with pytest.raises(PaverError, match="went off before"):
        values.serve(tmp_path / "guestinfo.sock", lambda: False)


def test_a_machine_does_not_outlive_whoever_started_it_and_was_killed(tmp_path: Path) -> None:
    disk(tmp_path)
    program = f"""
        import signal
        from pathlib import Path
        from paver.lab.qemu import hardware, machine
        from paver.lab.qemu.acceleration import Acceleration
        folder = Path({str(tmp_path)!r})
        network = hardware.UserNetwork(port=0, cidr="10.20.0.0/24", address="10.20.0.10")
        made = hardware.Hardware(disk=folder / "disk.qcow2", network=network, mac="00:50:56:00:00:01", memory_mb=64)
        running = machine.Machine(made, Acceleration("tcg", ""), folder)
        running.console.wait("no bootable world", 60, running.runs)
        print(running.pid, flush=True)
        signal.pause()
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    until(lambda: gone(pid), "QEMU is gone")


def asked(values: guestinfo.Guestinfo, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """What the stand-in for vmware-rpctool does with `command`, over a terminal instead of a serial port."""
    ours, theirs = pty.openpty()
    tool = folder / "vmware-rpctool"
    tool.write_text(guestinfo.RPCTOOL.replace("/dev/ttyS1", os.ttyname(theirs)))
    ended = threading.Event()

    def host() -> None:
        line = b""
        while not ended.is_set():
            if select.select([ours], [], [], 0.1)[0]:
                line += os.read(ours, 65536)
            if line.endswith(b"\n"):
                os.write(ours, values.reply(line.rstrip(b"\n")))
                line = b""

    serving = threading.Thread(target=host)
    serving.start()
    try:
        return subprocess.run(
            ["sh", str(tool), command], capture_output=True, text=True, check=False, timeout=30
        )
    finally:
        ended.set()
        serving.join()
        os.close(ours)
        os.close(theirs)


def test_the_stand_in_for_vmware_rpctool_gets_and_sets(tmp_path: Path) -> None:
    values = guestinfo.Guestinfo({"guestinfo.metadata": "e30="})
    got = asked(values, tmp_path, "info-get guestinfo.metadata")
    assert (got.returncode, got.stdout, got.stderr) == (0, "e30=\n", "")
    missing = asked(values, tmp_path, "info-get guestinfo.userdata")
    assert (missing.returncode, missing.stdout, missing.stderr.strip()) == (1, "", "No value found")
    assert asked(values, tmp_path, "info-set guestinfo.x a b").returncode == 0
    assert values.values["guestinfo.x"] == "a b"


def test_files_are_planted_on_a_disk_without_mounting_it(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(64 * 2**20)
    table = f"label: gpt\nstart=2048, type={gpt.ROOT}\n"
    sfdisk = str(tools.program("sfdisk", "fdisk"))
    subprocess.run([sfdisk, "-q", str(raw)], input=table.encode(), check=True)
    offset = plant.root_at(raw)
    assert offset == 2**20
    made = ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={offset}", str(raw), "60M"]
    subprocess.run(made, check=True)
    plant.plant(raw, {"/tool": "#!/bin/sh\n"})
    seen = ["/sbin/debugfs", "-R", "stat /tool", f"{raw}?offset={offset}"]
    assert "Mode:  0755" in subprocess.run(seen, capture_output=True, text=True, check=True).stdout


# mov dx, 0x3f8; mov al, '>'; out dx, al; again: xor ah, ah; int 0x16; out dx, al; jmp again: it says that it is there,
# then what the keyboard has.
ECHOES = bytes.fromhex("baf803b03eee30e4cd16eeebf9").ljust(510, b"\0") + b"\x55\xaa"


def test_what_is_typed_on_its_keyboard_arrives_and_its_screen_is_taken(tmp_path: Path) -> None:
    made = pc(tmp_path, ECHOES)
    with machine.Machine(made, SOFTWARE, tmp_path) as running:
        shown, said = tmp_path / "screen.png", ">"
        running.console.wait(said, 60, running.runs)
        # A keyboard holds 16 bytes that nobody has taken yet, and loses more; a key with shift takes 6 of them.
        for piece in ("Pa", "ver", "-1 ", '"~', '"'):
            said += piece
            running.screen.type(piece)
            running.console.wait(re.escape(said), 60, running.runs)
        # The firmware's own font is drawn a little otherwise: of one version's an F is read as a P.
        running.screen.wait(r"Booting .rom Hard Disk\.\.\.$", 60, running.runs)
        running.screen.picture(shown)
    assert shown.read_bytes().startswith(b"\x89PNG")


def test_a_disk_grows_under_a_running_machine_and_one_that_is_off(tmp_path: Path) -> None:
    more = machine.blank(2**30, tmp_path / "more.qcow2")
    made = dataclasses.replace(pc(tmp_path), disks=(more,))
    with machine.Machine(made, SOFTWARE, tmp_path) as running:
        running.console.wait("no bootable world", 60, running.runs)
        running.monitor.grow("disk1", 2**31)
        with pytest.raises(PaverError, match="QEMU refused block_resize"):
            running.monitor.grow("disk7", 2**31)
    assert size(more) == 2**31
    machine.grow(more, 2**31)
    machine.grow(more, 2**32)
    assert size(more) == 2**32
    with pytest.raises(PaverError, match=r"more\.qcow2 could not grow"):
        machine.grow(more, 2**30)


def size(image: Path) -> int:
    """What qemu-img says of how large a disk is."""
    argv = [programs.find(programs.IMG), "info", "--output", "json", str(image)]
    found: int = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["virtual-size"]
    return found


def test_a_monitor_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PaverError, match="monitor does not answer"):
        monitor.Monitor(tmp_path / "monitor.sock").type("x")
