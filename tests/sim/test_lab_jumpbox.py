"""The lab's jumpbox: a real SSH server that knows nothing but its VM's guestinfo and its cables."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab_jumpbox import ADDRESS, Jumpbox, card
from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = pytest.mark.lab


def test_commands_sftp_and_forwarding_work(jumpbox: Jumpbox, tmp_path: Path) -> None:
    jumpbox.on()
    shown = jumpbox.ssh("whoami; hostname; cat /etc/paver/station; echo $HOME; cat /etc/resolv.conf").stdout
    assert shown.splitlines()[:4] == ["paver", "jumpbox", "jumpbox", "/home/paver"]
    assert f"nameserver {ADDRESS}" in shown
    sent = tmp_path / "sent"
    sent.write_text("by sftp\n")
    batch = tmp_path / "batch"
    batch.write_text(f'put "{sent}" here\n')
    jumpbox.raised.run(["sftp", "-q", "-b", str(batch), *jumpbox.options(), f"paver@{ADDRESS}"])
    assert jumpbox.ssh("cat here").stdout == "by sftp\n"
    banner = jumpbox.raised.run(
        [
            "sh",
            "-c",
            'ssh "$@" </dev/null | head -c 8',
            "sh",
            *jumpbox.options(),
            "-W",
            f"{ADDRESS}:22",
            f"paver@{ADDRESS}",
        ]
    )
    assert banner.stdout == "SSH-2.0-"


def test_the_same_paver_is_on_its_path(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    assert jumpbox.ssh("command -v paver sudo systemctl").stdout.split() == [
        f"/usr/local/bin/{name}" for name in ("paver", "sudo", "systemctl")
    ]
    assert jumpbox.ssh("paver --version").stdout.startswith("paver ")


def test_its_folders_are_its_own_and_survive_a_power_cycle(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    jumpbox.ssh("echo kept | sudo tee /etc/paver/kept /var/lib/paver/kept ~/kept >/dev/null")
    assert not Path("/etc/paver/kept").exists()
    before = jumpbox.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout
    jumpbox.off()
    assert jumpbox.ssh("true", check=False).returncode == 255
    jumpbox.on()
    assert jumpbox.ssh("cat /etc/paver/kept /var/lib/paver/kept ~/kept").stdout == "kept\n" * 3
    assert jumpbox.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout == before


def test_power_off_ends_all_that_ran_there(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    jumpbox.ssh("setsid -f sleep 12345 </dev/null >/dev/null 2>&1")
    assert jumpbox.raised.run(["pgrep", "-f", "sleep 12345"]).stdout
    jumpbox.off()
    until(
        lambda: jumpbox.raised.run(["pgrep", "-f", "sleep 12345"], check=False).returncode == 1,
        "sleep is gone",
    )
    assert ADDRESS not in jumpbox.raised.run(["ip", "-4", "addr"]).stdout


def test_a_destroyed_machine_leaves_nothing(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    jumpbox.off("destroyed")
    assert not (jumpbox.raised.lab.folder / "machines" / jumpbox.uuid).exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vlan": 30}, "network mgmt is VLAN 20, port group mgmt is 30"),
        ({"uplinks_up": 0}, "no live uplink"),
        ({"connected": False}, "not connected"),
        ({"mac": "00:50:56:99:99:99"}, "no card has the MAC address"),
    ],
)
def test_without_its_cable_it_has_no_address(jumpbox: Jumpbox, changes: dict[str, Any], words: str) -> None:
    jumpbox.on(wait=False, **changes)
    assert jumpbox.says(words)
    assert jumpbox.raised.machine(jumpbox.uuid)["addresses"] == []
    assert jumpbox.ssh("true", check=False).returncode == 255


def test_a_cable_that_is_mended_brings_it_up_and_one_that_is_cut_takes_it_down(jumpbox: Jumpbox) -> None:
    jumpbox.on(wait=False, vlan=30)
    jumpbox.wire()
    until(lambda: jumpbox.says("sshd listens"), "it listens")
    jumpbox.ssh("setsid -f sleep 12346 </dev/null >/dev/null 2>&1")
    jumpbox.wire(uplinks_up=0)
    until(lambda: not jumpbox.raised.machine(jumpbox.uuid)["addresses"], "its address is gone")
    assert jumpbox.ssh("true", check=False).returncode == 255
    jumpbox.wire()
    until(lambda: jumpbox.raised.machine(jumpbox.uuid)["addresses"], "its address is back")
    assert jumpbox.ssh("pgrep -f 'sleep 12346'").stdout


@pytest.mark.parametrize(
    "userdata", ["no cloud config", "#cloud-config\nusers: [", "#cloud-config\nusers: [{key: x}]"]
)
def test_bad_user_data_makes_no_user(jumpbox: Jumpbox, userdata: str) -> None:
    jumpbox.on(userdata=userdata)
    assert "Permission denied" in jumpbox.ssh("true", check=False).stderr


def test_a_user_without_sudo_is_refused_it(jumpbox: Jumpbox) -> None:
    public = jumpbox.key.with_suffix(".pub").read_text().strip()
    jumpbox.on(
        userdata="#cloud-config\n"
        + json.dumps({"users": [{"name": "paver", "ssh_authorized_keys": [public]}]})
    )
    assert "a password is required" in jumpbox.ssh("sudo -n true", check=False).stderr


def test_sshd_comes_back_when_it_is_killed(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    kill = ["pkill", "-KILL", "-f", "sshd.*listener"]
    # It calls itself so a little after it has begun to listen.
    until(lambda: jumpbox.raised.run(kill, check=False).returncode == 0, "sshd is killed")
    until(lambda: jumpbox.ssh("true", check=False).returncode == 0, "sshd is back")


CONFIGURE = """
printf 'no-resolv\nlocal=/north.example/\nhost-record=vcsa.north.example,10.20.0.20\n' >/etc/dnsmasq.d/paver.conf
printf 'local stratum 10\nallow 10.20.0.0/24\n' >/etc/chrony/chrony.conf
sudo systemctl enable --now dnsmasq chrony
"""
ASK = """
import json
from paver.lab.room import resolver
at = ("10.20.0.10",)
print(json.dumps([resolver.address("vcsa.north.example", at), resolver.name("10.20.0.20", at), resolver.tells_time(*at)]))
"""


def test_it_serves_dns_and_time_from_its_own_configuration_and_again_after_a_reboot(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    assert jumpbox.ssh("systemctl is-active dnsmasq chrony", check=False).stdout.split() == [
        "inactive",
        "inactive",
    ]
    assert jumpbox.raised.python(ASK) == [None, None, False]
    jumpbox.ssh(CONFIGURE)
    expected = ["10.20.0.20", "vcsa.north.example", True]
    until(lambda: jumpbox.raised.python(ASK) == expected, "it answers")
    assert jumpbox.ssh("systemctl is-active dnsmasq chrony").stdout.split() == ["active", "active"]
    jumpbox.off()
    jumpbox.on()
    until(lambda: jumpbox.raised.python(ASK) == expected, "it answers again")


def test_a_service_with_a_bad_configuration_fails_to_start(jumpbox: Jumpbox) -> None:
    jumpbox.on()
    shown = jumpbox.ssh("echo nonsense >/etc/dnsmasq.d/bad.conf; sudo systemctl restart dnsmasq", check=False)
    assert shown.returncode == 1
    assert "Job for dnsmasq.service failed" in shown.stderr
    assert jumpbox.ssh("systemctl is-active dnsmasq", check=False).stdout == "failed\n"


@pytest.mark.parametrize("content", [b"", b"GRUB" + bytes(600), b'{"paver-lab-boot": "windows"}\n'])
def test_a_disk_that_boots_nothing_says_so(empty_lab: Raised, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    name = str(uuid.uuid4())
    empty_lab.power("on", name, nics=[card()], disks=[{"file": str(tmp_path / "disk")}])
    until(lambda: "no bootable device" in empty_lab.console(name), "the console says so")
    empty_lab.power("destroyed", name)


def test_an_address_that_another_machine_has_stays_with_it(
    jumpbox: Jumpbox, empty_lab: Raised, request: pytest.FixtureRequest
) -> None:
    jumpbox.on()
    second = Jumpbox(empty_lab, jumpbox.key)
    request.addfinalizer(lambda: second.off("destroyed"))
    second.on(wait=False)
    assert second.says("another machine has it")
    second.off()
    assert jumpbox.ssh("hostname").stdout == "jumpbox\n"
