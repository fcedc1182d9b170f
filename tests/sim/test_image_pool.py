"""The image's .debs: what the mirror gives is held to the lock, and a pool that was kept needs no mirror at all."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from paver.errors import BadInput, PaverError
from paver.image import archive, pool
from paver.image.lock import Deb, Lock

# What apt-get says of its mirror, and how it lays down what it fetches: under its own name of the version.
APT = """\
#!{python}
import pathlib, shutil, sys
said = sys.argv[1:]
if said[0] == "indextargets":
    print({targets!r})
elif "download" in said:
    for name in said[said.index("--quiet") + 1:]:
        name, version = name.split("=")
        for file in pathlib.Path({shelf!r}).glob(f"{{name}}_{{version.replace(':', '%3a')}}_*.deb"):
            shutil.copy(file, file.name)
    print("E: Version was not found", file=sys.stderr)
"""
TARGETS = "Debian|Debian|http://deb.example/debian\nOther|Other|http://other.example"


def deb(name: str, version: str, content: bytes) -> Deb:
    return Deb(
        name=name,
        version=version,
        architecture="amd64",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


CONTENTS = {"bash": b"the shell", "libc6": b"the library", "vim": b"the editor"}
DEBS = (
    deb("bash", "5.2", CONTENTS["bash"]),
    deb("libc6", "1:2.41", CONTENTS["libc6"]),
    deb("vim", "9.1", CONTENTS["vim"]),
)
LOCK = Lock(suite="trixie", content="0" * 64, epoch=1, debs=DEBS)


def kept(folder: Path, but: Sequence[str] = ()) -> Path:
    folder.mkdir()
    for each in DEBS:
        if each.name not in but:
            (folder / each.file).write_bytes(CONTENTS[each.name])
    return folder


def mirror(
    folder: Path, monkeypatch: pytest.MonkeyPatch, but: Sequence[str] = (), targets: str = TARGETS
) -> Path:
    """Puts an apt-get first in PATH, whose mirror has all but some; returns the folder of what it has."""
    shelf, program = folder / "shelf", folder / "bin" / "apt-get"
    shelf.mkdir()
    for each in DEBS:
        if each.name not in but:
            name = f"{each.name}_{each.version.replace(':', '%3a')}_amd64.deb"
            (shelf / name).write_bytes(CONTENTS[each.name])
    program.parent.mkdir()
    program.write_text(APT.format(python=sys.executable, shelf=str(shelf), targets=targets))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return shelf


def source(folder: Path) -> archive.Archive:
    return archive.Archive(folder / "apt", "trixie", "amd64")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pool_that_was_kept_is_enough_without_any_mirror(tmp_path: Path) -> None:
    pool.fill(kept(tmp_path / "pool"), LOCK, None, lambda *_: None)


def test_what_a_kept_pool_lacks_is_named_where_nothing_may_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        pool.fill(kept(tmp_path / "pool", ["libc6", "vim"]), LOCK, None, lambda *_: None)
    assert refused.value.what == f"the pool {tmp_path / 'pool'} lacks libc6 1:2.41, vim 9.1"
    assert "without --offline" in refused.value.do


def test_a_deb_that_was_changed_is_refused_with_both_digests(tmp_path: Path) -> None:
    folder = kept(tmp_path / "pool")
    (folder / "libc6_2.41_amd64.deb").write_bytes(b"another one")
    with pytest.raises(BadInput) as refused:
        pool.fill(folder, LOCK, None, lambda *_: None)
    assert refused.value.what == "libc6_2.41_amd64.deb is not the one of the lock"
    assert hashlib.sha256(b"another one").hexdigest() in refused.value.seen
    assert DEBS[1].sha256 in refused.value.why


def test_what_is_missing_and_nothing_else_is_fetched_and_kept_by_the_names_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(tmp_path, monkeypatch, but=["bash"])
    folder, told = kept(tmp_path / "pool", ["libc6", "vim"]), list[tuple[int, int]]()
    pool.fill(folder, LOCK, source(tmp_path), lambda done, total: told.append((done, total)))
    assert names(folder) == ["bash_5.2_amd64.deb", "libc6_2.41_amd64.deb", "vim_9.1_amd64.deb"]
    assert told == [(11, 21), (21, 21)]


def test_a_deb_that_the_mirror_has_dropped_is_named_and_how_to_go_on_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(tmp_path, monkeypatch, but=["libc6"])
    folder = kept(tmp_path / "pool", ["bash", "libc6"])
    with pytest.raises(PaverError) as refused:
        pool.fill(folder, LOCK, source(tmp_path), lambda *_: None)
    assert refused.value.what == "the mirror does not give libc6=1:2.41"
    assert "paver image lock --refresh" in refused.value.do
    assert "--pool" in refused.value.do
    assert names(folder) == ["vim_9.1_amd64.deb"]


def test_a_deb_that_the_mirror_has_changed_does_not_come_into_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = mirror(tmp_path, monkeypatch)
    (shelf / "libc6_1%3a2.41_amd64.deb").write_bytes(b"another one")
    folder = kept(tmp_path / "pool", ["libc6"])
    with pytest.raises(BadInput, match=r"libc6_2\.41_amd64\.deb is not the one of the lock"):
        pool.fill(folder, LOCK, source(tmp_path), lambda *_: None)
    assert names(folder) == ["bash_5.2_amd64.deb", "vim_9.1_amd64.deb"]


def test_a_machine_whose_apt_knows_no_mirror_of_debian_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(tmp_path, monkeypatch, targets="Other|Other|http://other.example")
    with pytest.raises(PaverError, match="knows no mirror of Debian") as refused:
        source(tmp_path).update()
    assert "--pool" in refused.value.do


def test_a_dead_mirror_is_told_by_what_apt_says_and_nothing_of_the_pool_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens there
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setattr(archive, "_mirrors", lambda: (f"http://{address}/debian", ""))
        # Whatever this machine's apt goes through.
        config = tmp_path / "apt.conf"
        config.write_text('Acquire::Retries "0";\nAcquire::http::Proxy "DIRECT";\n')
        monkeypatch.setenv("APT_CONFIG", str(config))
        folder = kept(tmp_path / "pool", ["vim"])
        with pytest.raises(PaverError) as refused:
            pool.fill(folder, LOCK, source(tmp_path), lambda *_: None)
    assert refused.value.what == "the package lists of trixie could not be fetched"
    assert address.replace(":", " ") in refused.value.seen.replace(":", " ")
    assert "make the Debian mirror reachable" in refused.value.do
    assert names(folder) == ["bash_5.2_amd64.deb", "libc6_2.41_amd64.deb"]
