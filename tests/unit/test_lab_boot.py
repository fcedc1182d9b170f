"""What a disk boots, what an appliance is told, and what the lab's certificates are for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from paver.lab import pki
from paver.lab.room import disk, vcsa
from paver.ovf.vmdk import write_vmdk

OVF_ENVIRONMENT = """<?xml version="1.0"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1">
 <PropertySection>
  <Property oe:key="guestinfo.cis.appliance.net.pnid" oe:value="vcsa.north.example"/>
  <Property oe:key="guestinfo.cis.vmdir.password" oe:value="a&lt;b"/>
  <Property oe:key="other" oe:value="x"/>
 </PropertySection>
</Environment>"""


def test_raw_and_stream_optimized_disks_say_what_they_boot(tmp_path: Path) -> None:
    content = disk.first_line("jumpbox", version="1") + bytes(1000)
    raw, sparse = tmp_path / "raw", tmp_path / "sparse"
    raw.write_bytes(content)
    with sparse.open("wb") as target:
        write_vmdk(content, target, capacity=2**21)
    assert disk.kind(raw) == disk.kind(sparse) == "jumpbox"


def test_a_disk_with_a_boot_sector_boots_as_a_pc(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(510) + b"\x55\xaa" + bytes(512))
    assert disk.kind(raw) == disk.PC


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b'{"paver-lab-boot": 1}\n', b"KDMV\n", b"[1]\n", bytes(9000)]
)
def test_any_other_disk_boots_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    assert disk.kind(tmp_path / "disk") is None


def test_a_disk_that_is_not_there_boots_nothing(tmp_path: Path) -> None:
    assert disk.kind(tmp_path / "disk") is None


def test_an_appliance_takes_its_properties_from_either_place() -> None:
    found = vcsa.settings(
        {"guestinfo.ovfEnv": OVF_ENVIRONMENT, "guestinfo.cis.appliance.net.addr": "10.20.0.20"}
    )
    assert found == {
        "appliance.net.pnid": "vcsa.north.example",
        "vmdir.password": "a<b",
        "appliance.net.addr": "10.20.0.20",
    }
    assert vcsa.settings({"guestinfo.ovfEnv": "<broken"}) == {}


def test_vcenters_certificate_is_for_its_name_alone_and_issued_by_its_own_ca() -> None:
    root = pki.vmca("vsphere.local", "vcsa.north.example")
    machine = pki.machine("vcsa.north.example", root)
    names = machine.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("vcsa.north.example")]
    verifier = (
        PolicyBuilder()
        .store(Store([root.certificate]))
        .build_server_verifier(x509.DNSName("vcsa.north.example"))
    )
    assert verifier.verify(machine.certificate, [])


def test_a_fingerprint_is_written_as_in_a_site_file(tmp_path: Path) -> None:
    pair = pki.host("esx-01.north.example", "10.20.0.11")
    assert len(pair.fingerprint) == len("sha256:") + 32 * 3 - 1
    _, key = pair.write(tmp_path, "esx-01")
    assert key.stat().st_mode & 0o077 == 0
