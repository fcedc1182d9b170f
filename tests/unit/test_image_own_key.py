"""An image is signed also where its builder names no key: by one of the account's own, made once."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paver.cli import entry
from paver.errors import BadInput
from paver.image import build, own_key, published
from paver.signing import ssh


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_the_accounts_own_key_is_made_once_for_it_alone_with_its_public_line_beside_it(home: Path) -> None:
    path = own_key.provided()
    key = path.read_text()
    assert path == home / "paver" / "image-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    line = path.with_name("image-key.pub").read_text()
    signature = ssh.sign(b"sums", key, namespace=published.NAMESPACE)
    assert ssh.verify(
        b"sums", signature, [line], namespace=published.NAMESPACE
    ).fingerprint == ssh.fingerprint(line)
    assert own_key.provided().read_text() == key
    assert sorted(each.name for each in path.parent.iterdir()) == ["image-key", "image-key.pub"]


def test_first_builds_at_once_sign_with_one_key(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = {future.result().read_text() for future in [pool.submit(own_key.provided) for _ in range(8)]}
    assert keys == {(home / "paver" / "image-key").read_text()}
    assert (home / "paver" / "image-key.pub").read_text() == ssh.public(keys.pop()) + "\n"


def test_where_no_key_can_be_written_another_one_is_asked_for(home: Path) -> None:
    home.write_text("")
    with pytest.raises(BadInput, match="no key to sign images with could be made") as caught:
        own_key.provided()
    assert caught.value.do == "name one by --sign KEY"


@pytest.mark.parametrize("named", [False, True])
def test_a_build_is_signed_by_the_key_that_is_named_or_by_the_accounts_own_and_says_which(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: bool,
) -> None:
    orders: list[build.Order] = []

    def built(order: build.Order, _: object) -> build.Built:
        orders.append(order)
        files = {"ova": tmp_path / "a.ova", "ovf": tmp_path / "a" / "a.ovf"}
        return build.Built(version="1.0", sha256="0" * 64, size=1, seconds=1.0, files=files)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    other = own_key.provided()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    assert entry.main(["image", "build", *(["--sign", str(other)] if named else [])]) == 0
    key = other if named else home / "paver" / "image-key"
    assert orders[0].sign == key
    assert (
        f"signed by {ssh.fingerprint(key.with_name('image-key.pub').read_text())}, {key}"
        in capsys.readouterr().out
    )
