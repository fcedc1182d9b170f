"""What is remembered of a sealed store: never less than before, and nothing that somebody else wrote."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from paver import own_files
from paver.errors import PaverError
from paver.sealed.index import Index
from paver.sealed.seen import Seen


def index(generation: int, store: str = "aa" * 32) -> Index:
    return Index(store=store, generation=generation, digest="00" * 32)


def test_nothing_is_held_to_what_nobody_saw(tmp_path: Path) -> None:
    assert Seen(tmp_path / "seen").held() == {"minimum": 0, "store": None}
    assert Seen(None).held() == {"minimum": 0, "store": None}
    Seen(None).note(index(3))


def test_the_highest_generation_is_kept(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "folder" / "seen")
    seen.note(index(5))
    seen.note(index(4))
    assert seen.held() == {"minimum": 5, "store": "aa" * 32}
    seen.note(index(6))
    assert seen.held()["minimum"] == 6


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"generation":1,"schema":"other","store":"x"}'])
def test_a_memory_that_paver_did_not_write_is_not_overlooked(tmp_path: Path, content: str) -> None:
    (tmp_path / "seen").write_text(content)
    with pytest.raises(PaverError, match="is not what paver wrote"):
        Seen(tmp_path / "seen").held()


def test_a_memory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PaverError, match="cannot be written"):
        Seen(tmp_path / "file" / "seen").note(index(1))


def test_who_only_looks_needs_nothing_to_be_written_and_is_held_to_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(tmp_path / "seen")
    seen.note(index(5))

    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(own_files, "_write", full)
    seen.note(index(6), looking=True)
    assert seen.held()["minimum"] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["seen"], "nothing half written is left"
    with pytest.raises(PaverError, match="cannot be written"):
        seen.note(index(6))


def test_of_two_commands_at_once_the_newer_generation_stays(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    for start in range(1, 200, 2):
        both = [threading.Thread(target=Seen(path).note, args=(index(start + more),)) for more in (1, 0)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert Seen(path).held()["minimum"] == start + 1


def test_what_was_seen_is_on_the_disk_before_the_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
    )
    Seen(tmp_path / "seen").note(index(1))
    assert synced == [str(tmp_path / ".seen.new"), str(tmp_path)]
