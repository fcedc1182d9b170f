"""Root file systems laid over another, and a provisioned machine sealed: as before its first boot, whenever it ran."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.image import layers, seal

EPOCH = 1_764_201_600
LATER = EPOCH + 90_000


@dataclasses.dataclass(frozen=True)
class Thing:
    """A member of a tar: a file with content, a folder where that is None, a link where it leads somewhere."""

    content: bytes | None = None
    mode: int = 0o644
    uid: int = 0
    leads: str = ""
    hard: bool = False
    date: int = EPOCH


def tar(file: Path, things: Mapping[str, Thing]) -> Path:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, thing in things.items():
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.mtime = thing.mode, thing.uid, thing.date
            if thing.leads:
                info.type, info.linkname = tarfile.LNKTYPE if thing.hard else tarfile.SYMTYPE, thing.leads
                archive.addfile(info)
            elif thing.content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(thing.content)
                archive.addfile(info, io.BytesIO(thing.content))
    return file


def taken(file: Path, there: Iterable[str], changed: Mapping[str, Thing]) -> Path:
    listed = b"".join(f"./{path}".encode() + b"\0" for path in there)
    return tar(file, {"paths": Thing(listed), **{f"./{path}": thing for path, thing in changed.items()}})


def held(file: Path) -> dict[str, tuple[bytes, int, float]]:
    with tarfile.open(file) as archive:
        return {
            entry.path: (
                entry.opened().read() if entry.info.isfile() else b"",
                entry.info.mode,
                entry.info.mtime,
            )
            for entry in layers.entries(archive)
        }


BASE = {
    "./": Thing(mode=0o755),
    "./etc": Thing(mode=0o755),
    "./etc/machine-id": Thing(b""),
    "./etc/motd": Thing(b"Debian\n"),
    "./etc/shadow": Thing(b"root:*:20000:0:99999:7:::\n", 0o640),
    "./usr": Thing(mode=0o755),
    "./usr/one": Thing(b"one"),
    "./usr/two": Thing(leads="./usr/one", hard=True),
}
PATHS = [name.removeprefix("./") for name in BASE]


def test_what_the_playbook_made_is_in_the_image_and_what_it_took_away_is_not(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    changed = {"etc": Thing(mode=0o755, date=LATER), "etc/paver": Thing(b"new", date=LATER)}
    out = taken(tmp_path / "changes.tar", [*(p for p in PATHS if p != "etc/motd"), "etc/paver"], changed)
    changes = seal.seal(base, out, EPOCH, tmp_path / "root.tar")
    assert changes.lines() == ["+ etc/paver", "- etc/motd"]
    sealed = held(tmp_path / "root.tar")
    assert sealed["etc/paver"] == (b"new", 0o644, EPOCH)
    assert "etc/motd" not in sealed


@pytest.mark.parametrize(
    "path",
    [
        "etc/machine-id",
        "etc/ssh/ssh_host_ed25519_key",
        "root/.ssh/authorized_keys",
        "var/lib/cloud/instance",
        "var/lib/systemd/random-seed",
        "var/log/journal/0/system.journal",
        "usr/lib/python3.13/email/__pycache__/message.cpython-313.pyc",
        "etc/systemd/network/10-cloud-init-ens4.network",
        "run/packer/key",
        "etc/passwd-",
    ],
)
def test_what_is_of_the_machine_stands_as_in_the_base(tmp_path: Path, path: str) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    out = taken(tmp_path / "changes.tar", {*PATHS, path}, {path: Thing(b"of this machine", date=LATER)})
    assert seal.seal(base, out, EPOCH, tmp_path / "root.tar").lines() == []
    assert held(tmp_path / "root.tar") == held(base)


def test_another_name_of_a_file_of_the_machine_is_a_file_of_the_image(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    changed = {
        "var/cache/x": Thing(b"both", mode=0o600, uid=7),
        "usr/z": Thing(leads="./var/cache/x", hard=True),
        "usr/y": Thing(leads="./var/cache/x", hard=True),
    }
    out = taken(tmp_path / "changes.tar", [*PATHS, *changed], changed)
    assert seal.seal(base, out, EPOCH, tmp_path / "root.tar").lines() == ["+ usr/y", "+ usr/z"]
    with tarfile.open(tmp_path / "root.tar") as archive:
        file, link = archive.getmember("./usr/y"), archive.getmember("./usr/z")
        assert (file.isreg(), file.mode, file.uid) == (True, 0o600, 7)
        assert archive.extractfile(file).read() == b"both"  # type: ignore[union-attr]
        assert (link.islnk(), link.linkname) == (True, "./usr/y")
        assert "./var/cache/x" not in archive.getnames()


def test_a_hard_link_to_what_was_not_taken_out_is_refused(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    changed = {"usr/y": Thing(leads="./usr/none", hard=True)}
    with pytest.raises(BadInput, match="usr/y is another name of usr/none, which is not there"):
        seal.seal(
            base, taken(tmp_path / "changes.tar", [*PATHS, *changed], changed), EPOCH, tmp_path / "root.tar"
        )
    assert not (tmp_path / "root.tar").exists()


def test_a_file_of_the_machine_that_the_machine_deleted_is_there_again(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    out = taken(tmp_path / "changes.tar", (path for path in PATHS if path != "etc/machine-id"), {})
    assert seal.seal(base, out, EPOCH, tmp_path / "root.tar").removed == ()
    assert "etc/machine-id" in held(tmp_path / "root.tar")


def test_what_was_written_again_with_the_same_content_is_no_change(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    out = taken(tmp_path / "changes.tar", PATHS, {"etc/motd": Thing(b"Debian\n", date=LATER)})
    assert seal.seal(base, out, EPOCH, tmp_path / "root.tar").lines() == []


@pytest.mark.parametrize(
    "now",
    [Thing(b"debian\n"), Thing(b"Debian\n", mode=0o600), Thing(b"Debian\n", uid=7), Thing(leads="issue")],
    ids=["content", "mode", "owner", "kind"],
)
def test_a_change_in_content_mode_owner_or_kind_is_kept(tmp_path: Path, now: Thing) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    out = taken(tmp_path / "changes.tar", PATHS, {"etc/motd": now})
    assert seal.seal(base, out, EPOCH, tmp_path / "root.tar").changed == ("etc/motd",)
    with tarfile.open(tmp_path / "root.tar") as archive:
        found = archive.getmember("./etc/motd")
    assert (found.mode, found.uid, found.linkname) == (now.mode, now.uid, now.leads)


def test_an_account_is_dated_like_everything_else_whenever_it_was_made(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    sealed = []
    for day in (20_454, 20_999):
        text = f"root:*:20000:0:99999:7:::\nnews:!:{day}::::::\n".encode()
        out = taken(tmp_path / "changes.tar", PATHS, {"etc/shadow": Thing(text, 0o640, date=day * 86400)})
        seal.seal(base, out, EPOCH, tmp_path / "root.tar")
        sealed.append((tmp_path / "root.tar").read_bytes())
    assert sealed[0] == sealed[1]
    content, mode, _ = held(tmp_path / "root.tar")["etc/shadow"]
    assert content == f"root:*:20000:0:99999:7:::\nnews:!:{EPOCH // 86400}::::::\n".encode()
    assert mode == 0o640


@given(
    st.permutations(["etc/a", "etc/b", "usr/three", "usr/zero"]),
    st.integers(EPOCH, EPOCH + 10**8),
    st.binary(max_size=20),
)
def test_two_machines_that_the_same_playbook_ran_in_give_the_same_tar(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], date: int, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("machines")
    base = tar(folder / "base.tar", BASE)
    made = {path: Thing(path.encode(), date=date) for path in order}
    first, *others = order
    linked = {**made, others[0]: Thing(leads=f"./{first}", hard=True, date=date)}
    noisy = {"var/log/syslog": Thing(noise, date=date), "etc/machine-id": Thing(noise, date=date)}
    usual = dict.fromkeys(sorted([first, others[0]]), made[first])
    sealed = []
    for number, changed in enumerate(({**noisy, **linked}, {**linked, **noisy})):
        out = taken(folder / f"{number}.tar", [*PATHS, *changed], changed)
        seal.seal(base, out, EPOCH, folder / f"root{number}.tar")
        sealed.append((folder / f"root{number}.tar").read_bytes())
    assert sealed[0] == sealed[1]
    with tarfile.open(folder / "root0.tar") as archive:
        members = {layers.name(member): member for member in archive}
        file, link = usual
        assert members[file].isreg()
        assert (members[link].islnk(), members[link].linkname) == (True, f"./{file}")
        assert archive.extractfile(members[file]).read() == first.encode()  # type: ignore[union-attr]


def test_what_is_not_whole_is_refused(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    out = tar(tmp_path / "changes.tar", {"./etc/motd": Thing(b"x")})
    with pytest.raises(BadInput):
        seal.seal(base, out, EPOCH, tmp_path / "root.tar")
    assert not (tmp_path / "root.tar").exists()


def test_a_folder_stands_before_what_is_in_it_and_names_are_ordered_by_their_bytes(tmp_path: Path) -> None:
    base = tar(tmp_path / "base.tar", BASE)
    with tarfile.open(
        tar(tmp_path / "more.tar", {path: Thing(b"") for path in ("etc.d", "etc/é", "etc/z", "etc-a")})
    ) as archive:
        upper = layers.linked(layers.entries(archive))
        layers.merge(base, upper, {"usr/two"}.__contains__, EPOCH, tmp_path / "root.tar")
    with tarfile.open(tmp_path / "root.tar") as archive:
        found = [layers.name(member) for member in archive]
    assert found == [
        *("", "etc", "etc/machine-id", "etc/motd", "etc/shadow", "etc/z", "etc/é"),
        *("etc-a", "etc.d", "usr", "usr/one"),
    ]
