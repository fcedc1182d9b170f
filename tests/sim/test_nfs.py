"""A file on an NFS server, read by libnfs' programs: from the lab's server, and from one that goes, stops or refuses."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from paver.errors import BadInput, PaverError, Refused, Unobservable
from paver.lab import build, plan, raising, system
from paver.lab.room import share
from paver.transport import files, nfs, nfs_url
from paver.transport.machine import Host, MachineReader, MachineWriter
from paver.transport.shell import Input, LocalShell, Output, Ran
from tests.support.raised import Raised, held
from tests.support.waiting import until

pytestmark = pytest.mark.lab

SERVER, OTHER, NOBODY = "10.20.0.9", "10.20.0.8", "10.20.0.7"
ISO = "VMware-VCSA-all-8.0.3.iso"
CONTENT = os.urandom(3_000_001)
LARGE = 4 * 2**30
"""Bytes of a file with nothing in it: it is still being read when its server goes."""


class Inside(LocalShell):
    """Runs commands inside of a lab."""

    def __init__(self, lab: raising.Lab, before: Sequence[str]) -> None:
        super().__init__("jumpbox")
        self._lab = lab
        self._before = before

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Runs `argv`; see `Shell.run`."""
        entered = self._lab.argv([*self._before, *argv], self._lab.folder)
        return super().run(entered, stdin=stdin, timeout=timeout, on_output=on_output)


@dataclasses.dataclass(frozen=True)
class Place:
    """A lab with an NFS server, and a machine in it."""

    raised: Raised

    @property
    def served(self) -> Path:
        """What the server serves."""
        return self.raised.lab.folder / share.FOLDER

    @property
    def target(self) -> Path:
        """Where files are brought to."""
        return self.raised.lab.folder / "tmp" / "brought" / ISO

    def machine(self, *before: str, path: str | None = None) -> MachineWriter:
        """Returns the machine; `before` stands before each of its commands."""
        found = path or self.raised.lab.environment()["PATH"]
        host = Host(
            name="jumpbox",
            shell=Inside(self.raised.lab, [*before, "env", f"PATH={found}"]),
            root=(),
            python=sys.executable,
            jobs="",
            scratch="",
            timeout=60,
            files=files.DirectFiles("jumpbox"),
        )
        return MachineWriter(host, lambda *_: None)

    def copy(self, path: str = f"/export/iso/{ISO}", *, server: str = SERVER, **settings: Any) -> nfs.Copied:
        """Brings a file to `target`."""
        remote = nfs_url.parse(f"nfs://{server}{path}")
        return nfs.copy(self.machine(), remote, str(self.target), **{"limit": 20, "quiet": 20, **settings})

    def left(self) -> list[str]:
        """Returns what lies where files are brought to."""
        return sorted(path.name for path in self.target.parent.iterdir())

    def clients(self) -> list[str]:
        """Returns the clients that still run."""
        found = self.raised.run(["ps", "-eo", "args"]).stdout.splitlines()
        return [line for line in found if Path(line.split()[0]).name in {"nfs-cat", "nfs-ls"}]

    @contextlib.contextmanager
    def server(self) -> Iterator[Callable[[str], None]]:
        """Starts a server of our own, and gives what sends it a signal."""
        lab = self.raised.lab
        self.raised.run(["ip", "addr", "replace", f"{OTHER}/32", "dev", "lo"])
        argv = [str(lab.programs["nfsd"]), "--address", OTHER, "--folder", str(self.served)]
        # Its number inside: outside there is only what entered the lab.
        pid = lab.folder / "run" / "other.pid"
        argv = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pid), *argv]

        def send(name: str, *, check: bool = True) -> None:
            self.raised.run(["kill", f"-{name}", pid.read_text().strip()], check=check)

        def has_ended() -> bool:
            # What entered the lab stops with the server, also just after it was told to go on, and would never notice that
            # it ended.
            process.send_signal(signal.SIGCONT)
            return process.poll() is not None

        with (lab.folder / "run" / "other.log").open("wb") as log:
            process = subprocess.Popen(
                lab.argv(argv, lab.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until(lambda: "is served" in Path(log.name).read_text(), "the server says that it serves")
            yield send
        finally:
            if process.poll() is None:
                # A test may have killed it, and what entered the lab not noticed yet.
                send("KILL", check=False)
            until(has_ended, "the server has ended, and what entered the lab for it")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The lab."""
    tools = dict(system.provide(system.survey(needs=(*system.NEEDS, *system.NFS))))
    demo = plan.demo({"esx-01": "Paver-Lab-1!", "esx-02": "Paver-Lab-2!"})
    wanted = dataclasses.replace(demo, hosts=(), nfs=(SERVER,))
    folder = tmp_path_factory.mktemp("nfs") / "lab"
    with held(wanted, folder, programs=build.build(["nfsd"]), tools=tools) as lab:
        yield Place(Raised(lab))


@pytest.fixture
def place(whole: Place) -> Place:
    """The lab, with one file in the export and nothing brought from there yet."""
    for path in (whole.served / "iso", whole.target.parent):
        path.mkdir(parents=True, exist_ok=True)
        for each in path.iterdir():
            each.unlink()
    (whole.served / "iso" / ISO).write_bytes(CONTENT)
    (whole.served / "iso" / ISO).chmod(0o644)
    return whole


class Once:
    """Is told of progress, and acts when the first bytes are there."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self.acted = False

    def __call__(self, count: int, _: int) -> None:
        """Takes how many bytes there are."""
        if count and not self.acted:
            self.acted = True
            self._act()


def cut_short(copy: Callable[[float, Once], object], act: Callable[[], object]) -> PaverError:
    """Returns what a copy fails with if `act` is done in its middle, however late the first byte comes.

    Args:
        copy: is given how many seconds something may take, and what is to be told of progress.
        act: what is done.
    """
    for seconds in (1, 10, 60):
        once = Once(act)
        with pytest.raises(PaverError) as failed:
            copy(seconds, once)
        # One that was given up before its first byte shows nothing, and gets more time.
        if once.acted:
            return failed.value
    raise AssertionError("not a byte came")


# What comes ------------------------------------------------------------------------------------------------------


def test_a_file_comes_whole_with_its_digest_for_everybody_to_read(place: Place) -> None:
    told: list[tuple[int, int]] = []
    copied = place.copy(on_progress=lambda done, total: told.append((done, total)))
    assert copied == nfs.Copied(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert place.target.read_bytes() == CONTENT
    assert place.target.stat().st_mode & 0o777 == 0o644
    assert place.left() == [ISO]
    assert (0, len(CONTENT)) in told


def test_its_size_is_told_without_reading_it(place: Place) -> None:
    (place.served / "iso" / "large.iso").touch(mode=0o644)
    os.truncate(place.served / "iso" / "large.iso", LARGE)
    assert nfs.size(place.machine(), nfs_url.parse(f"nfs://{SERVER}/export/iso/large.iso")) == LARGE


def test_a_port_that_is_named_is_the_one_that_is_asked(place: Place) -> None:
    assert nfs.size(place.machine(), nfs_url.parse(f"nfs://{SERVER}:2049/export/iso/{ISO}")) == len(CONTENT)
    with pytest.raises(Unobservable, match="does not answer"):
        nfs.size(place.machine(), nfs_url.parse(f"nfs://{SERVER}:2050/export/iso/{ISO}"))


# What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        (f"/other/{ISO}", Refused, "10.20.0.9 does not export /other to jumpbox"),
        (f"/export/none/{ISO}", BadInput, "is not there"),
        ("/export/iso/none.iso", BadInput, "10.20.0.9:/export/iso/none.iso is not there"),
        ("/export/iso", BadInput, "10.20.0.9:/export/iso is no plain file"),
    ],
)
def test_what_is_not_exported_not_there_or_no_file_is_told_apart(
    place: Place, path: str, kind: type[PaverError], words: str
) -> None:
    with pytest.raises(kind, match=words) as refusal:
        place.copy(path)
    assert refusal.value.seen
    assert refusal.value.do
    assert place.left() == []


def test_a_file_that_not_everybody_may_read_is_refused_with_what_to_do(place: Place) -> None:
    (place.served / "iso" / ISO).chmod(0o600)
    with pytest.raises(Refused, match="does not let jumpbox read") as refusal:
        place.copy()
    assert "chmod a+r" in refusal.value.do
    assert place.left() == []


def test_an_account_without_ports_below_1024_is_refused_and_told_that_they_may_be_why(place: Place) -> None:
    first = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    place.raised.run(["sh", "-c", f"echo 1024 >{first}"])
    try:
        ordinary = place.machine("unshare", "-U", "--map-user=1002", "--map-group=1002")
        remote = nfs_url.parse(f"nfs://{SERVER}/export/iso/{ISO}")
        with pytest.raises(Refused, match="does not export /export/iso") as refusal:
            nfs.size(ordinary, remote)
        assert "below 1024" in refusal.value.why
        assert nfs.size(place.machine(), remote) == len(CONTENT)
    finally:
        place.raised.run(["sh", "-c", f"echo 0 >{first}"])


def test_a_file_without_room_for_it_is_refused_before_a_byte_is_read(place: Place) -> None:
    os.truncate(place.served / "iso" / ISO, 2**42)
    with pytest.raises(Refused, match="too little room") as refusal:
        place.copy(times=2)
    assert "8796.1 GB" in refusal.value.why
    assert place.left() == []


def test_a_machine_without_the_client_says_which_package_has_it(place: Place, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="jumpbox has no nfs-ls") as refusal:
        nfs.size(place.machine(path=str(tmp_path)), nfs_url.parse(f"nfs://{SERVER}/export/iso/{ISO}"))
    assert "libnfs-utils" in refusal.value.do


# Servers that go -------------------------------------------------------------------------------------------------


def test_a_server_that_nobody_is_does_not_answer_and_nothing_hangs(place: Place) -> None:
    place.raised.run(["ip", "addr", "replace", f"{NOBODY}/32", "dev", "lo"])
    with pytest.raises(Unobservable, match=f"the NFS server {NOBODY} does not answer jumpbox") as silence:
        place.copy(server=NOBODY)
    assert "2049" in silence.value.do


@pytest.mark.timeout(45)  # the client itself gives up after 60 s
def test_a_server_that_takes_calls_and_answers_none_is_given_up_in_time(place: Place) -> None:
    with place.server() as server:
        server("STOP")
        with pytest.raises(Unobservable, match="does not answer") as silence:
            place.copy(server=OTHER, limit=1)
    assert "no answer within 1 s" in silence.value.seen
    assert place.clients() == []


@pytest.mark.timeout(45)  # the client itself gives up after 60 s
def test_a_server_that_falls_silent_in_the_middle_is_given_up_and_leaves_nothing_half(place: Place) -> None:
    os.truncate(place.served / "iso" / ISO, LARGE)
    with place.server() as server:
        silence = cut_short(
            lambda seconds, once: place.copy(server=OTHER, quiet=seconds, limit=seconds, on_progress=once),
            lambda: server("STOP"),
        )
    assert isinstance(silence, Unobservable)
    assert "fell silent" in silence.what
    assert "of 4.29 GB came" in silence.seen
    assert place.left() == []
    assert place.clients() == []


@pytest.mark.timeout(45)  # the client itself gives up after 60 s
@pytest.mark.parametrize("began", [True, False])
def test_a_run_that_is_to_stop_is_heard_while_the_server_is_silent(place: Place, *, began: bool) -> None:
    os.truncate(place.served / "iso" / ISO, LARGE)
    with place.server() as server:
        told: list[int] = []

        def stop(done: int, _: int) -> None:
            # Once it is silent nothing comes any more: what is told again has come before.
            if told and done == told[-1] and bool(done) == began:
                raise InterruptedError
            if done and not any(told):
                server("STOP")
            told.append(done)

        if not began:
            server("STOP")
        with pytest.raises(InterruptedError):
            place.copy(server=OTHER, limit=600, quiet=600, on_progress=stop)
    until(lambda: place.left() == [] and place.clients() == [], "nothing is left")


def test_a_server_that_goes_in_the_middle_leaves_nothing_half_and_the_next_run_brings_it(
    place: Place,
) -> None:
    os.truncate(place.served / "iso" / ISO, LARGE)
    with place.server() as server, pytest.raises(Unobservable, match="broke off") as silence:
        place.copy(server=OTHER, on_progress=Once(lambda: server("KILL")))
    assert "run the same command again" in silence.value.do
    assert place.left() == []
    (place.served / "iso" / ISO).write_bytes(CONTENT)
    with place.server():
        place.copy(server=OTHER)
    assert place.target.read_bytes() == CONTENT


def test_a_file_that_gets_shorter_while_it_is_read_is_no_file_that_came(place: Place) -> None:
    file = place.served / "iso" / ISO
    os.truncate(file, LARGE)
    changed = cut_short(
        lambda seconds, once: place.copy(quiet=seconds, on_progress=once), lambda: os.truncate(file, 1000)
    )
    assert "changed while it was read" in changed.what
    assert place.left() == []
    assert place.clients() == []


def test_a_file_that_is_being_read_already_is_not_read_twice(place: Place) -> None:
    os.truncate(place.served / "iso" / ISO, LARGE)
    said: list[PaverError] = []

    def again() -> None:
        with pytest.raises(Refused, match="is being read already") as refusal:
            place.copy()
        said.append(refusal.value)
        os.truncate(place.served / "iso" / ISO, 0)

    changed = cut_short(lambda seconds, once: place.copy(quiet=seconds, on_progress=once), again)
    assert "changed while it was read" in changed.what
    assert said


def test_a_reader_that_is_killed_takes_its_client_and_what_is_half_along(place: Place) -> None:
    os.truncate(place.served / "iso" / ISO, LARGE)

    seen: list[str] = []

    def leave() -> None:
        seen.extend(place.clients())
        # Whoever listens is gone: the reader is killed, which cannot clean up.
        raise InterruptedError

    with pytest.raises(InterruptedError):
        place.copy(on_progress=Once(leave))
    assert len(seen) == 1
    until(lambda: place.left() == [] and place.clients() == [], "nothing is left")


def test_reading_passes_no_gate_and_copying_passes_it_by_its_name(place: Place) -> None:
    seen: list[str] = []
    machine = place.machine()
    remote = nfs_url.parse(f"nfs://{SERVER}/export/iso/{ISO}")
    gated = MachineWriter(machine.host, lambda call, *_: seen.append(call))
    nfs.size(MachineReader(machine.host), remote)
    nfs.size(gated, remote)
    assert seen == []
    nfs.copy(gated, remote, str(place.target))
    assert seen == ["nfs:copy"]
