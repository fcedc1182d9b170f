"""What paver asks tar for, tar gives: a tarball's own manifest, and no more of it."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from paver.driver import BadInput
from paver.foundation.bucc import tarballs as read
from paver.lab.standins import stub_services, tarballs


def test_a_release_says_itself_what_it_is(tmp_path: Path) -> None:
    release = stub_services.minio("/usr/bin/minio")
    path = PurePosixPath(tmp_path / "minio.tgz")
    Path(path).write_bytes(tarballs.release_tarball(release))

    def run(argv: list[str], **_: object) -> Any:
        return SimpleNamespace(out=subprocess.run(argv, capture_output=True, check=True).stdout)

    machine = SimpleNamespace(run=run)
    told = {"name": "minio", "version": release.version}
    found = read.agreed(machine, path, "release.MF", told)
    assert [package["name"] for package in found["compiled_packages"]] == ["minio"]
    with pytest.raises(BadInput, match=r"minio\.tgz in BUCC's artefact is not") as refused:
        read.agreed(machine, path, "release.MF", {**told, "version": "9"})
    assert f"release.MF: name minio, version {release.version}" in refused.value.seen
