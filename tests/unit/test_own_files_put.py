"""How paver's own files are written, also where two write at once and where a file is to be somebody's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from paver import own_files
from paver.appliance import ended
from paver.errors import PaverError
from paver.runs import exports


@pytest.fixture
def narrow() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow")
def test_a_file_of_the_appliance_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    owner = (os.getuid(), os.getgid())
    ended.put(tmp_path / "made" / "issue", "text\n", 0o644, owner)
    made = (tmp_path / "made" / "issue").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0o644, *owner)
    own_files.put(tmp_path / "plan", b"", 0o644)
    assert stat.S_IMODE((tmp_path / "plan").stat().st_mode) == 0o600, "what a user writes is narrowed by it"


def test_no_link_is_followed_where_the_roots_for_a_tool_are_drafted(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("untouched")
    (tmp_path / f".bosh.pem.{os.getpid()}").symlink_to(theirs)
    exports.pem_file(tmp_path / "bosh.pem", "roots\n")
    assert (theirs.read_text(), (tmp_path / "bosh.pem").read_text()) == ("untouched", "roots\n")
    assert not (tmp_path / "bosh.pem").is_symlink()


def test_a_draft_of_another_writer_of_the_same_roots_stays(tmp_path: Path) -> None:
    another = tmp_path / ".bosh.pem.1"
    another.write_text("half")
    exports.pem_file(tmp_path / "bosh.pem", "roots\n")
    assert another.read_text() == "half"


def test_what_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "bosh.pem").mkdir()
    with pytest.raises(PaverError, match=r"bosh\.pem can't be written"):
        exports.pem_file(tmp_path / "bosh.pem", "roots\n")
    assert [one.name for one in tmp_path.iterdir()] == ["bosh.pem"]
