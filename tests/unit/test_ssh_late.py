"""What is told of a command whose time is over before the machine so much as began it."""

from __future__ import annotations

import time
from typing import Any

import paramiko
import pytest

from paver.errors import Unobservable
from paver.transport import ssh
from paver.transport.ssh import SshShell


class Transport:
    """A connection that stands, on a machine that opens no channel."""

    def __init__(self, waits: float) -> None:
        self._waits = waits

    def get_transport(self) -> Transport:
        return self

    def is_active(self) -> bool:
        return True

    def open_session(self, *, timeout: float) -> Any:
        time.sleep(min(self._waits, timeout))
        raise paramiko.SSHException("Timeout opening channel.")


def test_a_command_that_a_machine_does_not_begin_in_time_is_told_as_that_whatever_time_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh, "_ANSWERED", 0.02)
    for timeout in (0.01, 600):
        shell = SshShell("esx-01", lambda: Transport(60))
        with pytest.raises(Unobservable, match="esx-01 did not begin true within 0 s"):
            shell.run(["/usr/bin/true"], timeout=timeout)
        with pytest.raises(Unobservable, match="esx-01 did not begin true within 0 s"):
            shell.start(["/usr/bin/true"], timeout=timeout)


def test_a_command_that_cannot_be_begun_though_there_is_time_is_told_as_a_broken_connection() -> None:
    with pytest.raises(Unobservable, match="the SSH connection broke while true ran"):
        SshShell("esx-01", lambda: Transport(0)).run(["true"], timeout=60)
