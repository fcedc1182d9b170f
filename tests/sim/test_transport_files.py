"""Files of a machine: what is told of them by the program that reads them there, and of that program itself."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.errors import Unobservable
from paver.transport.files import Files, Here, There
from paver.transport.shell import LocalShell
from tests.support import real_sudo


@pytest.fixture
def there() -> Iterator[There]:
    files = There("jumpbox", LocalShell("jumpbox"), [sys.executable], 60)
    yield files
    files.close()


def answering(text: str, seconds: float = 60) -> There:
    """Returns files for which another program answers than paver's."""
    return There("jumpbox", LocalShell("jumpbox"), ["sh", "-c", text, "sh"], seconds)


def _furnished(folder: Path) -> dict[str, Path]:
    (folder / "file").write_bytes(bytes(range(256)) * 9000)
    (folder / "empty").touch()
    (folder / "link").symlink_to("file")
    (folder / "nowhere").symlink_to("none")
    (folder / "folder").mkdir()
    (folder / "to-folder").symlink_to("folder")
    (folder / "folder" / os.fsdecode(b"not \xff text\nof two lines")).touch()
    (folder / "folder" / "b").touch()
    names = ("file", "empty", "link", "nowhere", "folder", "to-folder", "none", "file/under", "folder/b")
    return {name: folder / name for name in names}


def _told(files: Files, way: str, path: Path, *more: int) -> object:
    try:
        return files.ask(way, str(path), *more)
    except Unobservable as error:
        return error.seen


@pytest.mark.parametrize("way", ["read", "stat", "list"])
def test_what_is_told_of_a_file_is_the_same_here_and_there(there: There, tmp_path: Path, way: str) -> None:
    more = [1 << 30] if way == "read" else []
    for name, path in _furnished(tmp_path).items():
        assert _told(there, way, path, *more) == _told(Here("jumpbox"), way, path, *more), name


def test_what_is_no_folder_has_no_names_and_a_link_is_not_followed(there: There, tmp_path: Path) -> None:
    paths = _furnished(tmp_path)
    names = {name: found.data for name in paths if (found := there.ask("list", str(paths[name])))}
    assert names.pop("folder") == b"b\0not \xff text\nof two lines"
    assert set(names) == {"file", "empty", "link", "nowhere", "to-folder", "folder/b"}
    assert not any(names.values())


def test_what_is_absent_is_told_from_what_cannot_be_read(there: There, tmp_path: Path) -> None:
    assert there.ask("read", str(tmp_path / "none"), 1) is None
    with pytest.raises(Unobservable) as unread:
        there.ask("read", str(tmp_path), 1)
    assert unread.value.seen == "Is a directory"
    assert there.ask("stat", str(tmp_path)) is not None, "it goes on"


@given(sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=12), most=st.integers(0, 200_000))
def test_as_many_bytes_are_read_as_were_asked_for(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int
) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    files = (
        There("jumpbox", LocalShell("jumpbox"), [sys.executable], 60) if most % 7 == 0 else Here("jumpbox")
    )
    for number, size in enumerate(sizes):
        path = folder / str(number)
        path.write_bytes(os.urandom(size))
        found = files.ask("read", str(path), most)
        assert found is not None
        assert found.data == path.read_bytes()[:most]
    files.close()


def test_each_of_many_that_ask_at_once_gets_its_own_answer(there: There, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 5000)

    def right(number: int) -> bool:
        found = there.ask("read", str(tmp_path / str(number % 40)), 1 << 20)
        return found is not None and found.data == b"%d" % (number % 40) * 5000

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(right, range(400)))


def _noting(pid: Path) -> There:
    """Returns files whose program notes its process in the file `pid`."""
    begin = ["sh", "-c", f'echo $$ >{shlex.quote(str(pid))}; exec "$0" "$@"', sys.executable]
    return There("jumpbox", LocalShell("jumpbox"), begin, 60)


def test_a_program_that_ended_since_is_begun_anew(tmp_path: Path) -> None:
    files = _noting(tmp_path / "pid")
    assert files.ask("stat", str(tmp_path)) is not None
    first = int((tmp_path / "pid").read_text())
    os.kill(first, signal.SIGKILL)
    assert files.ask("stat", str(tmp_path)) is not None
    assert int((tmp_path / "pid").read_text()) != first
    files.close()


def test_nothing_is_left_once_it_is_hung_up(tmp_path: Path) -> None:
    files = _noting(tmp_path / "pid")
    files.ask("stat", str(tmp_path))
    files.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_who_may_not_is_told_in_the_words_of_what_refused(tmp_path: Path) -> None:
    files = answering("echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(Unobservable, match="cannot be read") as refused:
        files.ask("stat", str(tmp_path))
    assert refused.value.seen == "sudo: a password is required"


def test_a_machine_without_the_program_that_reads_has_not_lost_the_file(tmp_path: Path) -> None:
    files = There("jumpbox", LocalShell("jumpbox"), [str(tmp_path / "python")], 60)
    with pytest.raises(Unobservable, match="cannot be started"):
        files.ask("stat", str(tmp_path))


@pytest.mark.parametrize(
    "answer",
    [
        "found 101",
        "found -1",
        "found",
        "gone 0",
        "found 0 33188 1",
        "Last login: today",
        "x" * 1000,
    ],
)
def test_an_answer_that_the_program_does_not_give_is_none(tmp_path: Path, answer: str) -> None:
    files = answering(f"printf '%s\\n' {shlex.quote(answer)}; cat >/dev/null")
    with pytest.raises(Unobservable, match="cannot be read") as none:
        files.ask("read", str(tmp_path), 1)
    assert none.value.why is not None
    assert "something on the machine writes between" in none.value.why
    files.close()


@pytest.mark.parametrize("defaults", ["use_pty", "!use_pty"])
def test_what_only_root_may_read_comes_whole_through_real_sudo(tmp_path: Path, defaults: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(bytes(range(256)) * 5000 + b"\r\n\x04\x03")
    file.chmod(0o600)
    digest = real_sudo.digest(real_sudo.unpacked(), tmp_path, defaults, file)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
