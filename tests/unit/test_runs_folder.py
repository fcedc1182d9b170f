"""A site's own folder: one run at a time, and nobody else's hands in it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from paver.errors import PaverError, Refused
from paver.runs.folder import SiteFolder


def test_whoever_looks_who_holds_a_site_stands_in_no_runs_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long who looks is held up while it has the lock.
    monkeypatch.setattr("paver.runs.folder._LOOKING", 60.0)
    folder, stop = SiteFolder(tmp_path, "north"), threading.Event()
    with folder.locked("paver apply"):
        pass

    def look() -> None:
        while not stop.is_set():
            folder.holder()

    looking = [threading.Thread(target=look) for _ in range(2)]
    for one in looking:
        one.start()
    try:
        for _ in range(200):
            with folder.locked("paver apply"):
                held = folder.holder()
            assert held is not None
    finally:
        stop.set()
        for one in looking:
            one.join()


def test_a_second_run_is_refused_at_once_and_told_who_is_at_work(tmp_path: Path) -> None:
    folder = SiteFolder(tmp_path, "north")
    with folder.locked("paver apply"), pytest.raises(Refused) as caught, folder.locked("paver destroy"):
        pass
    assert f"paver apply, process {os.getpid()} on " in caught.value.seen


def test_every_folder_of_a_sites_state_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder, before = SiteFolder(tmp_path / "above" / ".paver", "north"), os.umask(0)
    try:
        with folder.locked("paver apply"):
            folder.new_run()
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(made) >= 5
    assert {path.name: path.stat().st_mode & 0o077 for path in made if path.stat().st_mode & 0o077} == {}


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    folder = SiteFolder(tmp_path, "north")
    folder.path.mkdir()
    folder.path.chmod(mode)
    with pytest.raises(PaverError, match="can be written by other users"), folder.locked("paver apply"):
        pass


def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SiteFolder(tmp_path, "north")
    folder.path.mkdir(mode=0o700)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(PaverError, match="belongs to another user"), folder.locked("paver apply"):
        pass
