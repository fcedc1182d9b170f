"""Releases and stemcells: what is written is what a director takes, and what it refuses when bytes differ."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paver.lab.standins import director_tarballs, stemcell_image, stub_releases, stub_services, tarballs
from paver.lab.standins.director_tarballs import BadTarballError
from paver.lab.standins.tarballs import Job, Package, Release, Stemcell
from paver.ovf import vmdk

RELEASE = Release(
    "lab",
    "1",
    (Job("server", {"config/a.json": "<%= p('a') %>"}, {"a": {"default": 1}}, ("tool",)),),
    (Package("tool", {"packaging": (b"true\n", True)}),),
)


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m)) is not None}


def repacked(content: bytes, **changes: bytes | None) -> bytes:
    files = unpacked(content)
    for name, data in changes.items():
        if data is None:
            files.pop(name)
        else:
            files[name] = data
    return tarballs.pack({name: (data, False) for name, data in files.items()})


def read(content: bytes, folder: Path) -> director_tarballs.ReadRelease:
    path = folder / "release.tgz"
    path.write_bytes(content)
    return director_tarballs.read_release(path)


def test_a_written_release_is_read_back(tmp_path: Path) -> None:
    found = read(tarballs.release_tarball(RELEASE), tmp_path)
    assert (found.name, found.version, found.compiled) == ("lab", "1", False)
    assert found.jobs[0].spec["templates"] == {"config_a.json.erb": "config/a.json"}
    assert found.packages[0].entry["name"] == "tool"


def test_the_same_release_is_the_same_bytes() -> None:
    assert tarballs.release_tarball(RELEASE) == tarballs.release_tarball(RELEASE)


def test_all_releases_of_the_artefact_are_ones_that_a_director_takes(tmp_path: Path) -> None:
    releases = stub_releases.bucc_releases("/usr/bin/python3", "/opt/paver")
    for release in [*releases, stub_services.minio("/m"), stub_services.docker_registry("/r")]:
        assert read(tarballs.release_tarball(release), tmp_path).name == release.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"release.MF": None}, "Release manifest not found"),
        ({"release.MF": b"- 1"}, "is no mapping"),
        ({"jobs/server.tgz": None}, "has no job 'server'"),
        ({"packages/tool.tgz": None}, "has no package 'tool'"),
        (
            {"jobs/server.tgz": tarballs.pack({"job.MF": (b"name: server\n", False)})},
            "doesn't have the digest",
        ),
    ],
)
def test_a_release_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    content = tarballs.release_tarball(RELEASE)
    with pytest.raises(BadTarballError) as refusal:
        read(repacked(content, **changes), tmp_path)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"monit": (b"", False)}, "Missing job manifest for 'server'"),
        ({"job.MF": (b"name: server\n", False)}, "is missing monit file"),
        (
            {
                "job.MF": tarballs.document({"name": "server", "templates": {"a.erb": "a"}}),
                "monit": (b"", False),
            },
            "Missing template file 'a.erb'",
        ),
        (
            {"job.MF": tarballs.document({"name": "server", "packages": ["other"]}), "monit": (b"", False)},
            "references missing package 'other'",
        ),
    ],
)
def test_a_job_is_refused(files: dict[str, tuple[bytes, bool]], words: str, tmp_path: Path) -> None:
    job = tarballs.pack(files)
    manifest = yaml.safe_load(unpacked(tarballs.release_tarball(RELEASE))["release.MF"])
    manifest["jobs"][0]["sha1"] = "sha256:" + hashlib.sha256(job).hexdigest()
    changes = {"jobs/server.tgz": job, "release.MF": yaml.safe_dump(manifest).encode()}
    with pytest.raises(BadTarballError) as refusal:
        read(repacked(tarballs.release_tarball(RELEASE), **changes), tmp_path)
    assert words in str(refusal.value)


def test_a_stemcell_with_another_image_is_refused(tmp_path: Path) -> None:
    stemcell = Stemcell("noble", "1", "ubuntu-noble", b"image", {"infrastructure": "vsphere"})
    path = tmp_path / "stemcell.tgz"
    path.write_bytes(tarballs.stemcell_tarball(stemcell))
    manifest, image = director_tarballs.read_stemcell(path)
    assert (manifest["api_version"], image) == (3, b"image")
    path.write_bytes(repacked(path.read_bytes(), image=b"other"))
    with pytest.raises(BadTarballError, match="digest"):
        director_tarballs.read_stemcell(path)


@example(b"", 170, b"\x03")  # a name in release.MF becomes another one; only gzip's checksum tells
@given(st.binary(max_size=2000), st.integers(min_value=0), st.binary(min_size=1, max_size=1))
@settings(max_examples=200)
def test_a_broken_upload_is_refused_in_the_directors_words(noise: bytes, place: int, byte: bytes) -> None:
    whole = tarballs.release_tarball(RELEASE)
    place %= len(whole)
    for content in (noise, gzip.compress(noise), whole[:place], whole[:place] + byte + whole[place + 1 :]):
        with contextlib.suppress(BadTarballError), tempfile.TemporaryDirectory() as folder:
            assert read(content, Path(folder)).name == "lab"


def test_the_stemcells_disk_says_what_boots() -> None:
    files = unpacked(stemcell_image.image("ubuntu-noble", "1.484"))
    disk = files["image-disk1.vmdk"]
    assert vmdk.check(io.BytesIO(disk)).capacity == 8 * 2**20
    assert vmdk.head(io.BytesIO(disk), 60).startswith(b'{"paver-lab-boot": "bosh-stemcell"')
