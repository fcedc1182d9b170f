"""Files of a machine: what is told of them by the program that reads them there, and of that program itself."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paver.errors import Unobservable
from paver.transport.files import DirectFiles, ServedFiles
from paver.transport.shell import LocalShell, Process
from tests.support import real_sudo
from tests.support.waiting import until


@pytest.fixture
def served() -> Iterator[ServedFiles]:
    files = ServedFiles("jumpbox", LocalShell("jumpbox"), [sys.executable], 60)
    yield files
    files.close()


def answering(text: str) -> ServedFiles:
    """Returns files for which another program answers than paver's."""
    return ServedFiles("jumpbox", LocalShell("jumpbox"), ["sh", "-c", text, "sh"], 60)


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


def _told(ask: Callable[[str], object], path: Path) -> object:
    try:
        return ask(str(path))
    except Unobservable as error:
        return error.seen


def test_what_is_told_of_a_file_is_the_same_whoever_reads_it(served: ServedFiles, tmp_path: Path) -> None:
    direct = DirectFiles("jumpbox")
    for name, path in _furnished(tmp_path).items():
        assert _told(lambda path: served.read(path, 1 << 30), path) == _told(
            lambda path: direct.read(path, 1 << 30), path
        ), name
        assert _told(served.stat, path) == _told(direct.stat, path), name
        assert _told(served.names, path) == _told(direct.names, path), name


def test_what_is_no_folder_has_no_names_and_a_link_is_not_followed(
    served: ServedFiles, tmp_path: Path
) -> None:
    paths = _furnished(tmp_path)
    names = {name: found for name in paths if (found := served.names(str(paths[name]))) is not None}
    assert names.pop("folder") == ("b", os.fsdecode(b"not \xff text\nof two lines"))
    assert set(names) == {"file", "empty", "link", "nowhere", "to-folder", "folder/b"}
    assert not any(names.values())


def test_what_is_absent_is_told_from_what_cannot_be_read(served: ServedFiles, tmp_path: Path) -> None:
    assert served.read(str(tmp_path / "none"), 1) is None
    with pytest.raises(Unobservable) as unread:
        served.read(str(tmp_path), 1)
    assert unread.value.seen == "Is a directory"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unobservable) as unread:
        served.read(str(tmp_path / "pipe"), 1)
    assert unread.value.seen == "Is a pipe"
    assert served.stat(str(tmp_path)) is not None, "it goes on"


def test_a_folder_of_more_names_than_are_told_is_not_told_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paver.transport.files._MOST_NAMES", 3)
    (tmp_path / "ab").touch()
    assert DirectFiles("jumpbox").names(str(tmp_path)) == ("ab",)
    (tmp_path / "c").touch()
    with pytest.raises(Unobservable) as many:
        DirectFiles("jumpbox").names(str(tmp_path))
    assert many.value.seen == "Too many names"


@given(sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=12), most=st.integers(0, 200_000))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_many_bytes_are_read_as_were_asked_for(
    served: ServedFiles, tmp_path: Path, sizes: list[int], most: int
) -> None:
    for number, size in enumerate(sizes):
        path = tmp_path / str(number)
        path.write_bytes(os.urandom(size))
        assert served.read(str(path), most) == path.read_bytes()[:most]


def test_each_of_many_that_ask_at_once_gets_its_own_answer(served: ServedFiles, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 5000)

    def right(number: int) -> bool:
        return served.read(str(tmp_path / str(number % 40)), 1 << 20) == b"%d" % (number % 40) * 5000

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(right, range(400)))


def _noting(pid: Path) -> ServedFiles:
    """Returns files whose program notes its process in the file `pid`."""
    begin = ["sh", "-c", f'echo $$ >{shlex.quote(str(pid))}; exec "$0" "$@"', sys.executable]
    return ServedFiles("jumpbox", LocalShell("jumpbox"), begin, 60)


def test_a_program_that_ended_since_is_begun_anew(tmp_path: Path) -> None:
    files = _noting(tmp_path / "pid")
    assert files.stat(str(tmp_path)) is not None
    first = int((tmp_path / "pid").read_text())
    os.kill(first, signal.SIGKILL)
    assert files.stat(str(tmp_path)) is not None
    assert int((tmp_path / "pid").read_text()) != first
    files.close()


def test_nothing_is_left_once_it_is_hung_up(tmp_path: Path) -> None:
    files = _noting(tmp_path / "pid")
    files.stat(str(tmp_path))
    files.close()
    pid = (tmp_path / "pid").read_text().strip()
    # What does not end by itself in time is ended, and then taken note of by a thread that nobody waits for.
    until(lambda: not Path(f"/proc/{pid}").exists(), "the program is gone")


# Answers a question about "slow" with nothing, and any other one by what was asked.
SLOW = """\
import os, sys, time
for line in sys.stdin.buffer:
    verb, most, path = line.split()
    name = bytes.fromhex(path.decode())
    time.sleep(600 if name == b"slow" else 0)
    os.write(1, b"found %d\\n%b" % (len(name), name))
"""


class Slow:
    """Starts that instead of paver's own program, which is read and let be."""

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        del argv
        boot = f"import sys; s = sys.stdin.buffer; s.read(int(s.readline())); exec({SLOW!r})"
        return LocalShell("jumpbox").start([sys.executable, "-c", boot], timeout=timeout)


@dataclasses.dataclass(frozen=True)
class Timed:
    """A program that is waited for in a way of its own."""

    process: Process
    wait: Callable[[float], float]
    """Takes until when an answer may take, and returns until when it is waited for."""

    def sendall(self, data: bytes) -> object:
        return self.process.sendall(data)

    def recv(self, most: int, until: float) -> bytes:
        return self.process.recv(most, self.wait(until))

    def close(self) -> str:
        return self.process.close()

    def end(self) -> str:
        return self.process.end()


class SlowAtFirst(Slow):
    """Nothing is received from the first program before `all_asked`; those after it get a minute more for each answer."""

    def __init__(self, all_asked: threading.Event) -> None:
        self._all_asked = all_asked
        self._begun = 0

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        del timeout
        self._begun += 1
        process = super().start(argv, timeout=60)
        return Timed(process, self._first if self._begun == 1 else lambda until: until + 60)

    def _first(self, until: float) -> float:
        assert self._all_asked.wait(60), "not all have asked"
        return until


def test_an_answer_that_does_not_come_is_the_failure_of_its_own_question_alone() -> None:
    all_asked = threading.Event()
    files = ServedFiles("jumpbox", SlowAtFirst(all_asked), [sys.executable], 1)

    def asked() -> int:
        return len(files._reader._asked) if files._reader is not None else 0

    with ThreadPoolExecutor(6) as pool:
        slow = pool.submit(files.read, "slow", 100)
        until(lambda: asked() == 1, "the slow one has asked")
        others = [pool.submit(files.read, f"file {number}", 100) for number in range(5)]
        until(lambda: asked() == 6, "all have asked")
        all_asked.set()
        with pytest.raises(Unobservable, match="slow was not read within 1 s"):
            slow.result()
        assert [other.result() for other in others] == [b"file %d" % number for number in range(5)]
    files.close()


def test_whoever_waits_for_an_answer_hears_that_it_was_hung_up_on_and_nothing_begins_anew() -> None:
    files = ServedFiles("jumpbox", Slow(), [sys.executable], 60)
    assert files.read("file", 100) == b"file"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(files.read, "slow", 100)
        until(lambda: files._reader is not None and files._reader._asked, "it has asked")
        files.close()
        with pytest.raises(Unobservable, match="was hung up on before slow was read"):
            waiting.result(20)
    assert files._reader is None
    assert files.read("file", 100) == b"file"
    files.close()


def test_after_half_a_question_nobody_gets_anothers_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    files = ServedFiles("jumpbox", Slow(), [sys.executable], 20)
    assert files.read("a", 100) == b"a"
    assert files._reader is not None
    send = files._reader._process.sendall

    def half(data: bytes) -> None:
        send(data[:5])
        raise KeyboardInterrupt

    monkeypatch.setattr(files._reader._process, "sendall", half)
    with pytest.raises(KeyboardInterrupt):
        files.read("b", 100)
    assert files.read("c", 100) == b"c"
    files.close()


def test_all_that_ask_at_once_are_told_in_sudos_own_words(tmp_path: Path) -> None:
    files = answering("echo 'sudo: a password is required' >&2; exit 1")

    def refused(_: int) -> str | None:
        with pytest.raises(Unobservable, match="cannot be read") as found:
            files.stat(str(tmp_path))
        return found.value.seen

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(refused, range(4))) == {"sudo: a password is required"}


def test_a_machine_without_the_program_that_reads_has_not_lost_the_file(tmp_path: Path) -> None:
    files = ServedFiles("jumpbox", LocalShell("jumpbox"), ["env", str(tmp_path / "python")], 60)
    with pytest.raises(Unobservable, match="cannot be read") as missing:
        files.stat(str(tmp_path))
    assert missing.value.seen is not None
    assert "No such file or directory" in missing.value.seen
    assert missing.value.do == f"look on the machine whether the account may start {tmp_path}/python by env"
    files = ServedFiles("jumpbox", LocalShell("jumpbox"), [str(tmp_path / "python")], 60)
    with pytest.raises(Unobservable, match="python cannot be started"):
        files.stat(str(tmp_path))


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
        files.read(str(tmp_path), 1)
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
