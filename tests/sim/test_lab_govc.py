"""The whole way with a client that others wrote: govc deploys the jumpbox's OVA, powers it on, and ssh gets in."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from paver.lab.room import disk
from paver.ovf.write import make_ova
from tests.support.raised import Raised
from tests.support.waiting import until

pytestmark = pytest.mark.lab


class Govc:
    """govc on the first host, as root, with the host's own certificate as the only one trusted."""

    def __init__(self, lab: Raised) -> None:
        host = lab.lab.plan.hosts[0]
        self._lab = lab
        self._environment = {
            "GOVC_URL": host.address,
            "GOVC_USERNAME": "root",
            "GOVC_PASSWORD": host.password,
            "GOVC_TLS_CA_CERTS": str(lab.lab.folder / "certificates" / f"{host.name}.crt"),
            "GOVC_PERSIST_SESSION": "false",
        }

    def __call__(self, *words: str) -> str:
        return self._lab.run(["govc", *words], env=self._environment).stdout


def test_an_ova_becomes_a_machine_that_answers_as_long_as_its_cable_is_right(
    lab: Raised, tmp_path: Path
) -> None:
    govc = Govc(lab)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    ova = make_ova(
        tmp_path / "jumpbox.ova",
        name="jumpbox",
        disk=disk.first_line("jumpbox"),
        capacity=2**23,
        networks=("net",),
    )
    options = {
        "DiskProvisioning": "thin",
        "NetworkMapping": [{"Name": "net", "Network": "mgmt"}],
        "PowerOn": False,
    }
    (tmp_path / "options.json").write_text(json.dumps(options))
    govc("host.portgroup.add", "-vswitch", "vSwitch0", "-vlan", "20", "mgmt")
    govc(
        "import.ova",
        "-options",
        str(tmp_path / "options.json"),
        "-ds",
        "datastore1",
        "-name",
        "box",
        str(ova.path),
    )
    mac = json.loads(govc("device.info", "-json", "-vm", "box", "ethernet-0"))["devices"][0]["macAddress"]
    card = {"match": {"macaddress": mac}, "addresses": ["10.20.0.10/24"]}
    metadata = {
        "instance-id": "i",
        "local-hostname": "box",
        "network": {"version": 2, "ethernets": {"nic0": card}},
    }
    user = {"name": "paver", "ssh_authorized_keys": [key.with_suffix(".pub").read_text().strip()]}
    for name, text in (
        ("metadata", json.dumps(metadata)),
        ("userdata", f"#cloud-config\n{json.dumps({'users': [user]})}"),
    ):
        value = base64.b64encode(text.encode()).decode()
        govc(
            "vm.change",
            "-vm",
            "box",
            "-e",
            f"guestinfo.{name}={value}",
            "-e",
            f"guestinfo.{name}.encoding=base64",
        )
    govc("vm.power", "-on", "box")
    assert govc("vm.ip", "-wait", "20s", "box").strip() == "10.20.0.10"

    def published() -> str:
        (machine,) = json.loads(govc("vm.info", "-json", "-e", "box"))["virtualMachines"]
        found = {each["key"]: each["value"] for each in machine["config"]["extraConfig"]}
        return str(found.get("guestinfo.paver.host-keys", ""))

    known = base64.b64decode(until(published, "the host key is published")).decode()
    (tmp_path / "known_hosts").write_text(f"10.20.0.10 {known}")
    ssh = ["ssh", "-i", str(key), "-o", f'UserKnownHostsFile="{tmp_path}/known_hosts"', "-o", "BatchMode=yes"]
    ssh += ["-o", "ConnectTimeout=30", "paver@10.20.0.10", "hostname"]
    assert lab.run(ssh).stdout == "box\n"
    govc("host.portgroup.change", "-vlan-id", "21", "mgmt")
    until(lambda: lab.run(ssh, check=False).returncode == 255, "the wrong VLAN cuts it off")
    govc("host.portgroup.change", "-vlan-id", "20", "mgmt")
    until(lambda: lab.run(ssh, check=False).returncode == 0, "the right VLAN brings it back")
    govc("vm.destroy", "box")
    until(lambda: not list((lab.lab.folder / "machines").iterdir()), "nothing is left of it")
    govc("host.portgroup.remove", "mgmt")
