"""An image on disk: verified whole, signed by whom it should be, compared with another one; stages made once."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from paver.errors import BadInput
from paver.image import base, bill, diff, stages, verify
from paver.image.build import NAMESPACE
from paver.image.lock import Lock
from paver.ovf import vmdk_layout
from paver.ovf.ova import Ova
from paver.ovf.write import make_ova
from paver.signing import ssh

GRAIN = vmdk_layout.GRAIN
LOCK = Lock(suite="trixie", content="0" * 64, epoch=1, debs=())


@dataclasses.dataclass(frozen=True)
class Image:
    """An OVA with what lies beside it, and the key that signed it."""

    ova: Path
    key: str


def image(folder: Path, disk: bytes, *, version: str = "1.0", programs: str = "1" * 64) -> Image:
    folder.mkdir()
    ova = folder / f"paver-jumpbox-{version}.ova"
    made = make_ova(ova, name="paver-jumpbox", disk=disk, capacity=64 * GRAIN)
    with Ova(ova) as opened:
        packed = {each.name: each.digests["sha256"] for each in opened.verify().files}
    listed = bill.of(version, LOCK, {}, {"bosh": ("7", programs)}, packed["paver-jumpbox-disk1.vmdk"])
    verify.bill_of(ova).write_bytes(bill.dumps(listed))
    line = f"{made.sha256}  {ova.name}\n"
    sums = ova.with_name(f"{ova.name}.sha256")
    sums.write_text(line)
    secret = ed25519.Ed25519PrivateKey.generate()
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    signature = ssh.sign(line.encode(), secret.private_bytes(*formats).decode(), namespace=NAMESPACE)
    sums.with_name(f"{sums.name}.sig").write_text(signature)
    public = secret.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return Image(ova, public.decode())


def test_a_whole_image_holds_in_every_part(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    found = {finding.what: finding.seen for finding in verify.verify(made.ova, [made.key])}
    assert list(found) == ["structure", "digests", "disk paver-jumpbox-disk1.vmdk", "signature", "bill"]
    assert "1 grains" in found["disk paver-jumpbox-disk1.vmdk"]
    assert "1 programs" in found["bill"]


def test_an_image_that_somebody_else_signed_or_nobody_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    with pytest.raises(ssh.SignatureError, match="may not sign"):
        list(verify.verify(made.ova, [other.key]))
    made.ova.with_name(f"{made.ova.name}.sha256.sig").unlink()
    with pytest.raises(ssh.SignatureError, match="is not signed"):
        list(verify.verify(made.ova, [made.key]))


def test_another_image_under_a_signed_name_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    other.ova.replace(made.ova)
    with pytest.raises(BadInput, match="is not the one of"):
        list(verify.verify(made.ova, [made.key]))


def test_a_signature_for_another_use_does_not_pass(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    signature = made.ova.with_name(f"{made.ova.name}.sha256.sig")
    line = made.ova.with_name(f"{made.ova.name}.sha256").read_bytes()
    with pytest.raises(ssh.SignatureError, match="another use"):
        ssh.verify(line, signature.read_text(), [made.key])


def test_a_bill_of_another_image_is_refused(tmp_path: Path) -> None:
    made, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x02" * GRAIN)
    verify.bill_of(other.ova).replace(verify.bill_of(made.ova))
    with pytest.raises(BadInput, match="the bill is of another image"):
        list(verify.verify(made.ova))


def test_a_byte_of_a_disk_that_changed_is_found(tmp_path: Path) -> None:
    made = image(tmp_path / "a", bytes(range(256)) * (GRAIN // 256))
    data = bytearray(made.ova.read_bytes())
    data[len(data) // 2] ^= 1
    made.ova.write_bytes(data)
    with pytest.raises(BadInput):
        list(verify.verify(made.ova))


def test_two_images_of_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    one, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN)
    assert hashlib.sha256(one.ova.read_bytes()).digest() == hashlib.sha256(other.ova.read_bytes()).digest()
    assert diff.diff(one.ova, other.ova).same


def test_where_two_disks_differ_is_told_also_where_one_holds_nothing(tmp_path: Path) -> None:
    old = b"\x01" * GRAIN + bytes(GRAIN) + b"\x03" * GRAIN + b"\x04" * GRAIN
    new = b"\x01" * GRAIN + b"\x02" * GRAIN + b"\x05" * GRAIN + b"\x04" * GRAIN
    one, other = image(tmp_path / "a", old), image(tmp_path / "b", new, programs="2" * 64)
    found = diff.diff(one.ova, other.ova)
    assert found.regions == ((GRAIN, 2 * GRAIN),)
    assert found.packages == ("~ program bosh: the same version, other bytes",)
    assert diff.diff(other.ova, one.ova).regions == found.regions


def test_without_bills_the_disks_are_compared_alone(tmp_path: Path) -> None:
    one, other = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN)
    verify.bill_of(one.ova).unlink()
    found = diff.diff(one.ova, other.ova)
    assert found.same
    assert not found.bills


def test_a_stage_is_run_once_for_the_same_inputs_and_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    ran: list[str] = []

    def work(into: Path) -> None:
        ran.append("work")
        (into / "product").write_text("made")

    def broken(into: Path) -> None:
        (into / "half").write_text("made")
        raise BadInput("broken")

    first = stages.run(tmp_path, "base", stages.key("a"), work, ran.append)
    again = stages.run(tmp_path, "base", stages.key("a"), work, ran.append)
    assert first == again
    assert ran.count("work") == 1
    with pytest.raises(BadInput):
        stages.run(tmp_path, "base", stages.key("b"), broken, ran.append)
    assert [path.name for path in (tmp_path / "base").iterdir()] == [first.name]


def test_a_stages_key_tells_its_inputs_apart_and_keeps_the_newest_products(tmp_path: Path) -> None:
    assert stages.key("ab", "c") != stages.key("a", "bc")
    for number in range(stages.KEPT + 3):
        last = stages.run(tmp_path, "disk", stages.key(str(number)), lambda _: None, lambda _: None)
    assert len(list((tmp_path / "disk").iterdir())) == stages.KEPT
    assert last.is_dir()


def test_an_images_file_systems_have_the_same_names_in_every_build_and_other_ones_for_another_lock() -> None:
    names = base.identity(LOCK)
    assert names == base.identity(LOCK)
    assert names.root != base.identity(dataclasses.replace(LOCK, epoch=2)).root
    assert f"UUID={names.root} / ext4" in base.fstab(names)
    assert f"root=UUID={names.root}" in base.grub_menu(names)
