"""A disk of artefacts: what is put on it is what is read back, and nothing else passes for it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import shutil
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from paver.errors import BadInput, PaverError
from paver.image import artefacts, iso9660, published
from paver.ovf import vmdk
from paver.signing import ssh

FILES = {
    "VMware-VCSA-all-8.0.3.iso": b"installer" * 40_000,
    "bucc_1.2+3.tar.gz": b"\x1f\x8b" + b"x" * 5000,
    "empty": b"",
}


def key() -> tuple[str, str]:
    secret = ed25519.Ed25519PrivateKey.generate()
    private = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    return private, ssh.public(private)


def quiet(_: int, __: int) -> None:
    """Nobody looks."""


def made(folder: Path, sign: str | None = None, files: dict[str, bytes] = FILES) -> Path:
    paths = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        paths.append(folder / name)
    artefacts.make(folder / "disk.vmdk", paths, quiet, sign=sign)
    return folder / "disk.vmdk"


def test_what_is_put_on_a_disk_is_read_back_with_who_signed(tmp_path: Path) -> None:
    private, public = key()
    disk = made(tmp_path, private)
    found = artefacts.check(disk, [public])
    assert {each.name: (each.size, each.sha256) for each in found.artefacts} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()
    }
    assert found.signer == ssh.fingerprint(public)
    with pytest.raises(ssh.SignatureError, match="may not sign"):
        artefacts.check(disk, [key()[1]])


@pytest.mark.parametrize(("out", "says"), [("absent/a.iso", "cannot be written"), ("folder", "is a folder")])
def test_where_a_disk_cannot_lie_is_told_before_anything_is_read(tmp_path: Path, out: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x").write_bytes(b"x" * 5000)
    told: list[int] = []
    with pytest.raises(BadInput, match=says) as caught:
        artefacts.make(tmp_path / out, [tmp_path / "x"], lambda done, _: told.append(done))
    assert caught.value.do
    assert told == []


@pytest.mark.parametrize(("breaks", "named"), [("source", "x"), ("target", "")])
def test_a_full_disk_and_a_broken_stick_are_each_named_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str, named: str
) -> None:
    source = tmp_path / "x"
    source.write_bytes(b"x" * 5000)

    class Broken(io.BytesIO):
        def fileno(self) -> int:
            return handle

        def read(self, _: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    def full(_: int, __: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with source.open("rb") as file:
        handle = file.fileno()
        if breaks == "source":
            monkeypatch.setattr(published, "opened", lambda _: Broken())
        with pytest.raises(OSError, match=r"Input|space") as caught:
            artefacts.make(tmp_path / "a.iso", [source], full)
    assert caught.value.filename == (named or str(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_disk_that_has_no_room_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"x" * 5000)
    told: list[int] = []
    usage = shutil.disk_usage(tmp_path)._replace(free=4000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PaverError, match=r"0\.0 GB are free at") as caught:
        artefacts.make(tmp_path / "a.iso", [tmp_path / "x"], lambda done, _: told.append(done))
    assert "--out" in caught.value.do
    assert told == []
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_disk_that_nobody_signed_is_refused_where_a_signature_is_asked_for(tmp_path: Path) -> None:
    disk = made(tmp_path)
    assert len(artefacts.check(disk).artefacts) == 3
    with pytest.raises(ssh.SignatureError, match="is not signed"):
        artefacts.check(disk, [key()[1]])


def test_the_device_that_a_disk_became_is_read_as_well(tmp_path: Path) -> None:
    disk = made(tmp_path)
    with disk.open("rb") as packed:
        vmdk.decode(packed, tmp_path / "device")
    assert artefacts.check(tmp_path / "device").artefacts == artefacts.check(disk).artefacts


def test_an_iso_holds_byte_for_byte_what_the_vmdk_unpacks_to_and_is_verified_as_it_is(tmp_path: Path) -> None:
    private, public = key()
    disk = made(tmp_path, private)
    with disk.open("rb") as packed:
        vmdk.decode(packed, tmp_path / "device")
    made_of = artefacts.make(tmp_path / "disk.ISO", [tmp_path / name for name in FILES], quiet, sign=private)
    iso = (tmp_path / "disk.ISO").read_bytes()
    assert len(iso) == made_of.size
    assert iso == (tmp_path / "device").read_bytes()[: len(iso)]
    assert artefacts.check(tmp_path / "disk.ISO", [public]) == made_of


def test_a_disk_never_takes_the_place_of_what_goes_on_it(tmp_path: Path) -> None:
    installer = tmp_path / "VMware-VCSA-all-8.0.3.iso"
    installer.write_bytes(b"installer")
    (tmp_path / "link.iso").symlink_to(installer)
    for out in (installer, tmp_path / "link.iso"):
        with pytest.raises(BadInput, match="would be replaced by it"):
            artefacts.make(out, [installer], quiet)
    assert installer.read_bytes() == b"installer"


def test_the_same_files_give_the_same_disk_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    private, _ = key()
    one = made(tmp_path / "a", private)
    other = made(tmp_path / "b", private, dict(reversed(FILES.items())))
    assert one.read_bytes() == other.read_bytes()


def test_a_byte_that_changed_on_the_disk_is_found(tmp_path: Path) -> None:
    disk = made(tmp_path)
    raw = tmp_path / "raw"
    with disk.open("rb") as packed:
        vmdk.decode(packed, raw)
    data = bytearray(raw.read_bytes())
    data[data.index(b"installer") + 7] ^= 1
    raw.write_bytes(data)
    with pytest.raises(BadInput, match=r"VMware-VCSA-all-8\.0\.3\.iso is not what the manifest says"):
        artefacts.check(raw)


def test_a_file_that_is_cut_while_it_is_read_leaves_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "cut.iso"
    (tmp_path / "out").mkdir()
    path.write_bytes(b"x" * 2_000_000)

    def cut(_: int, __: int) -> None:
        os.truncate(path, 1_100_000)

    with pytest.raises(BadInput, match=r"cut\.iso was changed while it was read"):
        artefacts.make(tmp_path / "out" / "disk.vmdk", [path], cut)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "-x", "ü", "x" * 121, "MANIFEST.json"])
def test_a_name_that_cannot_be_an_artefacts_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(BadInput):
        artefacts.make(tmp_path / "disk.vmdk", [path], quiet)
    assert not (tmp_path / "disk.vmdk").exists()


@pytest.mark.parametrize("what", ["folder", "absent", "none", "twice"])
def test_what_is_no_file_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "folder":
        path.mkdir()
    if what == "twice":
        path.write_bytes(b"x")
    with pytest.raises(BadInput):
        artefacts.make(tmp_path / "disk.vmdk", {"none": [], "twice": [path, path]}.get(what, [path]), quiet)


def test_a_file_of_more_than_four_gibibytes_has_several_extents_one_after_the_other() -> None:
    size = 2**32 * 2 + 5
    planned = iso9660.plan([("huge.iso", size), ("small", 1)])
    found = iso9660.planned(planned.head, "x")
    assert found == planned
    assert found.files[0].size == size
    assert found.files[1].at == found.files[0].at + -(-size // 2048)


def test_a_disk_that_claims_more_than_one_may_have_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="more than the 137438953472 of one disk"):
        iso9660.plan([("huge", 2**40)])
    disk = made(tmp_path)
    data = bytearray(disk.read_bytes())
    struct.pack_into("<Q", data, 12, 2**50 // 512)
    disk.write_bytes(data)
    with pytest.raises(BadInput, match="claims a capacity of"):
        artefacts.check(disk)


@pytest.mark.parametrize("data", [b"", b"KDMV", b"KDMV" + bytes(5000), bytes(99_999), os.urandom(70_000)])
def test_what_is_no_disk_of_artefacts_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "disk").write_bytes(data)
    with pytest.raises(BadInput):
        artefacts.check(tmp_path / "disk")


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (512, b"a boot sector"),
        (17 * 2048, b"\x02CD001\x01" + bytes(2041)),  # a supplementary descriptor, as Joliet has it
        (20 * 2048 + 2, (50).to_bytes(4, "little")),  # the folder's own record: where it lies
        (20 * 2048 + 166 + 1, b"\x01"),  # the first file's extended attributes: others skip as many blocks
        (-1, b"x"),
        (2**21, b"behind the last file"),
    ],
)
def test_what_others_would_read_and_no_digest_covers_is_refused_on_a_signed_disk(
    tmp_path: Path, at: int, new: bytes
) -> None:
    private, public = key()
    raw = tmp_path / "raw"
    with made(tmp_path, private).open("rb") as packed:
        vmdk.decode(packed, raw)
    data = bytearray(raw.read_bytes())
    # The first record of a file follows the two of the folder, each as long as it says.
    first = 20 * 2048 + data[20 * 2048]
    assert first + data[first] == 20 * 2048 + 166
    assert artefacts.check(raw, [public]).signer
    data[at : len(data) if at < 0 else at + len(new)] = new
    raw.write_bytes(data)
    with pytest.raises(BadInput):
        artefacts.check(raw, [public])
    with (tmp_path / "packed").open("wb") as into:
        vmdk.write_vmdk(bytes(data), into)
    with pytest.raises(BadInput):
        artefacts.check(tmp_path / "packed", [public])


def test_no_byte_of_a_signed_disk_can_be_changed(tmp_path: Path) -> None:
    private, public = key()
    raw = tmp_path / "raw"
    with made(tmp_path, private, {"a": b"a" * 3000, "b": b"b"}).open("rb") as packed:
        vmdk.decode(packed, raw)
    good = raw.read_bytes()
    random_ = random.Random(1)  # noqa: S311 - the same every time
    places = [random_.randrange(len(good)) for _ in range(100)] + [
        random_.randrange(32_768, 57_344) for _ in range(400)
    ]
    for at in places:
        raw.write_bytes(good[:at] + bytes([good[at] ^ random_.randrange(1, 256)]) + good[at + 1 :])
        with pytest.raises(PaverError):
            artefacts.check(raw, [public])


def test_a_damaged_disk_is_whole_or_refused(tmp_path: Path) -> None:
    disk = made(tmp_path, key()[0])
    raw = tmp_path / "raw"
    with disk.open("rb") as packed:
        vmdk.decode(packed, raw)
    # Header and first grain of the VMDK; descriptor, folder and first file of what is in it.
    for path, places in ((disk, (0, 65_536)), (raw, (32_768, 40_960, 43_008))):
        good, refused = path.read_bytes(), 0
        for seed in range(300):
            random_ = random.Random(seed)  # noqa: S311 - the same every time
            changed = bytearray(good)
            for _ in range(random_.randint(1, 4)):
                at = random_.choice(places) + random_.randrange(600)
                changed[at] = random_.randrange(256)
            path.write_bytes(changed)
            try:
                artefacts.check(path)
            except PaverError:
                refused += 1
        assert refused > 20
