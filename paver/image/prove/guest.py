"""The booted image, asked over SSH."""

from __future__ import annotations

import time

import paramiko

from paver.errors import Unobservable
from paver.lab.qemu.machine import Machine
from paver.transport import ssh
from paver.transport.shell import Ran

_ANSWER = 60.0
_TICK = 2.0
_UP = r"^.* login: |^ *log in +ssh "
"""What the console shows once somebody may come: a prompt, or what the form says at its end."""

ANSWERS = 1200.0
"""Seconds until SSH has to answer; software emulation needs 55 to 90 on a machine that does nothing else."""


class Guest:
    """What runs on the machine, over one SSH connection.

    The key that its server shows first is taken on sight, since nothing else is on that network; it is compared
    afterwards with what the machine published. From then on no other is.

    Args:
        address: of its SSH server.
        port: of it.
        user: the account.
        key: its private key.
    """

    def __init__(self, address: str, port: int, user: str, key: str) -> None:
        self.host_key = ""

        def dialled() -> paramiko.SSHClient:
            if self.host_key:
                return ssh.connect("the image", address, port, user, key, [self.host_key], timeout=_ANSWER)
            client, shown = _first(address, port, user, key)
            self.host_key = shown
            return client

        self._shell = ssh.SshShell("the image", dialled)

    def run(self, command: str, *, root: bool = False, timeout: float = 120.0, stdin: bytes = b"") -> Ran:
        """Runs a shell command."""
        argv = ["sh", "-c", command]
        return self._shell.run(["sudo", "-n", *argv] if root else argv, timeout=timeout, stdin=stdin)

    def close(self) -> None:
        """Hangs up."""
        self._shell.close()


def await_guest(machine: Machine, address: str, port: int, user: str, key: str, since: int = 0) -> Guest:
    """Returns the guest once a login succeeds; `since` is the place on its console from which this boot is.

    Raises:
        Hung: it does not come to that in time.
    """
    end = time.monotonic() + ANSWERS
    found, last = Guest(address, port, user, key), "nothing was tried"
    # OpenSSH shuts out for a while who comes often and does not log in: so nobody knocks before it is up.
    machine.console.wait(_UP, ANSWERS, machine.runs, what="its login prompt", since=since)
    while time.monotonic() < end:
        if not machine.runs():
            raise machine.console.hung("the machine ended before SSH answered", "")
        try:
            found.run("true", timeout=_ANSWER)
        except Unobservable as error:
            last = error.why or error.what
            time.sleep(_TICK)
        else:
            return found
    raise machine.console.hung("no SSH login succeeds", f"{ANSWERS:.0f} s went by; the last attempt: {last}")


def _first(address: str, port: int, user: str, key: str) -> tuple[paramiko.SSHClient, str]:
    """Returns a connection, and the host key that was shown on it, as `ssh-ed25519 AAAA…`."""
    ssh.quiet()
    client, seen = paramiko.SSHClient(), _Seen()
    client.set_missing_host_key_policy(seen)
    try:
        client.connect(
            address,
            port,
            username=user,
            pkey=ssh.private_key(key),
            allow_agent=False,
            look_for_keys=False,
            timeout=_ANSWER,
            banner_timeout=_ANSWER,
            auth_timeout=_ANSWER,
        )
    except (OSError, EOFError, paramiko.SSHException) as error:
        client.close()
        raise Unobservable(
            "the image does not answer by SSH", why=str(error) or type(error).__name__
        ) from error
    return client, seen.line


class _Seen(paramiko.MissingHostKeyPolicy):
    line = ""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client, hostname
        self.line = f"{key.get_name()} {key.get_base64()}"
