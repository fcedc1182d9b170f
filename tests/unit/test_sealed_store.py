"""The sealed store: what goes in comes out, and nothing else ever does."""

import dataclasses
import pickle
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paver.errors import BadInput, PaverError, Refused
from paver.sealed import envelope, keys, store
from paver.sealed.errors import (
    DamagedStoreError,
    DivergedError,
    NoSuchSecretError,
    RolledBackError,
    StoreLockedError,
    WrongKeyError,
)
from paver.signing import canonical

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture
def key(tmp_path: Path) -> keys.KeyFile:
    return keys.new_key_file(tmp_path / "site.key")


@pytest.fixture
def path(tmp_path: Path, key: keys.KeyFile) -> Path:
    store.create(tmp_path / "site.sealed", key)
    return tmp_path / "site.sealed"


def put(path: Path, key: keys.KeySource, **values: str) -> None:
    with store.writer(path, key, "a test") as writer:
        for name, value in values.items():
            writer.put(name, value, made_by="a test")


def test_a_secret_comes_back_with_its_public_part(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "paver apply") as writer:
        version = writer.put("ca", "PRIVATE KEY", public={"certificate": "PEM", "bits": 3072}, made_by="4f1c")
    reader = store.unlock(path, key)
    assert reader.secret("ca").reveal() == "PRIVATE KEY"
    entry = reader.index.entry("ca")
    assert (entry.version, entry.public, entry.current.made_by) == (
        version,
        {"certificate": "PEM", "bits": 3072},
        "4f1c",
    )


def test_the_index_is_read_without_the_key_and_holds_no_value(path: Path, key: keys.KeyFile) -> None:
    put(path, key, esx_root="hunter2!")
    key.path.unlink()
    assert list(store.open_index(path).entries) == ["esx_root"]
    assert b"hunter2" not in path.read_bytes()


def test_the_file_is_readable_by_its_owner_only(path: Path, key: keys.KeyFile) -> None:
    put(path, key, a="hunter2!")
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_change_is_a_generation_and_on_disk_at_once(path: Path, key: keys.KeyFile) -> None:
    assert store.open_index(path).generation == 1
    with store.writer(path, key, "a test") as writer:
        writer.put("a", "first", made_by="a test")
        assert store.unlock(path, key).secret("a").reveal() == "first"
        writer.put_all({"a": ("second", {}), "b": ("other", {})}, made_by="a test")
        assert store.open_index(path).generation == 3


def test_a_new_version_keeps_the_two_before_it(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a test") as writer:
        versions = [writer.put("a", f"value {number}", made_by="a test") for number in range(4)]
    reader = store.unlock(path, key)
    assert [version.version for version in reader.index.entry("a").all()] == versions[:0:-1]
    assert reader.secret("a", versions[1]).reveal() == "value 1"
    with pytest.raises(NoSuchSecretError, match="no longer"):
        reader.secret("a", versions[0])
    assert len(set(versions)) == 4


def test_describing_changes_the_public_part_and_not_the_version(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a test") as writer:
        version = writer.put("a", "hunter2!", public={"expires": "2026"}, made_by="a test")
        writer.describe("a", {"expires": "2027"})
        assert writer.secret("a").reveal() == "hunter2!"
    assert store.open_index(path).entry("a").version == version
    assert store.open_index(path).entry("a").public == {"expires": "2027"}


def test_a_removed_secret_is_gone_with_all_its_versions(path: Path, key: keys.KeyFile) -> None:
    put(path, key, a="hunter2!", b="other")
    with store.writer(path, key, "a test") as writer:
        writer.remove("a")
        writer.remove("absent")
    reader = store.unlock(path, key)
    assert [name for name, _ in reader.all_values()] == ["b"]
    with pytest.raises(NoSuchSecretError):
        reader.secret("a")


def test_a_public_part_that_contains_the_secret_is_refused(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a test") as writer, pytest.raises(BadInput, match="secret itself"):
        writer.put("a", "line\nhunter2!", public={"note": ["x line\nhunter2! y"]}, made_by="a test")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a\n", "é", "a" * 201])
def test_a_name_that_is_none_is_refused(path: Path, key: keys.KeyFile, name: str) -> None:
    with store.writer(path, key, "a test") as writer, pytest.raises(BadInput):
        writer.put(name, "hunter2!", made_by="a test")


def test_an_opened_store_shows_no_value_and_is_not_pickled(path: Path, key: keys.KeyFile) -> None:
    put(path, key, a="hunter2!")
    reader = store.unlock(path, key)
    assert "hunter2" not in repr(reader)
    with pytest.raises(TypeError):
        pickle.dumps(reader)
    with store.writer(path, key, "a test") as writer:
        assert "hunter2" not in repr(writer) + repr(vars(writer))


def test_a_store_is_never_overwritten_by_a_new_one(path: Path, key: keys.KeyFile) -> None:
    before = path.read_bytes()
    with pytest.raises(Refused):
        store.create(path, key)
    assert path.read_bytes() == before


def test_a_second_writer_is_refused_and_told_who_writes(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "paver apply"):
        with pytest.raises(StoreLockedError) as caught, store.writer(path, key, "paver secrets set"):
            pass
        assert "paver apply, process " in caught.value.seen
        assert store.unlock(path, key).index.generation == 1
    with store.writer(path, key, "paver secrets set"):
        pass


def test_threads_of_one_run_may_write_at_once(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a test") as writer:
        threads = [
            threading.Thread(target=writer.put, args=(f"secret-{number}", "x"), kwargs={"made_by": "t"})
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    index = store.open_index(path)
    assert (len(index.entries), index.generation) == (8, 9)


def test_a_writer_without_its_lock_writes_nothing(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "a test") as writer:
        pass
    with pytest.raises(RuntimeError):
        writer.put("a", "hunter2!", made_by="a test")


def test_a_file_changed_under_the_writer_is_not_overwritten(path: Path, key: keys.KeyFile) -> None:
    old = path.read_bytes()
    put(path, key, a="hunter2!")
    with store.writer(path, key, "a test") as writer:
        path.write_bytes(old)
        with pytest.raises(Refused, match="changed by something else"):
            writer.put("b", "x", made_by="a test")
    assert path.read_bytes() == old


def test_another_key_is_told_apart_from_a_damaged_file(path: Path, key: keys.KeyFile, tmp_path: Path) -> None:
    put(path, key, a="hunter2!")
    with pytest.raises(WrongKeyError, match="does not open"):
        store.unlock(path, keys.new_key_file(tmp_path / "other.key"))


def test_a_passphrase_opens_what_it_sealed_and_another_does_not(tmp_path: Path) -> None:
    path = tmp_path / "site.sealed"
    right = keys.Passphrase(lambda: "correct horse battery", cost=2**4)
    store.create(path, right)
    put(path, right, a="hunter2!")
    assert store.unlock(path, right).secret("a").reveal() == "hunter2!"
    with pytest.raises(WrongKeyError):
        store.unlock(path, keys.Passphrase(lambda: "wrong horse battery", cost=2**4))


def test_after_a_new_key_the_old_one_opens_nothing(path: Path, key: keys.KeyFile, tmp_path: Path) -> None:
    put(path, key, a="hunter2!")
    new = keys.new_key_file(tmp_path / "new.key")
    before = store.open_index(path)
    with store.writer(path, key, "paver secrets rekey") as writer:
        writer.rekey(new)
        writer.put("b", "other", made_by="a test")
    with pytest.raises(WrongKeyError) as caught:
        store.unlock(path, key)
    assert "the key that it was sealed with last" in caught.value.do
    assert store.unlock(path, new).secret("a").reveal() == "hunter2!"
    assert store.open_index(path).store == before.store


def test_an_older_copy_is_refused_by_who_saw_a_newer_one(path: Path, key: keys.KeyFile) -> None:
    old = path.read_bytes()
    put(path, key, a="hunter2!")
    seen = store.open_index(path).generation
    path.write_bytes(old)
    for opening in (
        lambda: store.open_index(path, minimum=seen),
        lambda: store.unlock(path, key, minimum=seen),
    ):
        with pytest.raises(RolledBackError) as caught:
            opening()
        assert "generation 1, seen before 2" in caught.value.seen


def test_another_store_is_refused_by_who_knows_this_one(
    path: Path, key: keys.KeyFile, tmp_path: Path
) -> None:
    other = store.create(tmp_path / "other.sealed", key)
    with pytest.raises(DivergedError, match="another store"):
        store.open_index(path, store=other.store)
    assert store.open_index(path, store=store.open_index(path).store)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path, key: keys.KeyFile) -> None:
    for opening in (
        lambda: store.open_index(tmp_path / "absent"),
        lambda: store.unlock(tmp_path / "absent", key),
    ):
        with pytest.raises(BadInput, match="no sealed store") as caught:
            opening()
        assert "paver secrets init" in caught.value.do


def test_a_copy_that_follows_ours_takes_its_place(path: Path, key: keys.KeyFile, tmp_path: Path) -> None:
    there = tmp_path / "there.sealed"
    assert store.receive(there, path.read_bytes(), who="the hand-off")
    assert not store.receive(there, path.read_bytes(), who="the hand-off")
    put(there, key, a="hunter2!", b="other")
    assert store.receive(path, there.read_bytes(), who="the hand-off")
    assert store.unlock(path, key).secret("a").reveal() == "hunter2!"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_copy_that_ours_follows_changes_nothing(path: Path, key: keys.KeyFile) -> None:
    old = path.read_bytes()
    put(path, key, a="hunter2!")
    now = path.read_bytes()
    assert not store.receive(path, old, who="the hand-off")
    assert path.read_bytes() == now


@pytest.mark.parametrize("more", [0, 1, 3])
def test_copies_that_went_different_ways_are_refused_also_when_one_is_newer(
    path: Path, key: keys.KeyFile, tmp_path: Path, more: int
) -> None:
    there = tmp_path / "there.sealed"
    store.receive(there, path.read_bytes(), who="the hand-off")
    put(path, key, a="here")
    put(there, key, a="there", **{f"more_{number}": "there" for number in range(more)})
    ours = path.read_bytes()
    with pytest.raises(DivergedError, match="different ways"):
        store.receive(path, there.read_bytes(), who="the hand-off")
    assert path.read_bytes() == ours


def test_a_copy_of_another_store_is_refused(path: Path, key: keys.KeyFile, tmp_path: Path) -> None:
    store.create(tmp_path / "other.sealed", key)
    with pytest.raises(DivergedError, match="different stores"):
        store.receive(path, (tmp_path / "other.sealed").read_bytes(), who="the hand-off")


def test_a_copy_is_not_taken_in_while_someone_writes(path: Path, key: keys.KeyFile) -> None:
    with store.writer(path, key, "paver apply"), pytest.raises(StoreLockedError):
        store.receive(path, path.read_bytes(), who="the hand-off")


def test_ancestry_reaches_back_as_far_as_it_says(path: Path, key: keys.KeyFile) -> None:
    index = store.open_index(path)
    opened = envelope.Opened({}, envelope.new_seed())
    wrapped = envelope.Key(key.derive({"mode": "file"}), {"mode": "file"})
    for _ in range(envelope.ANCESTORS + 3):
        index = envelope.parse(envelope.seal({}, opened, key=wrapped, before=index), "x").index
    assert len(index.ancestry) == envelope.ANCESTORS


@given(entries=st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names_and_values_come_back(tmp_path: Path, key: keys.KeyFile, entries: dict[str, str]) -> None:
    path = tmp_path / "any.sealed"
    path.unlink(missing_ok=True)
    store.create(path, key)
    with store.writer(path, key, "a test") as writer:
        writer.put_all({name: (value, {}) for name, value in entries.items()}, made_by="a test")
    reader = store.unlock(path, key)
    assert {name: value.reveal() for name, value in reader.all_values()} == entries


def expect_refusal(path: Path, key: keys.KeyFile, content: bytes) -> None:
    path.write_bytes(content)
    for opening in (lambda: store.open_index(path), lambda: store.unlock(path, key)):
        with pytest.raises(PaverError) as caught:
            opening()
        assert "hunter2" not in "".join(caught.value.lines())


@pytest.fixture
def whole(path: Path, key: keys.KeyFile) -> bytes:
    with store.writer(path, key, "a test") as writer:
        writer.put_all({"a": ("hunter2!", {"user": "root"}), "b": ("other", {})}, made_by="a test")
    return path.read_bytes()


def test_a_store_cut_anywhere_is_damaged(path: Path, key: keys.KeyFile, whole: bytes) -> None:
    for length in range(len(whole)):
        expect_refusal(path, key, whole[:length])


def test_a_store_with_any_byte_changed_is_damaged(path: Path, key: keys.KeyFile, whole: bytes) -> None:
    for place in range(len(whole)):
        for change in (0x01, 0x20, 0x80):
            changed = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
            expect_refusal(path, key, changed)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_with_any_piece_exchanged_is_damaged(
    path: Path, key: keys.KeyFile, whole: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    piece = data.draw(st.binary(max_size=40) | st.just(whole[: end - start]))
    changed = whole[:start] + piece + whole[end:]
    if changed != whole:
        expect_refusal(path, key, changed)


@pytest.mark.parametrize("content", [b"", b"{}", b"not a store\n", b"\x00" * 5000])
def test_what_is_no_store_says_so(path: Path, key: keys.KeyFile, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="not a sealed store"):
        store.unlock(path, key)


def test_an_index_signed_anew_without_the_key_does_not_open(
    path: Path, key: keys.KeyFile, whole: bytes
) -> None:
    # Whoever writes the file but lacks the key signs with a key of their own: the identity changes, the key finds it.
    forged_seed = envelope.new_seed()
    forged = envelope.seal(
        {},
        envelope.Opened({}, forged_seed),
        key=envelope.Key(bytes(32), {"mode": "file"}),
        before=None,
    )
    theirs, ours = forged.split(b"\n"), whole.split(b"\n")
    known = store.open_index(path).store
    path.write_bytes(forged)
    with pytest.raises(DivergedError):
        store.open_index(path, store=known)
    with pytest.raises(WrongKeyError):
        store.unlock(path, key)
    path.write_bytes(b"\n".join([ours[0], theirs[1], ours[2], ours[3], b""]))
    with pytest.raises(DamagedStoreError):
        store.unlock(path, key)


def test_a_store_of_200_entries_is_opened_by_one_decryption(path: Path, key: keys.KeyFile) -> None:
    made = {f"secret-{n}": ("k" * 1700, {"certificate": "c" * 1300, "expires": "2027"}) for n in range(200)}
    with store.writer(path, key, "a test") as writer:
        writer.put_all(dict(made), made_by="a test")
    reader = store.unlock(path, key)
    assert len(reader.index.entries) == 200
    assert all(len(reader.secret(name).reveal()) == 1700 for name in made)


def test_an_index_that_hides_or_invents_what_is_sealed_is_damaged(key: keys.KeyFile) -> None:
    master = key.derive({"mode": "file"})
    hidden = envelope.Opened({"ca": {"1": "PRIVATE KEY"}}, envelope.new_seed())
    sealed = envelope.seal({}, hidden, key=envelope.Key(master, {"mode": "file"}), before=None)
    with pytest.raises(DamagedStoreError, match="damaged"):
        envelope.unseal(envelope.parse(sealed, "x"), master, "x")


def test_a_store_whose_seed_is_not_its_identity_is_refused(path: Path, key: keys.KeyFile) -> None:
    found = envelope.parse(path.read_bytes(), "a")
    master = key.derive(found.key_parameters)
    opened = envelope.unseal(found, master, "a")
    # The header names one store, and what is sealed holds another one's seed: whoever has the key could do it.
    plain = canonical.dumps({"seed": envelope.new_seed().hex(), "values": {}})
    sealing, _ = envelope._derived(master, found.salt)
    swapped = dataclasses.replace(found, sealed=AESGCM(sealing).encrypt(envelope._NONCE, plain, found.bound))
    assert envelope.unseal(found, master, "a").seed == opened.seed
    with pytest.raises(DamagedStoreError, match="a"):
        envelope.unseal(swapped, master, "a")
