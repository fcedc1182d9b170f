"""Commands on this machine that have to be ended, also those that Debian's own sudo made root."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.transport.shell import LocalShell
from tests.support import real_sudo
from tests.support.process import Unheard, gone
from tests.support.waiting import until


@pytest.fixture(scope="module")
def sudo() -> Path:
    """Where Debian's sudo was unpacked."""
    return real_sudo.unpacked()


@pytest.mark.parametrize("defaults", ["use_pty", "!use_pty"])
@pytest.mark.parametrize(("stop", "obeys"), [("Ctrl-C", ""), ("nobody listens", 'trap "" TERM; ')])
def test_what_real_sudo_made_root_is_ended_with_all_that_it_started(
    sudo: Path, tmp_path: Path, defaults: str, stop: str, obeys: str
) -> None:
    started = f"{obeys}sleep 60 & echo $$ $!; wait; sleep 60"
    assert not real_sudo.left(sudo, tmp_path, defaults, stop, ["sudo", "-n", "--", "sh", "-c", started])


def test_what_a_command_put_into_a_session_of_its_own_is_ended_with_it() -> None:
    unheard = Unheard()
    script = "setsid sh -c 'sleep 60 & echo $$ $!; wait' & wait"
    with pytest.raises(KeyError):
        LocalShell("here").run(["sh", "-c", script], timeout=60, on_output=unheard)
    assert len(unheard.pids) == 2
    until(lambda: all(gone(pid) for pid in unheard.pids), "that both are ended", 10)


def test_what_a_command_left_behind_holds_nobody_and_goes_on() -> None:
    ran = LocalShell("here").run(["sh", "-c", "sleep 60 & echo $!"], timeout=60)
    assert ran.ok
    left = int(ran.text)
    assert not gone(left)
    os.kill(left, signal.SIGKILL)


def test_what_nobody_can_end_is_told_as_late_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)
    left, began = tmp_path / "pid", time.monotonic()
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        patched.setattr(os, "kill", refused)
        with pytest.raises(PaverError, match="did not end within 1 s"):
            LocalShell("here").run(["sh", "-c", f"echo $$ > {left}; exec sleep 60"], timeout=1)
    assert time.monotonic() - began < 60
    pid = int(until(lambda: left.exists() and left.read_text(), "it told its number"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), "that it is reaped")
