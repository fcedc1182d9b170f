"""What is published with an image, judged by programs that others wrote."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.image import artefacts, published
from paver.lab import build
from paver.ovf import vmdk
from paver.ovf.ova import Ova
from tests.bench.ova import govc_environment
from tests.support import tools, vsphere_lab
from tests.support.small_image import GRAIN, image, publisher

DISK = b"boots" * 30_000


def ran(*argv: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        list(map(str, argv)), input=stdin, cwd=cwd, check=False, capture_output=True, timeout=60
    )


def test_sha256sum_and_ssh_keygen_agree_with_the_sums_and_their_signature(tmp_path: Path) -> None:
    made = image(tmp_path / "a", DISK)
    sums = published.sums_of(made.ova)
    assert ran("sha256sum", "--check", "--strict", sums.name, cwd=made.ova.parent).returncode == 0
    allowed = tmp_path / "allowed"
    allowed.write_text(f"publisher {made.key}\n")
    argv: list[str | Path] = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        allowed,
        "-I",
        "publisher",
        "-n",
        published.NAMESPACE,
    ]
    argv += ["-s", published.signature_of(sums)]
    assert b"Good" in ran(*argv, stdin=sums.read_bytes()).stdout
    assert ran(*argv, stdin=sums.read_bytes() + b"\n").returncode != 0


def test_openssl_agrees_with_the_certificate_over_the_manifest(tmp_path: Path) -> None:
    both, alone = publisher(tmp_path, "North")
    made = image(tmp_path / "a", DISK, certify=both)
    folder = made.ova.with_suffix("")
    data = (folder / "paver-jumpbox.cert").read_bytes()
    line, _, pem = data.partition(b"\n")
    assert ran("openssl", "x509", "-noout", "-subject", stdin=pem).stdout.strip() == b"subject=CN = North"
    match = re.fullmatch(rb"SHA256\(paver-jumpbox\.mf\)= ([0-9a-f]+)", line)
    assert match is not None
    (tmp_path / "signature").write_bytes(bytes.fromhex(match[1].decode()))
    key = tmp_path / "public.pem"
    key.write_bytes(ran("openssl", "x509", "-pubkey", "-noout", "-in", alone).stdout)
    argv: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        key,
        "-signature",
        tmp_path / "signature",
    ]
    manifest = folder / "paver-jumpbox.mf"
    assert ran(*argv, manifest).stdout == b"Verified OK\n"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    assert ran(*argv, manifest).returncode != 0


def test_an_ova_lists_descriptor_manifest_certificate_and_disk_in_the_order_that_the_standard_wants(
    tmp_path: Path,
) -> None:
    made = image(tmp_path / "a", DISK, certify=publisher(tmp_path)[0])
    # DSP0243, section "Distribution as a single file".
    expected = [f"paver-jumpbox{end}" for end in (".ovf", ".mf", ".cert", "-disk1.vmdk")]
    assert ran("tar", "-tf", made.ova).stdout.decode().split() == expected
    with Ova(made.ova) as ova:
        assert [member.name for member in ova.members] == expected


def test_qemu_img_reads_back_the_very_disk(tmp_path: Path) -> None:
    disk = bytes(range(256)) * (GRAIN // 256) + bytes(3 * GRAIN) + b"end" * 9000
    made = image(tmp_path / "a", disk)
    vmdk = made.ova.with_suffix("") / "paver-jumpbox-disk1.vmdk"
    qemu_img = tools.program("qemu-img", "qemu-utils")
    assert ran(qemu_img, "check", "-f", "vmdk", vmdk).returncode == 0
    raw = tmp_path / "a" / "parts" / "disk.raw"
    compared = ran(qemu_img, "compare", "-f", "raw", "-F", "vmdk", raw, vmdk)
    assert compared.stdout.rstrip().endswith(b"Images are identical."), compared


@pytest.fixture
def holes(tmp_path: Path) -> Iterator[Path]:
    """A folder in which to read four gibibytes of nothing costs nothing: a disk's file system makes pages of it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="paver-holes-") as folder:
        yield Path(folder)


def test_xorriso_reads_every_artefact_by_its_name_also_one_of_several_extents(
    tmp_path: Path, holes: Path
) -> None:
    xorriso = tools.program("xorriso", "xorriso")
    small, huge = tmp_path / "bucc_1.2+3.tar.gz", holes / "VMware-VCSA-all-8.0.3-24322831.iso"
    small.write_bytes(b"artefact" * 5000)
    size = 2**32 + 70_000
    with huge.open("wb") as file:
        file.truncate(size)
        for at in (0, 2**32 - 2048, 2**32 - 5, size - 3):
            file.seek(at)
            file.write(b"%d" % (at % 9))
    disk, raw, out = tmp_path / "disk.vmdk", tmp_path / "disk.raw", tmp_path / "out"
    made = artefacts.make(disk, [huge, small], lambda _, __: None)
    with disk.open("rb") as packed:
        vmdk.decode(packed, raw)
    ended = ran(
        xorriso, "-osirrox", "on", "-indev", f"stdio:{raw}", "-find", "/", "-exec", "report_lba", "--"
    )
    assert b"SORRY" not in ended.stderr, ended.stderr
    assert huge.name.encode() in ended.stdout
    argv: list[str | Path] = [
        "-osirrox",
        "on",
        "-indev",
        f"stdio:{raw}",
        "-extract",
        f"/{small.name}",
        out / small.name,
    ]
    assert ran(xorriso, *argv, "-extract", "/MANIFEST.json", out / "MANIFEST.json").returncode == 0
    assert (out / small.name).read_bytes() == small.read_bytes()
    # Where it is and how large, as another's reader tells: to extract four gibibytes would take long.
    rows = re.findall(
        rf"^File data lba: +([0-9]+) , +([0-9]+) , +([0-9]+) , +([0-9]+) , '/{re.escape(huge.name)}'$",
        ended.stdout.decode(),
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["0", "1"]
    assert {row[3] for row in rows} == {str(size)}
    assert sum(int(row[2]) for row in rows) == -(-size // 2048)
    start = int(rows[0][1])
    with raw.open("rb") as file:
        file.seek(start * 2048 + 2**32 - 5)
        assert file.read(1) == b"%d" % ((2**32 - 5) % 9)
    assert {each.name for each in made.artefacts} == {small.name, huge.name}


def test_a_cd_rom_of_artefacts_has_for_udev_the_label_and_kind_that_the_image_mounts(tmp_path: Path) -> None:
    units = Path(__file__).parents[2] / "ova/base/etc/systemd/system"
    wanted = dict(
        re.findall(r"^(What|Type)=(.+)$", (units / "srv-artefacts.mount").read_text(), re.MULTILINE)
    )
    file, disk = tmp_path / "bucc.tar", tmp_path / "artefacts.iso"
    file.write_bytes(b"artefact" * 5000)
    artefacts.make(disk, [file], lambda _, __: None)
    # udev names what is in a drive by what blkid finds on it.
    found = ran(tools.program("blkid", "util-linux"), "--probe", "--output", "export", disk)
    told = dict(line.split("=", 1) for line in found.stdout.decode().splitlines() if "=" in line)
    assert wanted == {"What": f"/dev/disk/by-label/{told['LABEL']}", "Type": told["TYPE"]}


@pytest.mark.lab
def test_govc_reads_the_image_and_imports_it_into_a_host(tmp_path: Path) -> None:
    govc = build.build(["govc"])["govc"]
    made = image(tmp_path / "a", DISK, certify=publisher(tmp_path)[0])
    options: dict[str, Any] = {
        "DiskProvisioning": "thin",
        "NetworkMapping": [{"Name": "VM Network", "Network": "VM Network"}],
        "PowerOn": False,
    }
    (tmp_path / "options.json").write_text(json.dumps(options))
    (tmp_path / "hosts").mkdir()
    with vsphere_lab.hosts(tmp_path / "hosts", "esx-01") as there:
        environment = govc_environment(tmp_path / "hosts", there.ports["esx-01"])

        def asked(*words: str | Path) -> bytes:
            argv = [str(govc), *map(str, words)]
            ended = subprocess.run(argv, env=environment, check=False, capture_output=True, timeout=120)
            assert ended.returncode == 0, ended.stderr
            return ended.stdout

        def sizes(name: str) -> list[int]:
            found = json.loads(asked("device.info", "-json", "-vm", name, "disk-*"))["devices"]
            return [disk["capacityInBytes"] for disk in found]

        spec = json.loads(asked("import.spec", made.ova))
        assert [each["Name"] for each in spec["NetworkMapping"]] == ["VM Network"]
        assert spec["PropertyMapping"] == [{"Key": "data_disk_gb", "Value": "100"}]
        asked("import.ova", "-options", tmp_path / "options.json", "-name", "box", made.ova)
        [machine] = json.loads(asked("vm.info", "-json", "box"))["virtualMachines"]
        assert machine["config"]["hardware"]["memoryMB"] == 512
        assert machine["config"]["hardware"]["numCPU"] == 1
        assert sizes("box") == [64 * GRAIN, 100 * 2**30]
        options["PropertyMapping"] = [{"Key": "data_disk_gb", "Value": "250"}]
        (tmp_path / "options.json").write_text(json.dumps(options))
        asked("import.ova", "-options", tmp_path / "options.json", "-name", "large", made.ova)
        assert sizes("large") == [64 * GRAIN, 250 * 2**30]
        devices = asked("device.ls", "-vm", "box").decode()
        assert "ParaVirtualSCSIController" in devices
        assert "VirtualVmxnet3" in devices
