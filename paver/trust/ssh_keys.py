"""SSH key pairs: new ones, and the public part of one that is there."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from paver.errors import BadInput
from paver.sealed.secret import SecretValue
from paver.signing import ssh

ALGORITHMS = ("ed25519", "rsa")


@dataclass(frozen=True)
class KeyPair:
    """A key pair.

    Fields:
        private_key: Ed25519 in OpenSSH's format; RSA in PKCS#1 PEM, which BOSH's vars-store wants.
        public_key: the line for `authorized_keys`.
        fingerprint: `SHA256:…`, as `ssh-keygen -l` shows it.
    """

    private_key: SecretValue
    public_key: str
    fingerprint: str


def new_key_pair(algorithm: str = "ed25519", *, comment: str = "") -> KeyPair:
    """Returns a new key pair, `ed25519` or `rsa` (3072 bits).

    Raises:
        BadInput: another algorithm, or a comment of more than one line.
    """
    if algorithm == "ed25519":
        secret = ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    elif algorithm == "rsa":
        secret = rsa.generate_private_key(public_exponent=65537, key_size=3072).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    else:
        raise BadInput(
            f"{algorithm[:40]!r} is no algorithm for an SSH key", do=f"one of {', '.join(ALGORITHMS)}"
        )
    return key_pair(SecretValue(secret.decode()), comment=comment)


def key_pair(private_key: SecretValue, *, comment: str = "") -> KeyPair:
    """Returns the pair of a private key that is there.

    Raises:
        BadInput: it is not an unencrypted private key in OpenSSH's format or PEM.
    """
    if not comment.isprintable():
        raise BadInput("a comment on an SSH key is one line of printable characters")
    public = _public(private_key).public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    line = f"{public.decode()} {comment}".strip()
    return KeyPair(private_key, line, ssh.fingerprint(line))


def _public(private_key: SecretValue) -> ed25519.Ed25519PublicKey | rsa.RSAPublicKey:
    data = private_key.reveal().encode()
    try:
        if b"OPENSSH" in data.split(b"\n", 1)[0]:
            loaded: object = serialization.load_ssh_private_key(data, None)
        else:
            loaded = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        # `from None`: nothing of the key may reach a traceback.
        raise BadInput("this is not an unencrypted private key") from None
    if not isinstance(loaded, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise BadInput("this private key is neither Ed25519 nor RSA")
    return loaded.public_key()
