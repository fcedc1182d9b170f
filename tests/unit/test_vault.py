"""The sealed store as the engine writes and reads it: through the gate, nobody else's, never an older copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paver.driver import Mark, ResourceId, Secret
from paver.errors import BadInput, PaverError, Refused
from paver.sealed import keys, store
from paver.sealed.errors import RolledBackError
from paver.trust.vault import Vault, WritingFace

OURS = Mark("north", ResourceId("trust.password:ours"), "action", complete=True)
OTHERS = Mark("north", ResourceId("trust.password:others"), "action", complete=True)


@pytest.fixture
def key(tmp_path: Path) -> keys.KeyFile:
    return keys.new_key_file(tmp_path / "key")


@pytest.fixture
def path(tmp_path: Path, key: keys.KeyFile) -> Path:
    made = tmp_path / "north.sealed"
    store.create(made, key)
    return made


def passes(call: str, target: str = "", detail: object = None) -> None:
    del call, target, detail


def refuses(call: str, target: str = "", detail: object = None) -> None:
    del target, detail
    raise Refused(f"{call} is not in the plan")


def test_a_key_that_is_not_there_is_named_and_is_to_be_brought_back_where_a_store_is_sealed_with_it(
    tmp_path: Path, path: Path
) -> None:
    sealed = Vault(path, None, "test", named="file:site.key")
    for asks in (lambda: sealed.reveal(Secret("esx-root")), sealed.writer):
        with pytest.raises(BadInput) as told:
            asks()
        assert told.value.seen == "secrets.key: file:site.key, which is not there"
        assert "bring it back from its copy" in told.value.do
    with pytest.raises(BadInput, match="to open secret:esx-root") as told:
        Vault(tmp_path / "none.sealed", None, "test", named="file:site.key").reveal(Secret("esx-root"))
    assert "make one with `paver secrets init`" in told.value.do


@pytest.mark.parametrize(
    ("write", "call"),
    [
        (lambda face: face.put("a", "another value", {}, OURS), "seal:put"),
        (lambda face: face.remove("a"), "seal:remove"),
    ],
)
def test_what_the_gate_refuses_is_not_sealed(
    path: Path, key: keys.KeyFile, write: Callable[[WritingFace], Any], call: str
) -> None:
    with_one = Vault(path, key, "test")
    WritingFace(with_one, passes).put("a", "a value", {}, OURS)
    with_one.close()
    before = path.read_bytes()
    vault = Vault(path, key, "test")
    with pytest.raises(Refused, match=call):
        write(WritingFace(vault, refuses))
    vault.close()
    assert path.read_bytes() == before


def test_a_secret_that_is_somebody_elses_is_not_written_over(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a person") as writer:
        writer.put("typed", "a value", made_by="paver secrets set")
    vault = Vault(path, key, "test")
    face = WritingFace(vault, passes)
    face.put("made", "a value", {}, OTHERS)
    for name in ("typed", "made"):
        with pytest.raises(Refused, match=r"that is not trust\.password:ours's"):
            face.put(name, "another value", {}, OURS)
        assert vault.reveal(Secret(name)) == "a value"
    vault.close()


@pytest.mark.parametrize("use", [lambda vault: vault.reveal(Secret("a")), lambda vault: vault.writer()])
def test_an_older_copy_of_the_store_is_neither_opened_nor_written(
    tmp_path: Path, path: Path, key: keys.KeyFile, use: Callable[[Vault], object]
) -> None:
    older = path.read_bytes()
    vault = Vault(path, key, "test", tmp_path / "seen")
    WritingFace(vault, passes).put("a", "a value", {}, OURS)
    vault.close()
    path.write_bytes(older)
    again = Vault(path, key, "test", tmp_path / "seen")
    with pytest.raises(RolledBackError) as caught:
        use(again)
    assert f"remove {tmp_path / 'seen'}" in caught.value.do
    again.close()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, path: Path, key: keys.KeyFile) -> None:
    other = tmp_path / "other"
    other.write_text("somebody else's")
    lock = path.with_name(f"{path.name}.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(other)
    vault = Vault(path, key, "test")
    with pytest.raises(PaverError, match="can't be opened"):
        vault.writer()
    assert other.read_text() == "somebody else's"
