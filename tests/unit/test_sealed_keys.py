"""Where the store's key comes from, and what is no key."""

import base64
import os
import threading
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from paver.errors import BadInput
from paver.sealed import keys
from paver.sealed.errors import WrongKeyError
from paver.sitefile import credentials

FILE = {"mode": "file"}


def written(path: Path, content: bytes, mode: int = 0o600) -> keys.KeyFile:
    path.write_bytes(content)
    path.chmod(mode)
    return keys.KeyFile(path)


def test_a_new_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    source = keys.new_key_file(tmp_path / "site.key")
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert len(source.derive(FILE)) == 32


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    source = keys.new_key_file(tmp_path / "site.key")
    before = source.derive(FILE)
    with pytest.raises(BadInput, match="is there already") as refused:
        keys.new_key_file(tmp_path / "site.key")
    assert "never overwritten" in refused.value.why
    assert source.derive(FILE) == before


def test_a_key_file_that_cannot_be_written_there_has_another_place_advised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="can't be written") as refused:
        keys.new_key_file(tmp_path / "file" / "site.key")
    assert refused.value.do.startswith("name another place with --key")


@pytest.mark.parametrize(
    "content", [b"k" * 32, base64.b64encode(b"k" * 32), base64.b64encode(b"k" * 32) + b"\n"]
)
def test_raw_and_base64_keys_are_the_same_key(tmp_path: Path, content: bytes) -> None:
    assert written(tmp_path / "key", content).derive(FILE) == b"k" * 32


@pytest.mark.parametrize(
    "content", [b"", b"k" * 31, b"k" * 33, base64.b64encode(b"k" * 16), b"not a key" * 40]
)
def test_a_file_without_32_bytes_is_no_key_and_its_content_is_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(BadInput, match="holds no key") as caught:
        written(tmp_path / "key", content).derive(FILE)
    assert "kkkk" not in "".join(caught.value.lines())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadInput, match="open to other users"):
        written(tmp_path / "key", b"k" * 32, mode).derive(FILE)


def test_a_key_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = keys.new_key_file(tmp_path / "site.key")
    os.chown(source.path, 65534, 65534)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BadInput, match="belongs to another user"):
        source.derive({"mode": "file"})


def test_a_missing_key_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="absent"):
        keys.KeyFile(tmp_path / "absent").derive(FILE)


def test_a_folder_or_a_fifo_is_no_key_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(BadInput):
            keys.KeyFile(path).derive(FILE)


def test_a_passphrase_is_stretched_to_the_same_key_each_time() -> None:
    source = keys.Passphrase(lambda: "correct horse battery", cost=2**4)
    parameters = source.parameters()
    assert source.derive(parameters) == source.derive(parameters)
    assert source.derive(parameters) != source.derive(source.parameters())


def test_a_short_passphrase_is_refused() -> None:
    source = keys.Passphrase(lambda: "hunter2", cost=2**4)
    with pytest.raises(BadInput, match="12 characters") as caught:
        source.derive(source.parameters())
    assert "hunter2" not in "".join(caught.value.lines())


@pytest.mark.parametrize(
    "change", [{"n": 2**40}, {"n": 3}, {"n": 0}, {"n": "16"}, {"r": 1000}, {"p": 1000}, {"salt": 1}]
)
def test_scrypt_parameters_that_would_eat_the_machine_are_refused(change: dict[str, int | str]) -> None:
    source = keys.Passphrase(lambda: "correct horse battery", cost=2**4)
    with pytest.raises(WrongKeyError):
        source.derive({**source.parameters(), **change})


def test_a_key_of_the_wrong_kind_says_which_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(WrongKeyError, match="passphrase"):
        keys.KeyFile(tmp_path / "key").derive({"mode": "scrypt"})
    with pytest.raises(WrongKeyError, match="key file"):
        keys.Passphrase(lambda: "").derive(FILE)


def test_references_of_the_site_file_name_a_source(tmp_path: Path) -> None:
    assert keys.key_source("file:/etc/paver/site.key") == keys.KeyFile(Path("/etc/paver/site.key"))
    assert keys.key_source("file:site.key", base=tmp_path) == keys.KeyFile(tmp_path / "site.key")
    assert isinstance(keys.key_source("passphrase", ask=lambda: ""), keys.Passphrase)


def test_a_tilde_is_the_users_home_and_other_paths_start_at_the_site_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, site = tmp_path / "home", tmp_path / "site"
    monkeypatch.setenv("HOME", str(home))
    for folder in (home, site):
        folder.mkdir()
        own(folder / "words", f"the words of {folder.name}\n")
    assert keys.key_source("file:~/x.key", base=site) == keys.KeyFile(home / "x.key")
    for path, words in (("~/words", "the words of home"), ("words", "the words of site")):
        source = keys.key_source(f"passphrase-file:{path}", base=site)
        assert isinstance(source, keys.Passphrase)
        assert source.ask() == words


def own(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def asked(path: Path) -> str:
    source = keys.key_source(f"passphrase-file:{path}")
    assert isinstance(source, keys.Passphrase)
    return source.ask()


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o640])
def test_a_passphrase_in_a_file_that_others_may_read_is_not_taken(tmp_path: Path, mode: int) -> None:
    own(tmp_path / "words", "correct horse battery")
    (tmp_path / "words").chmod(mode)
    with pytest.raises(BadInput, match="open to other users"):
        asked(tmp_path / "words")


def test_a_passphrase_in_a_file_of_another_user_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path / "words", "correct horse battery")
    if os.geteuid() == 0:
        # Root's own are everybody's to take.
        os.chown(tmp_path / "words", 65534, 65534)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(BadInput, match="belongs to another user"):
        asked(tmp_path / "words")


def test_a_passphrase_may_come_out_of_a_pipe_whose_writer_is_still_at_work() -> None:
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb", buffering=0) as pipe:
            pipe.write(b"correct horse ")
            pipe.write(b"battery")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert asked(Path(f"/proc/self/fd/{ours}")) == "correct horse battery"
    finally:
        writer.join()
        os.close(ours)


def test_a_fifo_that_nobody_writes_into_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "words", 0o600)
    assert asked(tmp_path / "words") == ""


def test_a_passphrase_may_come_out_of_a_file_that_holds_it_alone(tmp_path: Path) -> None:
    own(tmp_path / "words", "correct horse battery\n")
    source = keys.key_source(f"passphrase-file:{tmp_path}/words")
    assert isinstance(source, keys.Passphrase)
    assert source.ask() == "correct horse battery"
    absent = keys.key_source(f"passphrase-file:{tmp_path}/absent")
    with pytest.raises(BadInput, match="absent"):
        absent.derive({"mode": "scrypt", "n": 16, "r": 8, "p": 1, "salt": "00"})


@pytest.mark.parametrize("given", ["file:/etc/paver/site.key", "passphrase", "passphrase-file:/run/words"])
def test_what_a_site_file_is_told_to_say_of_a_key_it_may_say(given: str) -> None:
    model = TypeAdapter[str](credentials.KeySource)
    assert model.validate_python(keys.for_site_file(given)) == keys.for_site_file(given)


def test_what_is_advised_against_the_wrong_kind_of_key_a_site_file_may_say(tmp_path: Path) -> None:
    for source, mode in ((keys.KeyFile(tmp_path / "key"), "scrypt"), (keys.Passphrase(lambda: ""), "file")):
        with pytest.raises(WrongKeyError) as caught:
            source.derive({"mode": mode})
        advised = (caught.value.do or "").removeprefix("set secrets.key to ")
        assert TypeAdapter[str](credentials.KeySource).validate_python(advised) == advised


@pytest.mark.parametrize(
    "reference", ["passphrase", "prompt", "env:PAVER_KEY", "file:", "passphrase-file:", "hunter2", ""]
)
def test_other_references_are_refused_with_what_to_do(reference: str) -> None:
    with pytest.raises(BadInput) as caught:
        keys.key_source(reference)
    assert caught.value.do
