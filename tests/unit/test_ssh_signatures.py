"""SSH signatures: round trips and every reason to refuse one; `tests/sim` holds them against ssh-keygen."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from paver.signing import ssh

MESSAGE = b'{"plan":"4f1c"}'


def pair() -> tuple[str, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


PRIVATE, PUBLIC = pair()
SIGNATURE = ssh.sign(MESSAGE, PRIVATE)


def test_a_signature_by_an_allowed_key_names_its_signer() -> None:
    signer = ssh.verify(MESSAGE, SIGNATURE, [pair()[1], f"{PUBLIC} alice@north.example"])
    assert signer == ssh.Signer(PUBLIC, ssh.fingerprint(PUBLIC))


def test_a_signature_over_other_content_is_refused() -> None:
    with pytest.raises(ssh.SignatureError, match="does not belong"):
        ssh.verify(MESSAGE + b" ", SIGNATURE, [PUBLIC])


def test_a_signature_by_someone_else_is_refused_and_named_by_fingerprint() -> None:
    with pytest.raises(ssh.SignatureError, match="may not sign") as caught:
        ssh.verify(MESSAGE, SIGNATURE, [pair()[1]])
    assert caught.value.seen == ssh.fingerprint(PUBLIC)


def test_a_signature_made_for_another_use_is_refused() -> None:
    other = ssh.sign(MESSAGE, PRIVATE, namespace="file")
    with pytest.raises(ssh.SignatureError, match="another use"):
        ssh.verify(MESSAGE, other, [PUBLIC])
    assert ssh.verify(MESSAGE, other, [PUBLIC], namespace="file").key == PUBLIC


@pytest.mark.parametrize("text", ["", "AAAA", SIGNATURE[:-40], SIGNATURE.replace("SSH SIG", "PGP SIG")])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ssh.SignatureError):
        ssh.verify(MESSAGE, text, [PUBLIC])


def test_a_private_key_that_cannot_sign_is_refused_without_showing_it() -> None:
    with pytest.raises(ssh.SignatureError) as caught:
        ssh.sign(MESSAGE, "hunter2")
    assert "hunter2" not in repr(caught.value)


@given(st.data())
def test_no_changed_byte_of_a_signature_passes(data: st.DataObject) -> None:
    lines = SIGNATURE.splitlines()
    blob = bytearray(base64.b64decode("".join(lines[1:-1])))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    changed = "\n".join([lines[0], base64.b64encode(blob).decode(), lines[-1]])
    with pytest.raises(ssh.SignatureError):
        ssh.verify(MESSAGE, changed, [PUBLIC])


@given(st.binary(max_size=300))
def test_any_bytes_in_the_armour_are_refused_with_our_error(blob: bytes) -> None:
    text = f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"
    with pytest.raises(ssh.SignatureError):
        ssh.verify(MESSAGE, text, [PUBLIC])
