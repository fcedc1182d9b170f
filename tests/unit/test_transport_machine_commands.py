"""What a machine is asked for, by a machine that only listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from paver.errors import Refused
from paver.transport import files, job, nfs
from paver.transport.machine import Host, MachineReader, MachineWriter
from paver.transport.nfs_url import Remote
from paver.transport.shell import Ran


class Listening:
    """Stands for a machine's shell: everything ends with the same code and words."""

    local = True

    def __init__(self, code: int = 0, err: bytes = b"") -> None:
        self.ran: list[Sequence[str]] = []
        self._code, self._err = code, err

    def run(self, argv: Sequence[str], **_: object) -> Ran:
        self.ran.append(argv)
        return Ran(tuple(argv), self._code, b"", self._err)

    def close(self) -> None:
        pass


def _anything(call: str, target: str = "", detail: object = None) -> None:
    del call, target, detail


def test_a_folder_is_made_with_mode_and_owner_by_one_command() -> None:
    shell = Listening()
    host = Host(
        "jumpbox",
        shell,
        ("sudo", "-n", "--"),
        "python3",
        "/jobs",
        "/scratch",
        60,
        files.DirectFiles("jumpbox"),
    )
    MachineWriter(host, _anything).mkdir("/var/lib/paver/x", 0o700, "paver:paver")
    (argv,) = shell.ran
    assert [*argv] == [
        *("sudo", "-n", "--", "install", "-d", "-m", "700", "-o", "paver", "-g", "paver", "--"),
        "/var/lib/paver/x",
    ]


def _nothing(call: str, target: str = "", detail: object = None) -> None:
    del target, detail
    raise Refused(f"{call} is not in the plan")


@pytest.mark.parametrize(
    ("call", "write"),
    [
        ("file:write", lambda machine: machine.write_file("/etc/x", b"x")),
        ("file:mkdir", lambda machine: machine.mkdir("/etc/x")),
        ("file:remove", lambda machine: machine.remove("/etc/x")),
        ("file:upload", lambda machine: machine.upload(Path(__file__), "/etc/x")),
        ("run:reboot", lambda machine: machine.run(["/usr/sbin/reboot"])),
        ("service:stop", lambda machine: machine.service("ssh", "stop")),
        ("job:start", lambda machine: job.start_or_attach(machine, "a", ["true"])),
        ("job:stop", lambda machine: job.stop(machine, "a")),
        ("nfs:copy", lambda machine: nfs.copy(machine, Remote("nas", None, "/export/a"), "/b")),
    ],
)
def test_no_write_reaches_a_machine_before_it_passed_the_gate(
    call: str, write: Callable[[MachineWriter], object]
) -> None:
    shell = Listening()
    host = Host("jumpbox", shell, (), "python3", "/jobs", "/scratch", 60, files.DirectFiles("jumpbox"))
    with pytest.raises(Refused, match=call):
        write(MachineWriter(host, _nothing))
    assert shell.ran == []


def test_a_reading_face_runs_nothing_that_is_not_known_to_read_only() -> None:
    shell = Listening()
    host = Host("jumpbox", shell, (), "python3", "/jobs", "/scratch", 60, files.DirectFiles("jumpbox"))
    for argv in (["reboot"], ["bucc", "info"], ["systemctl", "stop", "ssh"], ["find", "/", "-delete"]):
        with pytest.raises(Refused, match="not known to read only"):
            MachineReader(host).probe(argv)
    assert shell.ran == []
    assert MachineReader(host).probe(["bucc", "--version"]).ok
