"""Debian packages that a mirror has replaced since apt last looked: apt itself and dpkg, on a mirror that is a folder."""

from __future__ import annotations

import functools
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.lab import debian


class Mirror:
    """A mirror of one package, of which it has one version at a time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "mirror"
        self.folder.mkdir()
        self._sources, self._settings = folder / "sources.list", folder / "apt.conf"
        self.lies(f"file:{self.folder}")
        monkeypatch.setenv("APT_CONFIG", str(self._settings))

    def lies(self, where: str, settings: str = "") -> None:
        """Has apt find it there."""
        self._sources.write_text(f"deb [trusted=yes] {where} ./\n")
        self._settings.write_text(
            f'Dir::Etc::SourceList "{self._sources}";\nDir::Etc::SourceParts "/dev/null";\n'
            f'Dir::State::Status "/dev/null";\nAcquire::Retries "0";\nAcquire::http::Proxy::127.0.0.1 "DIRECT";\n{settings}'
        )

    def has(self, version: str) -> None:
        """Has this version from now on, and no other one."""
        for old in self.folder.iterdir():
            old.unlink()
        made = self.folder.with_name(f"speaker-{version}")
        (made / "DEBIAN").mkdir(parents=True)
        control = f"Package: speaker\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\nDescription: speaks\n"
        (made / "DEBIAN/control").write_text(control)
        (made / "usr/bin").mkdir(parents=True)
        (made / "usr/bin/speaker").write_text(f"#!/bin/sh\necho {version}\n")
        (made / "usr/bin/speaker").chmod(0o755)
        file = f"speaker_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--build", made, self.folder / file], check=True, capture_output=True)
        size = (self.folder / file).stat().st_size
        sums = subprocess.run(["sha256sum", self.folder / file], check=True, capture_output=True, text=True)
        index = f"{control}Filename: ./{file}\nSize: {size}\nSHA256: {sums.stdout.split()[0]}\n"
        (self.folder / "Packages").write_text(index)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    made = Mirror(tmp_path, monkeypatch)
    made.has("1.0")
    (tmp_path / "cache").mkdir()
    return made


def says(wrappers: Path) -> str:
    return subprocess.run([wrappers / "speaker"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.usefixtures("mirror")
def test_a_package_is_unpacked_and_its_program_runs(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    packages = debian.resolve(["speaker"], cache)
    assert [(each.name, each.version) for each in packages] == [("speaker", "1.0")]
    assert says(debian.unpack(packages, ["speaker"], cache)) == "1.0"


def test_a_package_that_was_replaced_since_apt_last_looked_is_fetched_in_its_new_version(
    mirror: Mirror, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    packages = debian.resolve(["speaker"], cache)
    mirror.has("1.1")
    wrappers = debian.unpack(packages, ["speaker"], cache)
    assert says(wrappers) == "1.1"
    assert debian.unpacked(cache) == [wrappers]
    assert debian.unpack(debian.resolve(["speaker"], cache), ["speaker"], cache) == wrappers


def test_a_mirror_that_is_gone_is_told_and_the_systems_own_lists_are_used_on(
    mirror: Mirror, tmp_path: Path
) -> None:
    cache, lists = tmp_path / "cache", tmp_path / "lists"
    (lists / "partial").mkdir(parents=True)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(mirror.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        mirror.lies(f"http://127.0.0.1:{server.server_port}/", f'Dir::State::Lists "{lists}";\n')
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        packages = debian.resolve(["speaker"], cache)
        server.shutdown()
    for _ in range(2):
        with pytest.raises(PaverError, match="could not be downloaded"):
            debian.unpack(packages, ["speaker"], cache)
        assert debian.resolve(["speaker"], cache) == packages


def test_one_source_of_several_that_cannot_be_had_keeps_nobody_from_the_others(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.lies(f"file:{mirror.folder} ./\ndeb [trusted=yes] http://127.0.0.1:9/")
    cache = tmp_path / "cache"
    assert says(debian.unpack(debian.resolve(["speaker"], cache), ["speaker"], cache)) == "1.0"


def test_where_no_mirror_answers_nothing_is_left_that_later_calls_would_go_by(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.lies("http://127.0.0.1:9/")
    with pytest.raises(PaverError, match="could not be resolved"):
        debian.resolve(["speaker"], tmp_path / "cache")
    assert not (tmp_path / "cache" / "apt" / "lists").exists()


def test_what_no_mirror_has_is_told_with_what_would_help(mirror: Mirror, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    packages = debian.resolve(["speaker"], cache)
    for file in mirror.folder.iterdir():
        file.unlink()
    with pytest.raises(PaverError, match="could not be downloaded") as failed:
        debian.unpack(packages, ["speaker"], cache)
    assert "apt-get install speaker" in failed.value.do
    assert debian.unpacked(cache) == []


def test_a_folder_that_another_process_still_fills_is_not_taken_for_whole(tmp_path: Path) -> None:
    for name in ("0123456789abcdef", ".fedcba9876543210.draft"):
        (tmp_path / "debian" / name / "bin").mkdir(parents=True)
    assert debian.unpacked(tmp_path) == [tmp_path / "debian/0123456789abcdef/bin"]
