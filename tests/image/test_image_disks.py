"""The probes of further disks: what the shell makes of a disk that is as packed, and of one that is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from paver.errors import BadInput
from paver.image import artefacts
from paver.image.prove import checks, disks
from paver.ovf import vmdk
from paver.trust import ssh_keys

GIB = 2**30


def probe(what: str) -> checks.Probe:
    found = (
        *disks.placed(100 * GIB),
        *disks.placed(None),
        *disks.probes("ssh-ed25519 AAAA"),
        *disks.again(120 * GIB),
    )
    return next(each for each in found if each.what == what)


def test_the_byte_that_the_proof_changes_lies_in_the_file_and_is_refused(tmp_path: Path) -> None:
    pair = ssh_keys.new_key_pair()
    file, packed, raw = tmp_path / disks.FILE, tmp_path / "disk.vmdk", tmp_path / "disk.raw"
    file.write_bytes(disks.CONTENT)
    artefacts.make(packed, [file], lambda *_: None, sign=pair.private_key.reveal())
    with packed.open("rb") as source, raw.open("wb") as into:
        reader = vmdk.Reader(source, name="disk", max_capacity=2**30)
        for offset, grain in reader.grains():
            into.seek(offset)
            into.write(grain)
    assert artefacts.check(raw, [pair.public_key]).artefacts[0].name == disks.FILE
    # The proof's own commands, but for the program, which reads the copy afterwards.
    command = probe("a disk with one byte changed is refused").command
    changed = tmp_path / "changed"
    spelled = command.replace("/dev/disk/by-label/PAVER_ARTEFACTS", str(raw)).replace(
        "/run/paver-proof.disk", str(changed)
    )
    before, _, _ = spelled.partition("paver image")
    subprocess.run(["sh", "-c", before], check=True)
    assert changed.stat().st_size == raw.stat().st_size
    with pytest.raises(BadInput, match=f"{disks.FILE} is not what the manifest says"):
        artefacts.check(changed, [pair.public_key])


@pytest.mark.parametrize(
    ("what", "well", "broken"),
    [
        (
            "a blank disk became the data disk",
            "ext4 paver-data rw,nosuid,nodev,noatime\n97 GiB",
            "ext4 paver-root rw,relatime\n15 GiB",
        ),
        ("without a data disk the state is on the first one", "/", "/var/lib/paver\n/etc/paver/data-disk"),
        (
            "the data disk is mounted again, its file system as large as the disk is now",
            "ext4 paver-data\n117 GiB",
            "ext4 paver-data\n97 GiB",
        ),
        ("artefacts are not mounted before somebody looks", "active\ninactive", "active\nactive"),
        (
            "nothing of it can be changed or run",
            "iso9660 ro,nosuid,nodev,noexec,relatime",
            "iso9660 ro,nosuid,nodev,relatime",
        ),
        (
            "a disk with one byte changed is refused",
            f"error: x: {disks.FILE} is not what the manifest says\nended with 3",
            f"{disks.FILE} holds\nended with 0",
        ),
        ("what was written there is there", "37", "of this boot"),
        ("artefacts are found again", f"MANIFEST.json\nMANIFEST.json.sig\n{disks.FILE}", ""),
    ],
)
def test_what_a_disk_came_to_is_judged(what: str, well: str, broken: str) -> None:
    assert checks.judge(probe(what), well).holds
    assert not checks.judge(probe(what), broken).holds
