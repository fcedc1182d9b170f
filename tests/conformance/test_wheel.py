"""The wheel has all that the source tree has: the lab's Go sources, stand-ins and programs are package data."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import paver
from paver.lab import build

TREE = Path(paver.__file__).parents[1]
PROGRAMS = ("lab/room/shims/sudo", "lab/room/shims/systemctl", "lab/standins/bucc/bin/bucc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(argv, cwd=TREE, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    there = {
        path.relative_to(TREE).as_posix()
        for path in (TREE / "paver").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert there - names == set()


def test_the_labs_programs_are_programs_in_the_wheel_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        modes = {name: packed.getinfo(f"paver/{name}").external_attr >> 16 for name in PROGRAMS}
    assert {name: mode & 0o111 for name, mode in modes.items()} == dict.fromkeys(PROGRAMS, 0o111)


def test_the_lab_finds_its_sources_where_only_the_wheel_is(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    ask = "from paver.lab import build; print(len(build.module_files(build.SERVERS / 'vsphere')))"
    env = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) == len(build.module_files(build.SERVERS / "vsphere")) > 0
