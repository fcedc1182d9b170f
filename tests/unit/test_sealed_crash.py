"""Stopped between any two system calls, or refused by any of them, the store is the old one or the new one."""

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from paver import own_files
from paver.errors import PaverError
from paver.sealed import keys, store


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the writer's own runs after it, but what `finally` says."""


class Calls:
    """`os`, with the call number `at` failing: not made at all, made by half, or made and then stopped."""

    def __init__(self, at: int, how: str) -> None:
        self.made: list[str] = []
        self._at = at
        self._how = how

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in {"open", "write", "fsync", "rename", "unlink", "close"}:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.made.append(name)
            if len(self.made) != self._at:
                return real(*args, **kwargs)
            if self._how == "killed before":
                raise Killed
            if self._how == "disk full":
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with contextlib.suppress(OSError):
                real(*args[:1], bytes(args[1])[: len(args[1]) // 2]) if name == "write" else real(
                    *args, **kwargs
                )
            raise Killed

        return call


@pytest.fixture
def key(tmp_path: Path) -> keys.KeyFile:
    return keys.new_key_file(tmp_path / "site.key")


@pytest.fixture
def path(tmp_path: Path, key: keys.KeyFile) -> Path:
    path = tmp_path / "site.sealed"
    store.create(path, key)
    with store.writer(path, key, "a test") as writer:
        writer.put("a", "old", made_by="a test")
    return path


def write(
    path: Path, key: keys.KeyFile, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> type[BaseException] | None:
    with store.writer(path, key, "a test") as writer, monkeypatch.context() as patch:
        patch.setattr(own_files, "os", calls)
        try:
            writer.put("a", "new", made_by="a test")
        except (Killed, PaverError) as error:
            return type(error)
    return None


def total(path: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch) -> int:
    calls = Calls(0, "never")
    assert write(path, key, calls, monkeypatch) is None
    assert {"open", "write", "fsync", "rename"} <= set(calls.made)
    return len(calls.made)


def test_the_new_store_is_on_the_disk_before_it_takes_the_formers_place(
    path: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a test can't pull is the plug: a file that is renamed first may be empty after that."""
    calls = Calls(0, "never")
    assert write(path, key, calls, monkeypatch) is None
    made = calls.made[: calls.made.index("rename") + 1]
    last = len(made) - made[::-1].index("write")
    assert made[last:] == ["fsync", "close", "rename"]


@pytest.mark.parametrize("how", ["killed before", "killed after"])
def test_killed_at_any_call_it_is_the_old_or_the_new_store(
    path: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before = path.read_bytes()
    count = total(path, key, monkeypatch)
    found = set()
    for at in range(1, count + 1):
        path.write_bytes(before)
        assert write(path, key, Calls(at, how), monkeypatch) is Killed
        found.add(store.unlock(path, key).secret("a").reveal())
        # The next writer goes on, whatever the killed one left behind.
        assert write(path, key, Calls(0, "never"), monkeypatch) is None
        assert store.unlock(path, key).secret("a").reveal() == "new"
        assert sorted(entry.name for entry in path.parent.iterdir()) == [
            "site.key",
            "site.sealed",
            "site.sealed.lock",
        ]
    assert found == {"old", "new"}


def test_with_the_disk_full_at_any_call_the_writer_says_so_and_goes_on_once_there_is_room(
    path: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    count = total(path, key, monkeypatch)
    for at in range(1, count + 1):
        path.write_bytes(before)
        with store.writer(path, key, "a test") as writer:
            with monkeypatch.context() as patch:
                calls = Calls(at, "disk full")
                patch.setattr(own_files, "os", calls)
                with pytest.raises(PaverError, match="could not be written") as caught:
                    writer.put("a", "new", made_by="a test")
                assert "No space" in caught.value.why
            renamed = "rename" in calls.made[: at - 1]
            assert writer.secret("a").reveal() == ("new" if renamed else "old")
            assert store.unlock(path, key).secret("a").reveal() == ("new" if renamed else "old")
            writer.put("b", "next", made_by="a test")
        assert store.unlock(path, key).secret("b").reveal() == "next"


def test_a_short_write_is_continued(path: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
        with store.writer(path, key, "a test") as writer:
            writer.put("a", "new", made_by="a test")
    assert store.unlock(path, key).secret("a").reveal() == "new"


def test_a_link_in_place_of_the_temporary_file_is_not_followed(
    path: Path, key: keys.KeyFile, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path.with_name(".site.sealed.new").symlink_to(victim)
    with store.writer(path, key, "a test") as writer:
        writer.put("a", "new", made_by="a test")
    assert victim.read_text() == "untouched"
    assert not path.is_symlink()


def test_a_link_to_the_store_stays_one(path: Path, key: keys.KeyFile, tmp_path: Path) -> None:
    link = tmp_path / "link.sealed"
    link.symlink_to(path)
    with store.writer(link, key, "a test") as writer:
        writer.put("a", "new", made_by="a test")
    assert link.is_symlink()
    assert store.unlock(path, key).secret("a").reveal() == "new"
