"""Machines over a real OpenSSH server on loopback, and this machine itself, through the same faces."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from paver.appliance import datadisk
from paver.errors import PaverError, Refused, Unobservable
from paver.lab import system
from paver.transport import dial, job, job_runner, shell, transfer
from paver.transport import machine as machines
from paver.transport.context import Station, Timeouts, Wire
from paver.transport.files import ServedFiles
from paver.transport.machine import CommandError, MachineConnection, MachineConnector, MachineWriter
from paver.transport.retry import Retry
from paver.transport.shell import LocalShell, Process, Starter
from paver.transport.ssh import HostKeyError, SshShell
from paver.transport.tunnel import ConnectProxy
from tests.support.ports import free_port
from tests.support.process import Unheard, gone
from tests.support.waiting import until

pytestmark = pytest.mark.lab

ADDRESS = "127.0.0.9"


@dataclasses.dataclass(frozen=True)
class Named:
    name: str


@dataclasses.dataclass(frozen=True)
class Server:
    port: int
    folder: Path
    key: str
    host_key: str
    other_host_key: str

    def connector(self, **changes: object) -> MachineConnector:
        return dataclasses.replace(
            MachineConnector(
                name="jumpbox",
                address=ADDRESS,
                port=self.port,
                key=Named("ssh/jumpbox"),
                host_keys=(self.host_key,),
                python=sys.executable,
                jobs=str(self.folder / "jobs"),
                scratch=str(self.folder / "scratch"),
            ),
            **changes,  # type: ignore[arg-type]
        )

    def wire(self, **changes: object) -> Wire:
        return dataclasses.replace(Wire(reveal=lambda _: self.key), **changes)  # type: ignore[arg-type]


def keygen(tool: Path, path: Path) -> str:
    subprocess.run([tool, "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An sshd as a plain user of a nested user namespace, as the lab starts it."""
    folder = tmp_path_factory.mktemp("sshd")
    needed = [need for need in system.NEEDS if need.program in ("sshd", "ssh-keygen", "unshare")]
    programs = system.provide(system.survey(needs=needed))
    host_key = keygen(programs["ssh-keygen"], folder / "host")
    other = keygen(programs["ssh-keygen"], folder / "other")
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    public = keygen(programs["ssh-keygen"], folder / "user")
    (home / ".ssh" / "authorized_keys").write_text(public + "\n")
    (folder / "scratch").mkdir()
    shims = folder / "shims"
    shims.mkdir()
    (shims / "sudo").write_text('#!/bin/sh\n[ "$1 $2" = "-n --" ] || exit 9\nshift 2\nexec "$@"\n')
    (shims / "sudo").chmod(0o755)
    (folder / "passwd").write_text(f"paver:x:1002:1002::{home}:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    port = free_port(ADDRESS)
    (folder / "sshd_config").write_text(
        f"ListenAddress {ADDRESS}:{port}\nHostKey {folder / 'host'}\nUsePAM no\nPidFile none\n"
        f"PasswordAuthentication no\nStrictModes no\nSubsystem sftp internal-sftp\nSetEnv PATH={shims}:{os.environ['PATH']}\n"
    )
    inner = (
        f"mount --bind {folder / 'passwd'} /etc/passwd && exec {programs['unshare']} -U --map-user=1002"
        f" --map-group=1002 {programs['sshd']} -D -e -f {folder / 'sshd_config'}"
    )
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [programs["unshare"], "-rm", "--propagation", "private", "sh", "-c", inner],
            stderr=log,
            stdout=log,
        )
        try:
            until(lambda: b"Server listening" in (folder / "sshd.log").read_bytes())
            yield Server(port, folder, (folder / "user").read_text(), host_key, other)
        finally:
            process.terminate()
            process.wait()


class Gate:
    """Lets everything pass and remembers it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        self.calls.append(call)


@pytest.fixture(params=["over SSH", "here"])
def machine(request: pytest.FixtureRequest, server: Server) -> Iterator[MachineConnection]:
    connector = server.connector()
    if request.param == "here":
        if shutil.which("sudo") is None:
            connector = dataclasses.replace(connector, sudo=os.geteuid() != 0)
        connection = connector.connect(server.wire(station="jumpbox"))
    else:
        connection = connector.connect(server.wire())
    yield connection
    connection.close()


@pytest.mark.parametrize("station", ["outside", "jumpbox"])
def test_a_machine_whose_disk_of_state_is_gone_is_not_asked_what_is_there(
    server: Server, tmp_path: Path, station: Station
) -> None:
    said = tmp_path / "data-disk"
    wire = server.wire(station=station)
    server.connector(on_disk=(str(said), str(tmp_path))).connect(wire).close()
    said.write_text("/dev/sdb\n")
    # Where a file system is mounted, all is well.
    server.connector(on_disk=(str(said), "/")).connect(wire).close()
    with pytest.raises(Unobservable, match="the data disk that has its state is not mounted") as caught:
        server.connector(on_disk=(str(said), str(tmp_path))).connect(wire)
    assert str(said) in caught.value.do


def test_the_image_says_where_its_state_lies_as_paver_looks_for_it() -> None:
    assert Server(0, Path(), "", "", "").connector().on_disk == (f"/{datadisk.RECORD}", f"/{datadisk.MOUNT}")


@pytest.fixture
def writer(machine: MachineConnection) -> MachineWriter:
    return machine.writer(Gate())


def test_a_file_is_absent_then_written_whole_with_its_mode_then_gone(
    writer: MachineWriter, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    path = str(tmp_path / "a file with 'quotes' $HOME.conf")
    assert writer.read_file(path) is None
    assert writer.stat(path) is None
    content = os.urandom(300_000)
    writer.write_file(path, content, 0o640)
    assert writer.read_file(path) == content
    stat = writer.stat(path)
    assert stat is not None
    assert (stat.kind, stat.size, stat.mode) == ("file", 300_000, 0o640)
    assert writer.listdir(str(tmp_path)) == (Path(path).name,)
    writer.remove(path)
    assert not writer.exists(path)
    assert writer.listdir(str(tmp_path / "none")) is None


def test_a_file_is_replaced_only_as_it_was_read_and_while_nobody_else_writes_it(
    writer: MachineWriter, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    path, lock = str(tmp_path / "site.sealed"), tmp_path / "site.sealed.lock"

    def replace(data: bytes, was: bytes | None) -> None:
        writer.replace_file(path, data, 0o600, "", was=was, lock=str(lock))

    with pytest.raises(Refused, match="was not replaced") as told:
        replace(b"first", b"it was another")
    assert "somebody has written it" in told.value.why
    assert writer.read_file(path) is None
    replace(b"first", None)
    with pytest.raises(Refused):
        replace(b"second", None)
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Refused) as told:
            replace(b"second", b"first")
        assert "somebody is writing it" in told.value.why
    assert writer.read_file(path) == b"first"
    replace(os.urandom(300_000), b"first")
    stat = writer.stat(path)
    assert stat is not None
    assert (stat.size, stat.mode) == (300_000, 0o600)
    assert writer.listdir(str(tmp_path)) == ("site.sealed", "site.sealed.lock")


def test_what_is_there_and_cannot_be_read_is_never_absent(writer: MachineWriter, tmp_path: Path) -> None:
    with pytest.raises(Unobservable):
        writer.read_file(str(tmp_path))


def test_a_file_that_is_too_large_is_not_read_whole(
    writer: MachineWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "MOST_FILE_BYTES", 1024 * 1024)
    with pytest.raises(Unobservable, match="/dev/zero has more than 1 MiB"):
        writer.read_file("/dev/zero")


def test_a_command_that_writes_without_end_is_given_up_and_told(
    writer: MachineWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "MOST_OUT", 1024 * 1024)
    with pytest.raises(PaverError, match="cat writes more than 1 MiB"):
        writer.probe(["cat", "/dev/zero"], timeout=60)
    whole = writer.probe(["head", "-c", str(shell.MOST_OUT), "/dev/zero"], timeout=60)
    assert len(whole.out) == shell.MOST_OUT


def test_of_what_a_command_says_went_wrong_the_end_is_kept(
    writer: MachineWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "MOST_ERR", 1000)
    argv = ["sh", "-c", "head -c 3000000 /dev/zero >&2; echo the end >&2; exit 3"]
    ran = writer.host.shell.run(argv, timeout=60)
    assert (ran.code, len(ran.err)) == (3, 1000)
    assert ran.err.endswith(b"the end\n")


def test_what_an_accounts_shell_prints_by_itself_is_in_no_answer(server: Server, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    passwd, rc = server.folder / "passwd", server.folder / "home" / ".bashrc"
    before = passwd.read_text()
    rc.write_text("echo 'Welcome to jumpbox. 3 updates are waiting.'; echo careful >&2\n")
    passwd.write_text(before.replace(":/bin/sh", f":{bash}", 1))
    connection = server.connector().connect(server.wire())
    try:
        there = connection.writer(Gate())
        loud = there._host.shell.run(["sh", "-c", "cat ~/.bashrc"], timeout=20)
        assert b"careful" in loud.err, "the shell greets nobody: this proves nothing"
        file = str(tmp_path / "file")
        tmp_path.chmod(0o777)
        there.write_file(file, b"what was written", 0o644)
        assert there.read_file(file) == b"what was written"
        assert there.read_file(f"{file}.none") is None
        lines: list[str] = []
        assert job.state(there, "greeted").state == "absent"
        assert job.start_or_attach(there, "greeted", ["echo", "hello"]).follow(lines.append).ok
        assert lines == ["hello"]
    finally:
        connection.close()
        passwd.write_text(before)
        rc.unlink()


def test_a_command_gets_its_input_and_its_secret_variables_and_no_argv_shows_them(
    writer: MachineWriter,
) -> None:
    secret = "geheim\\n'$(id)'\nzweite Zeile\n"
    ran = writer.run(
        ["sh", "-c", 'cat; printf "%s" "$TOKEN"; tr "\\0" " " </proc/$$/cmdline'],
        input=b"given\n",
        env={"TOKEN": secret, "OTHER": "x"},
    )
    assert ran.out.startswith(b"given\n" + secret.encode())
    assert b"geheim" not in ran.out[len(b"given\n" + secret.encode()) :]
    assert ran.argv[0] == "sh"


def test_a_command_that_fails_says_what_it_wrote(writer: MachineWriter) -> None:
    with pytest.raises(CommandError) as caught:
        writer.run(["sh", "-c", "echo no such zone >&2; exit 3"])
    assert caught.value.ran.code == 3
    assert "no such zone" in caught.value.seen
    assert writer.run(["sh", "-c", "exit 3"], check=False).code == 3


def test_a_command_that_ends_before_it_reads_its_input_does_not_cut_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(channel: paramiko.Channel) -> None:
        """As paramiko's own, but interrupted where it matters: the end of input is made, and not yet sent."""
        inner: Any = channel
        with inner.lock:
            end = inner._send_eof()
        with contextlib.suppress(AssertionError):
            until(lambda: inner.closed, "it is closed", 0.5)
        if end is not None:
            inner.transport._send_user_message(end)

    monkeypatch.setattr(paramiko.Channel, "shutdown_write", slow)
    connection = server.connector().connect(server.wire())
    shell = connection.reader().host.shell
    assert isinstance(shell, SshShell)
    first = shell.client
    assert shell.run(["true"], stdin=b"nobody reads this", timeout=20).code == 0
    assert shell.run(["false"], timeout=20).code == 1
    assert shell.run(["true"], timeout=20).code == 0
    assert shell.client is first
    connection.close()


def test_a_command_that_never_ends_is_given_up(writer: MachineWriter) -> None:
    with pytest.raises(PaverError, match="did not end within"):
        writer.run(["sleep", "60"], timeout=0.5)


@pytest.mark.parametrize("obeys", ["", 'trap "" TERM; '], ids=["obeys", "obeys no SIGTERM"])
def test_a_command_that_nobody_waits_for_any_more_is_ended_with_all_that_it_started(
    writer: MachineWriter, obeys: str
) -> None:
    unheard = Unheard()
    started = f"{obeys}setsid sleep 60 & echo $$ $!; wait; sleep 60"
    with pytest.raises(KeyError):
        writer.run(["sh", "-c", started], on_output=unheard)
    assert len(unheard.pids) == 2
    until(lambda: all(gone(pid) for pid in unheard.pids))


@dataclasses.dataclass(frozen=True)
class Begun:
    """Starts programs, and returns once they have written their number into the file `pid`: their limit begins then."""

    starter: Starter
    pid: Path

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        del timeout
        process = self.starter.start(argv, timeout=60)
        until(lambda: self.pid.exists() and self.pid.read_text().endswith("\n"), "it has begun")
        # By SSH it is ended by the number that the shell over there says: that has to have come, too.
        channel = getattr(process, "_channel", None)
        until(lambda: channel is None or channel.recv_ready(), "the shell has said its number")
        return process


def test_a_file_that_does_not_come_is_given_up_and_what_waited_for_it_is_ended(
    machine: MachineConnection, tmp_path: Path
) -> None:
    host, pid = machine.reader().host, tmp_path / "pid"
    tmp_path.chmod(0o777)
    begin = ["sh", "-c", f"echo $$ >{pid}; exec sleep 600"]
    files = ServedFiles(host.name, Begun(cast(Starter, host.shell), pid), begin, 1)
    with pytest.raises(Unobservable, match="was not read within 1 s"):
        files.read(str(tmp_path), 1)
    until(lambda: gone(int(pid.read_text())))


def test_why_a_file_may_not_be_read_is_told_in_the_words_of_what_refused(machine: MachineConnection) -> None:
    host = machine.reader().host
    refuses = ["sh", "-c", "echo 'sudo: a password is required' >&2; exit 1"]
    with pytest.raises(Unobservable, match="/x cannot be read") as refused:
        ServedFiles(host.name, cast(Starter, host.shell), refuses, 20).stat("/x")
    assert refused.value.seen == "sudo: a password is required"


def test_files_are_read_on_over_another_connection_where_the_first_one_broke(
    server: Server, tmp_path: Path
) -> None:
    connection = server.connector().connect(server.wire())
    reader = connection.reader()
    assert reader.listdir(str(tmp_path)) == ()
    first = cast(SshShell, reader.host.shell).client
    first.close()
    assert reader.listdir(str(tmp_path)) == ()
    assert cast(SshShell, reader.host.shell).client is not first
    connection.close()


def test_the_end_of_a_command_is_told_by_the_kernel_and_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sleep, ours = time.sleep, threading.get_ident()

    def looked(seconds: float) -> None:
        # What other threads do is not asked: some of earlier tests may still be ending something.
        assert threading.get_ident() != ours, "it sleeps between two looks"
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", looked)
    assert LocalShell("here").run(["sh", "-c", "sleep 0.1; exit 3"], timeout=60).code == 3


def test_whoever_waits_for_a_process_hears_of_its_end_long_before_the_time_is_over() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    ending = job_runner.Ending(process.pid)
    assert not ending.within(0.01)
    assert process.stdin is not None
    process.stdin.close()
    assert ending.within(600)
    ending.close()
    assert not ending.within(0.01)
    assert process.wait() == 0


def test_every_write_passes_the_gate_under_its_name(machine: MachineConnection, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    gate = Gate()
    writer = machine.writer(gate)
    writer.mkdir(str(tmp_path / "d"))
    writer.write_file(str(tmp_path / "d/f"), b"x")
    writer.remove(str(tmp_path / "d"), recursive=True)
    writer.run(["/bin/true"])
    assert gate.calls == ["file:mkdir", "file:write", "file:remove", "run:true"]


def test_a_folder_that_is_there_gets_the_mode_that_is_wished_and_keeps_what_is_in_it(
    writer: MachineWriter, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    folder = str(tmp_path / "a/b")
    writer.mkdir(folder, 0o755)
    writer.write_file(f"{folder}/kept", b"x")
    writer.mkdir(folder, 0o700, writer.run(["id", "-un"], root=True).text)
    found = writer.stat(folder)
    assert found is not None
    assert (found.kind, found.mode) == ("directory", 0o700)
    assert writer.read_file(f"{folder}/kept") == b"x"


def test_a_gate_that_refuses_keeps_the_command_from_running(
    machine: MachineConnection, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)

    def refuse(call: str, target: str = "", detail: object = None) -> None:
        del target, detail
        raise Refused(call)

    with pytest.raises(Refused):
        machine.writer(refuse).write_file(str(tmp_path / "f"), b"x")
    assert not (tmp_path / "f").exists()


def test_a_reading_face_runs_probes_and_nothing_else(machine: MachineConnection, tmp_path: Path) -> None:
    reader = machine.reader()
    assert reader.probe(["uname", "-s"]).text == "Linux"
    with pytest.raises(Refused):
        reader.probe(["touch", str(tmp_path / "f")])
    assert not (tmp_path / "f").exists()
    assert not hasattr(reader, "write_file")


def test_an_upload_arrives_whole_and_tells_its_progress(writer: MachineWriter, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(5_000_001))
    told: list[int] = []
    target = tmp_path / "target"
    writer.upload(source, str(target), on_progress=lambda done, _: told.append(done))
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert told == sorted(told)
    assert told[-1] == 5_000_001
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_an_upload_tells_its_progress_by_the_clock_and_not_by_the_piece(
    writer: MachineWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    source = tmp_path / "source"
    source.write_bytes(bytes(5_000_001))
    monkeypatch.setattr(transfer, "TELL", 600.0)
    told: list[int] = []
    writer.upload(source, str(tmp_path / "target"), on_progress=lambda done, _: told.append(done))
    assert told == [5_000_001]


def test_an_upload_whose_source_breaks_leaves_nothing(
    writer: MachineWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(transfer, "TELL", 0.0)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))

    def cut(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.upload(source, str(tmp_path / "target"), on_progress=cut)
    until(lambda: [path.name for path in tmp_path.iterdir()] == ["source"])


@pytest.mark.parametrize("other", [{"boot": "another"}, {"start": "1"}])
def test_a_process_that_got_a_jobs_number_since_is_not_taken_for_it(other: dict[str, str]) -> None:
    pid = os.getpid()
    own = {"pid": pid, "start": job_runner.started_at(pid), "boot": job_runner.boot_id()}
    assert job_runner.alive(own)
    assert not job_runner.alive(own | other)


def test_an_upload_that_arrives_changed_is_told_and_leaves_nothing(
    writer: MachineWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    source = tmp_path / "source"
    source.write_bytes(bytes(300_000))
    changed = transfer._TAKE.replace('sync "$t"', 'printf x | dd of="$t" conv=notrunc status=none; sync "$t"')
    monkeypatch.setattr(transfer, "_TAKE", changed)
    with pytest.raises(PaverError, match="arrived with another digest than source has"):
        writer.upload(source, str(tmp_path / "target"))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_another_host_key_is_refused(server: Server) -> None:
    with pytest.raises(HostKeyError, match="another SSH host key"):
        server.connector(host_keys=(server.other_host_key,)).connect(server.wire())


def test_an_unknown_host_key_is_refused(server: Server) -> None:
    with pytest.raises(HostKeyError, match="not known"):
        server.connector(host_keys=()).connect(server.wire())


def test_a_host_key_of_a_kind_that_is_not_known_is_refused(server: Server) -> None:
    known = ec.generate_private_key(ec.SECP256R1()).public_key()
    line = known.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    with pytest.raises(HostKeyError, match="another SSH host key"):
        server.connector(host_keys=(line,)).connect(server.wire())


def test_the_tunnel_serves_nobody_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = server.connector().connect(server.wire())
    proxy = ConnectProxy(connection.reach())
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    try:
        with pytest.raises(ConnectionRefusedError, match="403"):
            dial.tcp(ADDRESS, server.port, proxy.address, 10)
    finally:
        proxy.close()
        connection.close()


def test_a_wrong_key_and_a_dead_port_are_unobservable(server: Server) -> None:
    other = (server.folder / "other").read_text()
    with pytest.raises(Unobservable, match="refuses the SSH login"):
        server.connector().connect(server.wire(reveal=lambda _: other))
    # Held, so that nobody else listens there.
    with socket.socket() as held:
        held.bind((ADDRESS, 0))
        with pytest.raises(Unobservable, match="does not answer"):
            server.connector(port=held.getsockname()[1]).connect(server.wire())


@pytest.mark.parametrize(
    "said", ["Authentication timeout.", "Authentication failed: transport shut down or saw EOF"]
)
def test_a_server_that_hangs_up_on_a_login_has_refused_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def hang_up(*_: object, sock: socket.socket, **__: object) -> None:
        sock.close()
        raise paramiko.AuthenticationException(said)

    monkeypatch.setattr(paramiko.SSHClient, "connect", hang_up)
    with pytest.raises(Unobservable, match="hung up before it said"):
        server.connector().connect(server.wire())


def test_a_machine_whose_sshd_is_not_there_for_a_moment_is_asked_again(server: Server) -> None:
    """As cloud-init's restart of it, on a machine that has just booted."""
    port, held = free_port(ADDRESS), contextlib.ExitStack()
    told: list[str] = []

    def lead(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)

    def serve(listening: socket.socket) -> None:
        near, _ = listening.accept()
        far = held.enter_context(socket.create_connection((ADDRESS, server.port)))
        held.enter_context(near)
        threading.Thread(target=lead, args=(far, near), daemon=True).start()
        lead(near, far)

    def is_there_again(retry: Retry) -> None:
        told.append(retry.doing)
        if len(told) == 1:
            listening = held.enter_context(socket.create_server((ADDRESS, port)))
            threading.Thread(target=serve, args=(listening,), daemon=True).start()

    with held:
        wire = server.wire(on_retry=is_there_again, timeouts=Timeouts(patience=60))
        connection = server.connector(port=port).connect(wire)
        connection.close()
    assert told == ["logging in by SSH"]


def test_the_tunnel_reaches_what_lies_behind_and_says_why_when_it_cannot(server: Server) -> None:
    connection = server.connector().connect(server.wire())
    proxy = ConnectProxy(connection.reach())
    try:
        with socket.create_server((ADDRESS, 0)) as behind:
            port = behind.getsockname()[1]

            def echo() -> None:
                accepted, _ = behind.accept()
                with accepted:
                    while piece := accepted.recv(65536):
                        accepted.sendall(piece)

            thread = threading.Thread(target=echo, daemon=True)
            thread.start()
            sent = os.urandom(2_000_000)
            with dial.tcp(ADDRESS, port, proxy.address, 10) as sock:
                threading.Thread(target=sock.sendall, args=(sent,), daemon=True).start()
                got = bytearray()
                while len(got) < len(sent):
                    got += sock.recv(65536)
            assert bytes(got) == sent
            thread.join(10)
        with pytest.raises(ConnectionRefusedError, match="502"):
            dial.tcp(ADDRESS, port, proxy.address, 10)
    finally:
        proxy.close()
        connection.close()


def job_id(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()


def test_a_job_runs_detached_is_followed_and_leaves_its_exit_code(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    name = job_id(request)
    assert job.state(writer, name).state == "absent"
    lines: list[str] = []
    begun = job.start_or_attach(
        writer,
        name,
        [
            "sh",
            "-c",
            'echo one; echo two >&2; cat; echo "$A"; cat {scratch}/t.json; ls -l {scratch}/t.json; exit 7',
        ],
        {"A": "a"},
        scratch={"t.json": b"{}\n"},
    )
    assert begun.began
    end = begun.follow(lines.append)
    assert (end.state, end.code, end.reason) == ("ended", 7, "ended")
    assert lines[:4] == ["one", "two", "a", "{}"]
    assert lines[4].startswith("-rw-------")
    assert not list(Path(writer.host.scratch).glob("paver-*"))
    assert job.state(writer, name).code == 7
    again: list[str] = []
    assert job.attach(writer, name).follow(again.append) == dataclasses.replace(end, began=False)
    assert again == lines


def test_no_secret_of_a_job_stands_in_its_folder_or_in_an_argv(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    name = job_id(request)
    begun = job.start_or_attach(
        writer, name, ["sh", "-c", "wc -c < {scratch}/key"], scratch={"key": b"hunter2hunter2"}
    )
    lines: list[str] = []
    begun.follow(lines.append)
    assert lines == ["14"]
    folder = Path(writer.host.jobs)
    assert all(b"hunter2" not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_of_two_starters_one_begins_and_both_follow(
    machine: MachineConnection, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name, flag = job_id(request), tmp_path / "go-on"
    tmp_path.chmod(0o777)
    argv = ["sh", "-c", f"echo $$; until [ -e {flag} ]; do sleep 0.05; done"]
    jobs: list[job.Job] = []

    def start() -> None:
        jobs.append(job.start_or_attach(machine.writer(Gate()), name, argv))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # However late one of them came: the job ran until all had found it.
    flag.touch()
    assert sorted(one.began for one in jobs) == [False, False, False, True]
    seen: list[list[str]] = []
    for one in jobs:
        lines: list[str] = []
        assert one.follow(lines.append).ok
        seen.append(lines)
    assert all(lines == seen[0] for lines in seen)
    assert len(seen[0]) == 1


def test_a_job_that_ended_starts_anew_and_how_it_ended_is_kept(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    name = job_id(request)
    first = job.start_or_attach(writer, name, ["true"])
    assert first.follow(lambda _: None).ok
    assert job.start_or_attach(writer, name, ["true"]).began
    assert (Path(writer.host.jobs) / f"{name}.1" / "exit.json").exists()


@pytest.mark.parametrize(
    ("limit", "script", "reason"),
    [
        ("time_limit", "while :; do echo x; sleep 0.05; done", "time-limit"),
        ("stall_limit", "echo x; sleep 60", "stall-limit"),
    ],
)
def test_a_job_over_its_limit_is_ended_with_all_its_children(
    writer: MachineWriter, request: pytest.FixtureRequest, limit: str, script: str, reason: str
) -> None:
    lines: list[str] = []
    # One that was over its limit before it had a child shows nothing of it, and gets more time.
    for seconds in (0.5, 5, 50):
        begun = job.start_or_attach(
            writer,
            job_id(request),
            ["sh", "-c", f"sleep 77 & echo $!; {script}"],
            **{limit: seconds},  # type: ignore[arg-type]
        )
        end = begun.follow(lines.append)
        assert end.reason == reason
        assert not end.ok
        if lines:
            break
    assert not job_runner.started_at(int(lines[0]))


def spec_of(argv: list[str], scratch_folder: Path, **scratch: bytes) -> dict[str, Any]:
    """Returns a job as its attendant gets it."""
    return {
        "argv": argv,
        "env": {},
        "cwd": None,
        "time_limit": 0,
        "stall_limit": 0,
        "scratch": {name: base64.b64encode(data).decode() for name, data in scratch.items()},
        "scratch_folder": str(scratch_folder),
    }


@pytest.mark.parametrize("where", ["log", "key"])
def test_a_disk_that_is_full_before_a_job_begins_leaves_no_secret_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    opened = os.open

    def full(path: Any, *more: Any, **options: Any) -> int:
        if isinstance(path, str) and Path(path).name == where:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened(path, *more, **options)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(RuntimeError, match="No space left"):
        job_runner.start(
            str(tmp_path / "jobs"), "full", spec_of(["true"], tmp_path, first=b"secret", key=b"secret")
        )
    assert not list(tmp_path.glob("paver-*"))


def test_what_a_killed_attendant_left_goes_with_the_next_job_of_that_name_whatever_that_runs(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    named, key = job_id(request), {"key": b"k\n"}
    job.start_or_attach(writer, named, ["sleep", "77"], scratch=key)
    marks = json.loads((Path(writer.host.jobs) / named / "pid").read_bytes())
    for who in ("attendant", "command"):
        os.kill(marks[who]["pid"], signal.SIGKILL)
    while job.state(writer, named).state == "running":
        assert Path(writer.host.scratch).is_dir()
    assert job.state(writer, named).state == "died"
    lines: list[str] = []
    job.start_or_attach(writer, named, ["cat", "{scratch}/key"], scratch=key).follow(lines.append)
    assert lines == ["k"]
    assert not list(Path(writer.host.scratch).glob("paver-*"))


def test_a_job_whose_pid_the_full_disk_does_not_take_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = job_runner._launch

    def launched(spec: dict[str, Any], scratch: str | None, log: int) -> Any:
        process, trouble = launch(spec, scratch, log)
        assert process is not None
        (tmp_path / "launched").write_text(str(process.pid))
        return process, trouble

    def full(path: str, _: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(job_runner, "_launch", launched)
    monkeypatch.setattr(job_runner, "_write", full)
    with pytest.raises(RuntimeError, match="No space left"):
        job_runner.start(str(tmp_path / "jobs"), "full", spec_of(["sleep", "77"], tmp_path))
    assert not job_runner.started_at(int((tmp_path / "launched").read_text()))
    assert job_runner.state(str(tmp_path / "jobs"), "full")["state"] == "absent"


def test_a_job_that_is_stopped_says_so(writer: MachineWriter, request: pytest.FixtureRequest) -> None:
    begun = job.start_or_attach(writer, job_id(request), ["sleep", "60"])
    end = job.stop(writer, begun.id)
    assert (end.state, end.reason) == ("ended", "stopped")


def test_a_program_that_is_not_there_ends_the_job_with_127(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    lines: list[str] = []
    end = job.start_or_attach(writer, job_id(request), ["no-such-program"]).follow(lines.append)
    assert (end.code, end.reason) == (127, "not-started")
    assert "No such file" in lines[0]


def test_a_follower_that_stops_leaves_the_job_running(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    begun = job.start_or_attach(writer, job_id(request), ["sh", "-c", "echo one; sleep 60"])
    lines: list[str] = []
    end = begun.follow(lines.append, stop=lambda: bool(lines))
    assert end.state == "running"
    assert job.stop(writer, begun.id).state == "ended"


def test_a_job_whose_attendant_is_killed_is_running_while_its_command_runs_and_died_after(
    writer: MachineWriter, request: pytest.FixtureRequest
) -> None:
    import json  # noqa: PLC0415

    begun = job.start_or_attach(writer, job_id(request), ["sleep", "60"])
    marks = json.loads((Path(writer.host.jobs) / begun.id / "pid").read_bytes())
    os.kill(marks["attendant"]["pid"], signal.SIGKILL)
    until(lambda: not job_runner.started_at(marks["attendant"]["pid"]))
    assert job.state(writer, begun.id).state == "running"
    assert not job.start_or_attach(writer, begun.id, ["sleep", "60"]).began
    os.killpg(marks["command"]["pid"], signal.SIGKILL)
    until(lambda: job.state(writer, begun.id).state == "died")
    assert job.attach(writer, begun.id).follow(lambda _: None).state == "died"


def test_a_job_outlives_the_connection_that_started_it_and_is_followed_where_it_broke(
    server: Server, request: pytest.FixtureRequest
) -> None:
    connection = server.connector().connect(server.wire())
    writer = connection.writer(Gate())
    flag = server.folder / "go-on"
    script = f"echo one; until [ -e {flag} ]; do sleep 0.05; done; echo two"
    begun = job.start_or_attach(writer, job_id(request), ["sh", "-c", script])
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "one":
            shell = connection._host.shell
            transport = shell.client.get_transport()  # type: ignore[attr-defined]
            transport.sock.close()
            flag.touch()

    assert begun.follow(on_line).ok
    assert lines == ["one", "two"]
    connection.close()
    flag.unlink()
