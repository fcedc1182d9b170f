"""The journal: one owner, on the disk before the act, whole lines or none, also where the disk is full."""

from __future__ import annotations

import concurrent.futures
import errno
import os
import resource
import threading
from pathlib import Path

import pytest

from paver.engine.journal import Journal, JournalError
from paver.signing import chain


def test_a_journal_is_its_owners_and_never_goes_on_in_a_file_that_is_there(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("j", "link"):
        with pytest.raises(JournalError, match="cannot be made"):
            Journal(tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()


def test_a_journal_on_a_full_disk_stops_the_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "j") as journal:
        monkeypatch.setattr(os, "write", lambda _, data: len(data) // 2)
        with pytest.raises(JournalError, match="No space left on device"):
            journal.write("begun", {})
        monkeypatch.undo()
        journal.write("begun", {"action": "a"})
    chain.verify((tmp_path / "j").read_bytes())


def test_of_a_line_that_a_full_disk_took_in_part_nothing_stays(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.write("opened")
        size = (tmp_path / "j").stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel itself takes a part, and not the rest.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
        try:
            with pytest.raises(JournalError):
                journal.write("begun", {"action": "a"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "j").stat().st_size == size
        journal.write("begun", {"action": "a"})
    assert chain.verify((tmp_path / "j").read_bytes()) == journal.head


@pytest.mark.parametrize("event", ["opened", "begun", "call", "handed-off"])
def test_what_announces_an_act_is_on_the_disk_before_the_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    synced: list[int] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    with Journal(tmp_path / "j") as journal:
        monkeypatch.setattr(os, "fsync", sync)
        journal.write(event, {"action": "a"})
        assert synced == [(tmp_path / "j").stat().st_size]


def test_a_journal_whose_disk_refused_once_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(tmp_path / "j")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(JournalError, match="Input/output error"):
        journal.write("begun", {"action": "a"})
    monkeypatch.undo()
    with pytest.raises(JournalError, match="Input/output error"):
        journal.write("done", {"action": "a"})
    journal.close()


def test_threads_that_wait_for_the_disk_share_one_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    begun, go = threading.Event(), threading.Event()
    with Journal(tmp_path / "j") as journal:

        def slow(_: int) -> None:
            synced.append(journal.head.lines)
            begun.set()
            assert go.wait(20)

        monkeypatch.setattr(os, "fsync", slow)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(journal.write, "begun", {"action": "0"})]
            assert begun.wait(20)
            waiting += [pool.submit(journal.write, "begun", {"action": str(n)}) for n in range(1, 8)]
            while journal.head.lines < 8:
                assert not any(one.done() for one in waiting)
            go.set()
            assert all(one.result(20) is None for one in waiting)
        assert synced == [1, 8]
        monkeypatch.undo()
    assert chain.verify((tmp_path / "j").read_bytes()).lines == 8


def test_a_journal_knows_its_events_only(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal, pytest.raises(ValueError, match="is not an event"):
        journal.write("guessed", {})
