"""Which programs a lab needs, and what makes one of them another."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.drivers.vsphere import DRIVER
from paver.errors import PaverError
from paver.lab import build, cache, debian, programs, system, toolchain
from paver.runs.compose import compose
from paver.sitefile.init import init_text
from paver.sitefile.load import load

FILES = {"go.mod": b"module x", "main.go": b"package main"}


def key(
    files: dict[str, bytes] | None = None, version: str = "1.26.6", flags: tuple[str, ...] = ("-trimpath",)
) -> str:
    return build.digest(files or FILES, go_version=version, flags=flags)


EVERYTHING = tuple(name for name in programs.PROGRAMS if name not in programs.ON_REQUEST)


def test_the_first_phases_need_the_simulator_alone() -> None:
    assert programs.required(["hosts", "jumpbox"]) == ("vsim",)


def test_all_phases_and_one_that_nobody_knows_need_everything() -> None:
    assert programs.required() == programs.required(["teleport"]) == EVERYTHING


def test_the_phases_that_are_known_here_are_those_of_a_site_and_in_its_order(tmp_path: Path) -> None:
    wish = tmp_path / "site.yml"
    wish.write_text(init_text(DRIVER, "lab-north"))
    assert compose(load(wish, {DRIVER.name: DRIVER}), DRIVER).phases == programs.PHASES


def test_the_room_that_is_said_beforehand_is_that_of_the_programs_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = toolchain.Toolchain(tmp_path / "go", "1.26.6", fetched=True)
    monkeypatch.setattr(toolchain, "choose", lambda *_: go)
    first, all_ = (build.estimate(programs.required(phases), tmp_path) for phases in (["hosts"], None))
    assert (first.missing, all_.missing) == (("vsim",), EVERYTHING)
    others = [programs.PROGRAMS[name] for name in EVERYTHING if name != "vsim"]
    assert all_.megabytes - first.megabytes == sum(program.megabytes + program.room for program in others)


def test_other_files_toolchains_or_flags_make_another_program() -> None:
    others = [
        key({**FILES, "main.go": b"package other"}),
        key({"go.mod": FILES["go.mod"], "other.go": FILES["main.go"]}),
        key(version="1.26.7"),
        key(flags=("-trimpath", "-v")),
    ]
    assert len({key(), *others}) == 5
    assert key() == key(dict(reversed(FILES.items())))


def test_tests_and_hidden_files_are_no_part_of_a_module(tmp_path: Path) -> None:
    for name in ("go.mod", "a/b.go", "a/b_test.go", ".hidden/c.go", ".d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(build.module_files(tmp_path)) == ["a/b.go", "go.mod"]


def test_the_official_cli_gets_its_release_version() -> None:
    assert programs.PROGRAMS["bosh"].ldflags.endswith("cmd.VersionLabel=7.4.0")


@pytest.mark.parametrize(
    "name", sorted({program.module for program in programs.PROGRAMS.values()} - {"vsphere", "nfs"})
)
def test_every_module_pins_what_it_builds(name: str) -> None:
    module = build.SERVERS / name
    package = next(program.package for program in programs.PROGRAMS.values() if program.module == name)
    text = (module / "go.mod").read_text()
    assert f"tool {package}\n" in text
    assert (module / "go.sum").stat().st_size > 0
    assert "replace " not in text


def test_a_version_of_go_is_read_and_compared() -> None:
    assert toolchain.parse_version("go version go1.26.8 linux/amd64") == (1, 26, 8)
    assert toolchain.parse_version("go version devel") is None
    assert toolchain.minimum("module x\n\ngo 1.26\n") == (1, 26, 0)
    assert toolchain.minimum("module x\n") < toolchain.minimum("module x\n\ngo 1.26.1\n")


URIS = """Reading package lists...
'http://deb.example/pool/o/openssh-server_9.2p1-2%2bdeb12u10_amd64.deb' openssh-server_1%3a9.2p1-2+deb12u10_amd64.deb 456584 MD5Sum:fe69
'http://deb.example/pool/r/runit-helper_2.15.2_all.deb' runit-helper_2.15.2_all.deb 6520 SHA256:ad44
'http://deb.example/pool/x/nodigest_1_all.deb' nodigest_1_all.deb 1 {nothing}
""".format(nothing="")


def test_what_apt_would_download_is_read() -> None:
    assert debian.parse_uris(URIS) == (
        debian.Package("openssh-server", "1:9.2p1-2+deb12u10", 456584),
        debian.Package("runit-helper", "2.15.2", 6520),
        debian.Package("nodigest", "1", 1),
    )


@given(st.text())
def test_any_text_of_apt_is_read(text: str) -> None:
    assert isinstance(debian.parse_uris(text), tuple)


def test_what_is_on_path_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "sshd").write_text("#!/bin/sh\n")
    (tmp_path / "sshd").chmod(0o755)
    needs = [each for each in system.NEEDS if each.program in {"sshd", "dnsmasq"}]
    found = system.survey(tmp_path, needs, resolved=False, path=str(tmp_path))
    assert found.present == {"sshd": tmp_path / "sshd"}
    assert [need.package for need in found.missing] == ["dnsmasq-base"]


def test_the_announcement_says_what_and_how_much() -> None:
    found = system.Survey({}, system.NEEDS[3:5], (debian.Package("openssh-server", "1", 1_500_000),))
    (line,) = found.lines()
    assert line.startswith("openssh-client, openssh-server: unpacked into the lab's cache")
    assert line.endswith("(1 Debian packages, 1.5 MB)")
    assert system.Survey({}, ()).lines() == []


def test_a_draft_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with cache.draft(tmp_path / "good") as folder:
        (folder / "file").touch()
        assert not (tmp_path / "good").exists()
    assert (tmp_path / "good/file").exists()
    with pytest.raises(PaverError), cache.draft(tmp_path / "bad"):
        raise PaverError("no")
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_programs_that_nobody_asked_for_in_a_month_are_dropped(tmp_path: Path) -> None:
    for name, days in (("old", 31), ("new", 1)):
        (tmp_path / name).mkdir()
        when = time.time() - days * 86400
        os.utime(tmp_path / name, (when, when))
    build._forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
