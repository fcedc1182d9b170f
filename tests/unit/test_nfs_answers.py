"""What the program over there says of an NFS server, and what comes of answers that are none of its."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.errors import BadInput, PaverError, Refused, Unobservable
from paver.transport import files, nfs, nfs_reader
from paver.transport.machine import Host, MachineReader, MachineWriter
from paver.transport.nfs_url import Remote
from paver.transport.shell import Input, Output, Ran

REMOTE = Remote("nas", None, "/iso/vcsa.iso")


class Saying:
    """A shell on which every command prints the same."""

    local = True

    def __init__(self, out: bytes, err: bytes = b"") -> None:
        self.out = out
        self.err = err

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Prints it; see `Shell.run`."""
        del stdin, timeout
        assert on_output is not None
        for start in range(0, len(self.out), 7):
            on_output(self.out[start : start + 7])
        return Ran(tuple(argv), 0, b"", self.err)

    def close(self) -> None:
        """Has nothing to hang up."""


def asked(out: bytes, err: bytes = b"") -> int:
    host = Host(
        "jumpbox", Saying(out, err), (), "python3", "/jobs", "/scratch", 60, files.DirectFiles("jumpbox")
    )
    return nfs.size(MachineReader(host), REMOTE)


def test_a_size_is_read_out_of_whatever_pieces_it_comes_in() -> None:
    assert asked(b'{"end": "ok", "size": 12345678901}\n') == 12_345_678_901


def test_an_answer_that_is_none_is_told_with_who_gave_it() -> None:
    with pytest.raises(Unobservable, match="something else answered") as trouble:
        asked(b"Welcome to jumpbox\n")
    assert trouble.value.seen == "Welcome to jumpbox"
    with pytest.raises(PaverError, match="could not be asked") as refused:
        asked(b"", b"sudo: a password is required\n")
    assert refused.value.seen == "sudo: a password is required"


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("RPC error: Mount failed with error MNT3ERR_ACCES(13) Permission denied(13)", "refused"),
        ("RPC error: Mount failed with error MNT3ERR_NOENT(2) Operation not permitted(1)", "absent"),
        ("NFS: Lookup of /vcsa.iso failed with NFS3ERR_NOENT(-2)", "absent"),
        ("NFS: ACCESS denied. Required access -r-. Allowed access ---", "denied"),
        ("NFS: Lookup of /a failed with NFS3ERR_ACCES(-13)", "denied"),
        ("NFS: GETATTR of / failed with NFS3ERR_STALE(-70)", "stale"),
    ],
)
def test_each_refusal_in_libnfs_words_has_its_meaning(words: str, end: str) -> None:
    assert next(how for how, known in nfs_reader.MEANINGS if any(word in words for word in known)) == end


@pytest.mark.parametrize(("user", "able", "nobody"), [(0, 0, True), (0, 1, False), (1000, 0, False)])
def test_as_root_a_client_is_nobody_with_the_right_to_low_ports_alone_where_there_is_a_nobody(
    monkeypatch: pytest.MonkeyPatch, user: int, able: int, *, nobody: bool
) -> None:
    def run(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(argv, able)

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(subprocess, "run", run)
    before = nfs_reader.before()
    assert before[:2] == ("setpriv", "--pdeathsig=KILL")
    wanted = {"--reuid=65534", "--no-new-privs", "--inh-caps=-all,+net_bind_service"}
    assert (wanted <= set(before)) == nobody


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("unreachable", Unobservable),
        ("refused", Refused),
        ("denied", Refused),
        ("absent", BadInput),
        ("no-file", BadInput),
        ("stalled", Unobservable),
        ("broken", Unobservable),
        ("stale", Unobservable),
        ("changed", PaverError),
        ("no-program", BadInput),
        ("busy", Refused),
        ("disk", PaverError),
    ],
)
def test_every_end_is_told_with_what_to_do(end: str, kind: type[PaverError]) -> None:
    with pytest.raises(kind) as trouble:
        asked(f'{{"end": "{end}", "seen": "words", "done": 1, "size": 2}}\n'.encode())
    assert type(trouble.value) is kind
    assert trouble.value.what
    assert trouble.value.do


def test_a_file_that_grows_while_it_is_read_fills_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs_reader, "pieces", lambda _argv, _quiet: iter([b"12345", b"6", b"7" * 1000]))
    asked: Any = SimpleNamespace(path="iso", url=lambda path: path)
    sink = io.BytesIO()
    with pytest.raises(nfs_reader.Ended) as ended:
        nfs_reader._poured(asked, 5, 1.0, 1.0, sink)
    assert ended.value.told["end"] == "changed"
    assert sink.getvalue() == b"12345"


def test_a_folder_that_never_ends_is_given_one_time_for_all_that_it_lists() -> None:
    with Path("/dev/zero").open("rb") as endless, pytest.raises(nfs_reader.Quiet):
        for _ in nfs_reader._read(endless, 0.05, whole=True):
            pass


def test_a_reader_tells_that_it_is_there_while_the_server_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nfs_reader, "TELL", 0.001)
    # A second passes from one look at the clock to the next, of which it begins with the first.
    monkeypatch.setattr(nfs_reader, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as silent, os.fdopen(writing, "wb"), pytest.raises(nfs_reader.Quiet):
        next(nfs_reader._read(silent, 5, whole=False))
    assert capsys.readouterr().out.splitlines() == ["{}"] * 4


def test_whoever_copies_is_told_what_came_also_by_steps_that_say_nothing() -> None:
    said = b'{}\n{"size": 9}\n{}\n{"done": 5}\n{}\n{"end": "ok", "size": 9, "sha256": "ab"}\n'
    host = Host("jumpbox", Saying(said), (), "python3", "/jobs", "/scratch", 60, files.DirectFiles("jumpbox"))
    told: list[tuple[int, int]] = []
    writer = MachineWriter(host, lambda *_: None)
    nfs.copy(writer, REMOTE, "/iso", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 0), (0, 9), (0, 9), (5, 9), (5, 9)]
