"""Commands on this machine that have to be ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.transport.shell import LocalShell


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has this account end nothing but by a `sudo` that writes down what it was asked for; returns where."""
    asked = tmp_path / "asked"

    def refused(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    sudo = tmp_path / "sudo"
    sudo.write_text(f'#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\necho "$*" >> {asked}\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "killpg", refused)
    return asked


def test_what_runs_as_root_by_sudo_is_ended_by_sudo_when_its_time_is_over(roots: Path) -> None:
    began = time.monotonic()
    with pytest.raises(PaverError, match="did not end within 1 s"):
        LocalShell("here").run(["sleep", "60"], timeout=1)
    assert time.monotonic() - began < 30
    [asked] = roots.read_text().splitlines()
    assert asked.startswith("kill -s TERM -- -")


def test_what_runs_as_root_by_sudo_is_ended_by_sudo_when_nobody_listens_any_more(roots: Path) -> None:
    def broken(piece: bytes) -> None:
        raise KeyError(piece)

    with pytest.raises(KeyError):
        LocalShell("here").run(["sh", "-c", "echo said; exec sleep 60"], timeout=50, on_output=broken)
    assert "kill -s KILL -- -" in roots.read_text()


def test_what_no_sudo_ends_either_is_told_as_late_and_not_waited_for(roots: Path, tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    left, began = tmp_path / "pid", time.monotonic()
    with pytest.raises(PaverError, match="did not end within 1 s"):
        LocalShell("here").run(["sh", "-c", f"echo $$ > {left}; exec sleep 60"], timeout=1)
    assert time.monotonic() - began < 30
    assert not roots.exists()
    os.kill(int(left.read_text()), signal.SIGKILL)
