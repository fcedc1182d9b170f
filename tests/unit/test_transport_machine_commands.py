"""What a machine is asked for, by a machine that only listens."""

from __future__ import annotations

from collections.abc import Sequence

from paver.transport.machine import Host, MachineWriter
from paver.transport.shell import Ran


class Listening:
    """Stands for a machine's shell: everything succeeds."""

    local = True

    def __init__(self) -> None:
        self.ran: list[Sequence[str]] = []

    def run(self, argv: Sequence[str], **_: object) -> Ran:
        self.ran.append(argv)
        return Ran(tuple(argv), 0, b"", b"")

    def close(self) -> None:
        pass


def _anything(call: str, target: str = "", detail: object = None) -> None:
    del call, target, detail


def test_a_folder_is_made_with_mode_and_owner_by_one_command() -> None:
    shell = Listening()
    host = Host("jumpbox", shell, ("sudo", "-n", "--"), (), "python3", "/jobs", "/scratch", 60)
    MachineWriter(host, _anything).mkdir("/var/lib/paver/x", 0o700, "paver:paver")
    (argv,) = shell.ran
    assert [*argv] == [
        *("sudo", "-n", "--", "install", "-d", "-m", "700", "-o", "paver", "-g", "paver", "--"),
        "/var/lib/paver/x",
    ]
