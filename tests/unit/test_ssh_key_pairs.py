"""SSH key pairs."""

import base64
import datetime as dt
import hashlib

import pytest

from paver.errors import BadInput
from paver.sealed.secret import SecretValue
from paver.trust import authority, ssh_keys


def test_an_ed25519_pair_is_in_opensshs_own_format() -> None:
    pair = ssh_keys.new_key_pair(comment="paver@lab-north")
    assert pair.private_key.reveal().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    kind, blob, comment = pair.public_key.split(" ")
    assert (kind, comment) == ("ssh-ed25519", "paver@lab-north")
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    assert pair.fingerprint == f"SHA256:{digest}"


def test_an_rsa_pair_is_in_pkcs_1_pem_as_bosh_wants_it() -> None:
    pair = ssh_keys.new_key_pair("rsa")
    assert pair.private_key.reveal().startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert pair.public_key.startswith("ssh-rsa AAAA")


def test_the_public_part_of_a_key_that_is_there_is_the_same_again() -> None:
    for algorithm in ssh_keys.ALGORITHMS:
        pair = ssh_keys.new_key_pair(algorithm)
        assert ssh_keys.key_pair(pair.private_key) == pair


def test_the_private_key_does_not_show() -> None:
    pair = ssh_keys.new_key_pair()
    assert "PRIVATE" not in repr(pair)


@pytest.mark.parametrize("comment", ["two\nlines", "tab\t", "\x1b[0m"])
def test_a_comment_that_would_forge_a_line_is_refused(comment: str) -> None:
    with pytest.raises(BadInput):
        ssh_keys.new_key_pair(comment=comment)


def test_what_is_no_such_key_is_refused_without_showing_it() -> None:
    ec = authority.new_authority(
        "x", now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), days=1, algorithm="ec"
    ).private_key
    for key in (SecretValue("hunter2"), SecretValue("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"), ec):
        with pytest.raises(BadInput) as caught:
            ssh_keys.key_pair(key)
        assert "hunter2" not in "".join(caught.value.lines())
    with pytest.raises(BadInput):
        ssh_keys.new_key_pair("dsa")
