"""A plan by the newest secrets: what the jumpbox sealed since is taken in before anybody sees the plan."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paver.engine.planner import Request
from paver.engine.values import Secret
from paver.errors import PaverError, Unobservable
from paver.runs import newest, reach, wayback
from paver.sealed import files, keys, store
from paver.sealed.errors import DivergedError
from paver.transport.logins import LoginError
from paver.trust.vault import Vault

THERE = wayback.sealed_there("north")


@dataclasses.dataclass
class Session:
    """Plans by the password that its store has; the world lets in with `right` alone, where it is given."""

    vault: Vault
    sealed: dict[str, bytes]
    station: str = "outside"
    right: str | None = None
    silent: bool = False
    planned: list[str] = dataclasses.field(default_factory=list)

    @property
    def site(self) -> Any:
        return SimpleNamespace(name="north")

    @property
    def paved(self) -> Any:
        return SimpleNamespace(jumpbox=SimpleNamespace(name="machine:jumpbox"))

    @property
    def connections(self) -> Any:
        return SimpleNamespace(get=self._connected)

    def _connected(self, _: str) -> Any:
        if self.silent:
            raise Unobservable("the jumpbox does not answer")
        return SimpleNamespace(reader=lambda: SimpleNamespace(read_file=self.sealed.get))

    def plan(self, _: Request) -> Any:
        self.planned.append(self.vault.reveal(Secret("cpi")))
        if self.right is not None and self.planned[-1] != self.right:
            raise LoginError("vcenter refuses the login of cpi")
        return self.planned[-1]


@pytest.fixture
def key(tmp_path: Path) -> keys.KeyFile:
    return keys.new_key_file(tmp_path / "site.key")


def put(path: Path, key: keys.KeySource, **values: str) -> None:
    with store.writer(path, key, "a test") as writer:
        for name, value in values.items():
            writer.put(name, value, made_by="a test")


@pytest.fixture
def former(tmp_path: Path, key: keys.KeyFile) -> Path:
    path = tmp_path / "former" / "north.sealed"
    path.parent.mkdir()
    store.create(path, key)
    put(path, key, cpi="former")
    return path


@pytest.fixture
def rotated(tmp_path: Path, former: Path, key: keys.KeyFile) -> Path:
    path = tmp_path / "rotated.sealed"
    shutil.copy(former, path)
    put(path, key, cpi="newer")
    return path


def session(path: Path, key: keys.KeyFile, there: bytes | None, **more: Any) -> Session:
    vault = Vault(path, key, "paver plan", path.parent / "sealed.seen")
    return Session(vault, {} if there is None else {THERE: there}, **more)


def plan(one: Session, request: Request | None = None) -> tuple[Any, list[str]]:
    told: list[str] = []
    return newest.plan(one, request or Request(), told.append), told  # type: ignore[arg-type]


def test_a_plan_is_by_what_the_jumpbox_sealed_since_and_says_so(
    former: Path, rotated: Path, key: keys.KeyFile
) -> None:
    one = session(former, key, rotated.read_bytes())
    assert plan(one) == ("newer", [newest.TAKEN])
    assert former.read_bytes() == rotated.read_bytes()


@pytest.mark.parametrize("there", ["the same", "older", "none"])
def test_where_the_jumpbox_has_nothing_newer_the_world_is_read_once_and_nothing_told(
    former: Path, rotated: Path, key: keys.KeyFile, there: str
) -> None:
    copy = {"the same": rotated.read_bytes(), "older": former.read_bytes(), "none": None}[there]
    one = session(rotated, key, copy)
    assert plan(one) == ("newer", [])
    assert one.planned == ["newer"]


def test_whom_a_former_password_does_not_let_in_the_jumpbox_is_asked_for_the_newer_one(
    former: Path, rotated: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = session(former, key, rotated.read_bytes(), right="newer")
    monkeypatch.setattr(reach, "jumpbox", lambda each: each.connections.get("machine:jumpbox").reader())
    assert plan(one) == ("newer", [newest.TAKEN])
    assert one.planned == ["former", "newer"]


@pytest.mark.parametrize("silent", [False, True])
def test_a_login_that_the_jumpboxs_secrets_do_not_help_is_told_as_it_was(
    rotated: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    one = session(rotated, key, rotated.read_bytes(), right="another", silent=silent)
    monkeypatch.setattr(reach, "jumpbox", lambda each: each.connections.get("machine:jumpbox").reader())
    with pytest.raises(LoginError, match="refuses the login of cpi"):
        plan(one)
    assert one.planned == ["newer"]


@pytest.mark.parametrize(
    ("more", "request_"), [({"station": "jumpbox"}, Request()), ({}, Request(offline=True))]
)
def test_nobody_is_asked_on_the_jumpbox_itself_and_by_a_plan_that_asks_nobody(
    former: Path, rotated: Path, key: keys.KeyFile, more: dict[str, Any], request_: Request
) -> None:
    one = session(former, key, rotated.read_bytes(), **more)
    assert plan(one, request_) == ("former", [])


def test_newer_secrets_that_cannot_be_taken_in_are_told_instead_of_a_plan_by_former_ones(
    former: Path, rotated: Path, key: keys.KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise PaverError("the lock cannot be opened", why="Permission denied")

    monkeypatch.setattr(store, "receive", refuse)
    with pytest.raises(PaverError, match="newer secrets, and they cannot be taken in") as caught:
        plan(session(former, key, rotated.read_bytes()))
    assert (caught.value.why, caught.value.exit_code) == ("Permission denied", 1)
    assert THERE in caught.value.do
    assert "--sealed" in caught.value.do


def test_while_a_run_of_this_machine_writes_the_store_a_plan_leaves_it_to_that_one(
    former: Path, rotated: Path, key: keys.KeyFile
) -> None:
    one, before = session(former, key, rotated.read_bytes()), former.read_bytes()
    with files.locked(former, "paver apply"):
        assert plan(one) == ("former", [])
    assert former.read_bytes() == before


def _another(path: Path, key: keys.KeyFile) -> None:
    path.unlink()
    store.create(path, key)


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (lambda path, key: put(path, key, s3="ours"), "went different ways"),
        (_another, "are different stores"),
    ],
)
def test_stores_that_do_not_descend_from_each_other_are_told_with_every_file_that_stands_in_the_way(
    former: Path,
    rotated: Path,
    key: keys.KeyFile,
    ours: Callable[[Path, keys.KeyFile], None],
    says: str,
) -> None:
    one = session(former, key, rotated.read_bytes())
    ours(former, key)
    put(former, key, cpi="former")
    with pytest.raises(DivergedError, match=says) as caught:
        plan(one)
    assert THERE in caught.value.do
    assert str(former) in caught.value.do
    assert str(former.parent / "sealed.seen") in caught.value.do
    if "ways" in says:
        assert "only the jumpbox's sealed store has cpi\n" in caught.value.seen
        assert caught.value.seen.endswith(f"only {former} has cpi, s3")
