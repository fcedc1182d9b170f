"""A user's own site, rehearsed by the command; then the verbs that look, inside of the lab that it left up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import documents

pytestmark = pytest.mark.lab

SITE = """\
paver: 1
name: south
iaas:
  driver: vsphere
  hosts:
    rack-a:
      address: 192.168.50.11
      fingerprint: "sha256:{pin}"
      login: secret:rack-a
      switches: {{vSwitch0: {{uplinks: [vmnic0]}}, vSwitch1: {{uplinks: [vmnic2, vmnic3], mtu: 9000}}}}
      port_groups: {{lan: {{switch: vSwitch0, vlan: 5}}, platform: {{switch: vSwitch1, vlan: 6}}}}
    rack-b: {{like: rack-a, address: 192.168.50.12, login: secret:rack-b}}
  vcenter:
    {{fqdn: vc.south.example, address: 192.168.50.20, on: rack-b, installer: {{iso: "[datastore1] iso/x.iso"}}}}
  inventory: {{datacenter: south, clusters: {{main: {{hosts: [rack-a, rack-b]}}}}}}
networks:
  lan: {{cidr: 192.168.50.0/24, gateway: 192.168.50.1, port_group: lan}}
  platform: {{cidr: 192.168.60.0/24, gateway: 192.168.60.1, port_group: platform, az: a,
    reserved: [192.168.60.1-192.168.60.9], static: [192.168.60.10-192.168.60.30]}}
site_services: {{zone: south.example}}
jumpbox: {{image: j.ova, on: rack-a, network: lan, address: 192.168.50.10, ssh_keys: [{key}]}}
bucc: {{artefact: b.tar, address: 192.168.60.10, az: a}}
services:
  object_store: {{address: 192.168.60.11, buckets: {{things: {{}}}}}}
  registry: {{address: 192.168.60.12}}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgkWPh1kDx8dK2zBuwvWXT4LXDZV4NS8wZdTf6yYFXg user"
PHASES = ("--phase", "trust", "--phase", "hosts", "--phase", "jumpbox")


def paver(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paver", *argv],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("PAVER_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def rehearsed(tmp_path: Path) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    (tmp_path / "site.yml").write_text(SITE.format(pin=":".join(["00"] * 32), key=KEY))
    folder = tmp_path / "rehearsal"
    ran = paver("lab", "rehearse", "--dir", str(folder), "--keep", *PHASES, cwd=tmp_path)
    try:
        yield folder, ran
    finally:
        down = paver("lab", "down", "--dir", str(folder / "lab"), cwd=tmp_path)
        assert down.returncode == 0, down.stderr


def interrupted(lab: Path, cwd: Path) -> tuple[str, int]:
    """Stops a command inside of the lab as Ctrl-C does, by a signal to the whole foreground; tells its last word."""
    script = "trap 'sleep 1; echo ended what it began; exit 7' INT; echo begun; while :; do sleep 0.1; done"
    argv = [sys.executable, "-m", "paver", "lab", "shell", "--dir", str(lab), "--", "bash", "-c", script]
    with subprocess.Popen(
        argv, cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        os.killpg(running.pid, signal.SIGINT)
        told = running.stdout.read()
    return told.strip(), running.returncode


def test_a_site_of_ones_own_is_rehearsed_and_can_be_looked_at(
    rehearsed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, ran = rehearsed
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "rehearsed: nothing is left to do" in ran.stdout
    site = folder / "site"

    def inside(*argv: str) -> subprocess.CompletedProcess[str]:
        command = ["lab", "shell", "--dir", str(folder / "lab"), "--", sys.executable, "-m", "paver"]
        return paver(*command, *argv, cwd=site)

    stands = paver("lab", "status", "--json", "--dir", str(folder / "lab"), cwd=site).stdout
    lab = documents.held(json.loads(stands))
    assert [host["name"] for host in lab["hosts"]] == ["rack-a", "rack-b"]
    assert {machine["kind"] for machine in lab["machines"]} == {"jumpbox"}
    verified = inside("verify", *PHASES)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    looked = inside("preflight")
    assert looked.returncode == 0, looked.stdout
    # The jumpbox is reached by SSH, with the host key that its host vouches for; no job runs there.
    followed = inside("follow")
    assert followed.returncode == 0, followed.stderr
    assert "nothing is under way" in followed.stdout
    assert interrupted(folder / "lab", cwd=site) == ("ended what it began", 7)
    contract = inside("contract")
    assert contract.returncode == 1
    assert "has no contract yet" in contract.stderr
    status = json.loads(inside("status", "--json").stdout)
    assert status["phases"]["hosts"].keys() == {"keep"}
    assert "BOSH_CLIENT_SECRET=" in inside("env", "bosh").stdout
    assert inside("logs", "--out", "case.tgz").returncode == 0
    sealed = inside("secrets", "show", "rack-a", "--force").stdout
    with tarfile.open(site / "case.tgz") as archive:
        for member in archive.getmembers():
            handle = archive.extractfile(member)
            assert handle is not None
            assert sealed.encode() not in handle.read(), member.name
    again = paver("lab", "rehearse", "--dir", str(folder), "--phase", "hots", cwd=folder.parent)
    assert again.returncode == 3
    assert "there is no phase hots" in again.stderr
    assert inside("verify", *PHASES).returncode == 0, "the lab that was kept is gone"
