"""The way back to a run that was handed over: noted before it starts, used before anything else, forgotten at its end."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.engine.values import ResourceId, output
from paver.errors import PaverError, Refused, Unobservable
from paver.runs import wayback
from paver.runs.folder import HANDED
from paver.sealed import keys, store
from paver.transport import job
from paver.transport.machine import MachineConnector

PUBLISHED = "ssh-ed25519 AAAA\nssh-rsa BBBB"
CONNECTOR = MachineConnector(
    name="jumpbox",
    address="10.20.0.10",
    host_keys=output(ResourceId("vsphere.jumpbox:jumpbox"), "host_keys", str),
)


@dataclasses.dataclass
class Beyond:
    """A jumpbox as it is reached: with which settings, and what it has."""

    sealed: bytes | None = None
    silent: bool = False
    dialled: list[MachineConnector] = dataclasses.field(default_factory=list)

    def reach(self, connector: MachineConnector) -> Any:
        self.dialled.append(connector)
        if self.silent:
            raise Unobservable("the jumpbox does not answer")
        machine = SimpleNamespace(read_file=lambda _: self.sealed)
        return SimpleNamespace(reader=lambda: machine, close=lambda: None)


def session(beyond: Beyond, sealed: Path, *, opens: bool = True, station: str = "outside") -> Any:
    return SimpleNamespace(
        paved=SimpleNamespace(
            jumpbox=SimpleNamespace(name="machine:jumpbox"), connectors={"machine:jumpbox": CONNECTOR}
        ),
        board=SimpleNamespace(for_reading=lambda _: PUBLISHED),
        vault=SimpleNamespace(path=sealed, opens=opens, forget=lambda: None),
        site=SimpleNamespace(name="north"),
        station=station,
        reach=beyond.reach,
    )


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    store.create(tmp_path / "north.sealed", keys.new_key_file(tmp_path / "site.key"))
    return tmp_path / "north.sealed"


def test_without_a_note_nobody_is_asked(sealed: Path, tmp_path: Path) -> None:
    beyond = Beyond()
    assert not wayback.fetch(session(beyond, sealed), tmp_path)
    assert beyond.dialled == []


def test_the_jumpbox_is_reached_by_the_host_key_that_was_noted_and_asked_for_what_it_sealed(
    sealed: Path, tmp_path: Path
) -> None:
    source = keys.KeyFile(tmp_path / "site.key")
    before = sealed.read_bytes()
    with store.writer(sealed, source, "the jumpbox") as writer:
        writer.put("vmca", "x", made_by="the jumpbox")
    beyond = Beyond(sealed=sealed.read_bytes())
    sealed.write_bytes(before)
    wayback.note(session(beyond, sealed), tmp_path)
    assert wayback.fetch(session(beyond, sealed), tmp_path)
    assert beyond.dialled == [dataclasses.replace(CONNECTOR, host_keys=PUBLISHED)]
    assert "vmca" in store.open_index(sealed).entries


def test_the_note_holds_no_secret_and_is_its_owners_alone(sealed: Path, tmp_path: Path) -> None:
    wayback.note(session(Beyond(), sealed), tmp_path)
    file = tmp_path / HANDED
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_bytes()) == {
        "address": "10.20.0.10",
        "host_keys": PUBLISHED,
        "port": 22,
        "schema": "paver.handed/1",
        "user": "paver",
    }
    wayback.forget(tmp_path)
    assert not file.exists()


@pytest.mark.parametrize("more", [{"opens": False}, {"station": "jumpbox"}])
def test_who_has_no_key_or_is_on_the_jumpbox_asks_nobody(
    sealed: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    beyond = Beyond()
    wayback.note(session(beyond, sealed), tmp_path)
    assert not wayback.fetch(session(beyond, sealed, **more), tmp_path)
    assert beyond.dialled == []


def test_a_jumpbox_that_does_not_answer_is_left_to_whoever_asks_it_next(sealed: Path, tmp_path: Path) -> None:
    beyond = Beyond(silent=True)
    wayback.note(session(beyond, sealed), tmp_path)
    assert not wayback.fetch(session(beyond, sealed), tmp_path)


def test_a_note_that_can_not_be_read_is_said_to_be_so(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / HANDED).write_text("{")
    with pytest.raises(PaverError, match="can't be read"):
        wayback.fetch(session(Beyond(), sealed), tmp_path)


@pytest.fixture
def newer(sealed: Path, tmp_path: Path) -> bytes:
    """The store as the jumpbox wrote it on."""
    before = sealed.read_bytes()
    with store.writer(sealed, keys.KeyFile(tmp_path / "site.key"), "the jumpbox") as writer:
        writer.put("vmca", "x", made_by="the jumpbox")
    after = sealed.read_bytes()
    sealed.write_bytes(before)
    return after


def test_whoever_writes_the_store_next_takes_in_first_what_a_run_that_ended_there_sealed(
    sealed: Path, tmp_path: Path, newer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "state", lambda *_: job.JobState("ended", code=0))
    wayback.settle(session(Beyond(silent=True), sealed), tmp_path)
    beyond = Beyond(sealed=newer)
    wayback.note(session(beyond, sealed), tmp_path)
    wayback.settle(session(beyond, sealed, station="jumpbox"), tmp_path)
    assert beyond.dialled == []
    wayback.settle(session(beyond, sealed), tmp_path)
    assert sealed.read_bytes() == newer


@pytest.mark.parametrize("silent", [False, True])
def test_nothing_is_written_while_a_run_goes_on_there_or_may(
    sealed: Path, tmp_path: Path, newer: bytes, monkeypatch: pytest.MonkeyPatch, *, silent: bool
) -> None:
    running = job.JobState("running", argv=("--begun-by=alice on desk",), started=1_795_456_800)
    monkeypatch.setattr(job, "state", lambda *_: running)
    before = sealed.read_bytes()
    beyond = Beyond(sealed=newer, silent=silent)
    wayback.note(session(beyond, sealed), tmp_path)
    with pytest.raises(Refused) as caught:
        wayback.settle(session(beyond, sealed), tmp_path)
    assert caught.value.seen.startswith("the jumpbox does not answer" if silent else "begun by alice on desk")
    assert "`paver follow`" in caught.value.do
    assert (f"remove {tmp_path / HANDED}" in caught.value.do) is silent
    assert sealed.read_bytes() == before
