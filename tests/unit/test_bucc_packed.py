"""BUCC's artefact as a file: what is wrong with it is said before it is brought anywhere, by its name."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.foundation.bucc import packed
from paver.lab.standins import bucc_artefact
from tests.support.packed import FILES, LINKS, manifest, write


def refusal(path: Path) -> BadInput:
    with pytest.raises(BadInput) as refused:
        packed.check(path, "dist/bucc.tar")
    assert refused.value.what.startswith("dist/bucc.tar ")
    return refused.value


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_whole_artefact_is_taken_however_it_is_compressed_and_its_names_begin(
    tmp_path: Path, mode: str, prefix: str
) -> None:
    packed.check(write(tmp_path / "bucc.tar", mode=mode, prefix=prefix), "bucc.tar")


def test_the_labs_artefact_is_whole_also_where_nothing_was_built_for_it(tmp_path: Path) -> None:
    nothing = Path("/not/built")
    made = bucc_artefact.build(tmp_path / "bucc.tar", None, nothing, nothing, "python3", "/lib")
    assert made["bucc"]["bosh_cli"] == "none"
    packed.check(tmp_path / "bucc.tar", "bucc.tar")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"hi\n", r"it begins with b'hi\n'"),
        (b"", "it is empty"),
        (b"PK\3\4" + bytes(2000), r"it begins with b'PK\x03\x04\x00"),
        (b"\x1f\x8bhi", r"it begins with b'\x1f\x8bhi'"),
        (b"BZhhi", "it begins with b'BZhhi'"),
        (b"\xfd7zXZ\0hi", r"it begins with b'\xfd7zXZ\x00hi'"),
    ],
)
def test_what_is_no_tar_is_told_by_how_it_begins(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "bucc.tar"
    path.write_bytes(content)
    wrong = refusal(path)
    assert wrong.what == "dist/bucc.tar is no tar archive"
    assert wrong.seen.startswith(seen)
    assert "bucc.artefact" in wrong.do


def test_a_tar_that_is_cut_short_is_told_as_such(tmp_path: Path) -> None:
    large = {**FILES, "stemcell.tgz": bytes(100_000)}
    for mode, kept in (("w", 50_000), ("w:gz", 300)):
        path = write(tmp_path / "bucc.tar", large, mode=mode)
        path.write_bytes(path.read_bytes()[:kept])
        wrong = refusal(path)
        assert wrong.what == "dist/bucc.tar is a broken tar archive"
        assert "fetch it again" in wrong.do


def without(name: str) -> dict[str, bytes]:
    return {one: content for one, content in FILES.items() if one != name}


@pytest.mark.parametrize(
    ("make", "what", "seen"),
    [
        (
            lambda path: write(path, without("bucc/bin/bucc"), told=manifest()),
            "does not hold what its manifest names",
            "bucc/bin/bucc: not in it",
        ),
        (
            lambda path: write(path, {**FILES, "stemcell.tgz": b"stem"}, told=manifest()),
            "does not hold what its manifest names",
            "stemcell.tgz: 4 bytes, not 8",
        ),
        (
            lambda path: write(path, {**FILES, "bucc/more": b""}, told=manifest()),
            "holds files that its manifest does not name",
            "bucc/more",
        ),
        (
            lambda path: write(path, links={**LINKS, "bucc/out": "../../etc/passwd"}),
            "holds links that lead nowhere, or out of it",
            "bucc/out -> ../../etc/passwd",
        ),
        (lambda path: write(path, told=[]), "has no manifest", "TypeError"),
        (
            lambda path: write(path, told={**manifest(), "format": "paver.bucc-artefact/2"}),
            "is of another version",
            "paver.bucc-artefact/2",
        ),
        (lambda path: write(path, {**FILES, "../more": b""}), "names a file '../more'", ""),
    ],
)
def test_what_is_not_as_its_manifest_says_is_told_by_its_name(
    tmp_path: Path, make: Callable[[Path], Path], what: str, seen: str
) -> None:
    wrong = refusal(make(tmp_path / "bucc.tar"))
    assert (wrong.what, wrong.seen) == (f"dist/bucc.tar {what}", seen)


def test_a_tar_of_something_else_has_no_manifest(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    assert refusal(tmp_path / "other.tar").what == "dist/bucc.tar has no manifest"


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    assert refusal(tmp_path).what == "dist/bucc.tar can't be read"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_to_be_large_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 2**26
    path = tmp_path / "bucc.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with path.open("r+b") as file:
        file.truncate(2**26 + 1024)
    assert refusal(path).what == "dist/bucc.tar is no tar archive"


def test_more_files_and_bytes_than_any_artefact_has_are_not_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "bucc.tar")
    for bound in ("_MOST_MEMBERS", "_MOST_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(packed, bound, 3)
            assert refusal(path).what == "dist/bucc.tar holds more than any artefact"


@given(st.integers(0, 5119), st.binary(min_size=1, max_size=12))
def test_a_damaged_artefact_is_refused_or_taken_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, other: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("damaged") / "bucc.tar")
    data = bytearray(path.read_bytes())
    data[at : at + len(other)] = other
    path.write_bytes(data)
    try:
        packed.check(path, "bucc.tar")
    except BadInput:
        return


def test_a_hard_link_is_the_file_that_it_is_another_name_of(tmp_path: Path) -> None:
    path = write(tmp_path / "bucc.tar", without("stemcell.tgz"), told=told_with("again"))
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("stemcell.tgz")
        info.size = len(FILES["stemcell.tgz"])
        tar.addfile(info, io.BytesIO(FILES["stemcell.tgz"]))
        second = tarfile.TarInfo("again")
        second.type, second.linkname = tarfile.LNKTYPE, "stemcell.tgz"
        tar.addfile(second)
    packed.check(path, "bucc.tar")


def told_with(name: str) -> Any:
    told = manifest()
    return {**told, "files": {**told["files"], name: told["files"]["stemcell.tgz"]}}
