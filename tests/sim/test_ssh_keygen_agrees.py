"""ssh-keygen is the judge of our SSH signatures, and ours of its."""

import subprocess
from pathlib import Path

import pytest

from paver.signing import ssh

MESSAGE = b'{"plan":"4f1c"}\n'


def keygen(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("ed25519", 256), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048), ("rsa", 3072)],
)
def test_what_ssh_keygen_signs_we_accept(tmp_path: Path, kind: str, bits: int) -> None:
    key = tmp_path / "key"
    keygen("-q", "-t", kind, "-b", str(bits), "-N", "", "-C", "alice", "-f", str(key))
    public = key.with_suffix(".pub").read_text()
    signature = keygen("-Y", "sign", "-n", ssh.NAMESPACE, "-f", str(key), stdin=MESSAGE).decode()
    signer = ssh.verify(MESSAGE, signature, [public])
    assert public.startswith(signer.key)
    assert signer.fingerprint in keygen("-l", "-f", str(key)).decode()
    with pytest.raises(ssh.SignatureError, match="does not belong"):
        ssh.verify(MESSAGE + b"x", signature, [public])


def test_an_rsa_key_of_1024_bits_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    keygen("-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(key))
    signature = keygen("-Y", "sign", "-n", ssh.NAMESPACE, "-f", str(key), stdin=MESSAGE).decode()
    with pytest.raises(ssh.SignatureError, match="not accepted"):
        ssh.verify(MESSAGE, signature, [key.with_suffix(".pub").read_text()])


def test_what_we_sign_ssh_keygen_accepts(tmp_path: Path) -> None:
    key = tmp_path / "key"
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "site", "-f", str(key))
    public = key.with_suffix(".pub").read_text()
    (tmp_path / "allowed").write_text(f"site {public}")
    (tmp_path / "signature").write_text(ssh.sign(MESSAGE, key.read_text()))
    said = keygen(
        *("-Y", "verify", "-n", ssh.NAMESPACE, "-I", "site", "-f", str(tmp_path / "allowed")),
        *("-s", str(tmp_path / "signature")),
        stdin=MESSAGE,
    )
    assert b"Good" in said
