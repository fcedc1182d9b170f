"""SSH signatures (SSHSIG), as `ssh-keygen -Y sign` and `-Y verify` make and check them.

Approvers sign with the SSH key that they have already, on whatever machine, agent or token holds it; paver checks.
The format is `PROTOCOL.sshsig` of OpenSSH. Written here with `cryptography` alone, since verifying must work where
no `ssh-keygen` is installed; the tests hold it against the real one. Signing with a key file is for tests and for
the site's own key: people sign with `ssh-keygen`.

Accepted keys: Ed25519, ECDSA P-256/P-384/P-521, RSA of 2048 bits or more with SHA-512 or SHA-256. Not accepted:
security keys (sk-*), certificates, DSA, SHA-1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from paver.errors import Refused
from paver.signing import public_line

NAMESPACE = "paver-plan"

_MAGIC = b"SSHSIG"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_RSA: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-512": hashes.SHA512(),
    b"rsa-sha2-256": hashes.SHA256(),
}


class SignatureError(Refused):
    """The signature is not one, not over this message, or not by a key that may sign."""


@dataclass(frozen=True)
class Signer:
    """Who signed: the key in OpenSSH's one-line form without comment, and its `SHA256:…` fingerprint."""

    key: str
    fingerprint: str


def verify(message: bytes, signature: str, allowed: Iterable[str], *, namespace: str = NAMESPACE) -> Signer:
    """Returns who signed `message`.

    Args:
        message: the exact bytes that were signed.
        signature: the armoured text that `ssh-keygen -Y sign -n NAMESPACE` wrote.
        allowed: public keys (`ssh-ed25519 AAAA… comment`) of those who may sign.
        namespace: what the signature is for; one made for another use does not pass.

    Raises:
        SignatureError: with the reason.
    """
    parts = _dearmoured(signature)
    signer = Signer(_line(parts.key), public_line.fingerprint(parts.key))
    if parts.namespace != namespace.encode():
        raise SignatureError(
            "this signature was made for another use",
            seen=f"namespace {parts.namespace.decode(errors='replace')[:80]!r}, wanted {namespace!r}",
            do=f"sign with: ssh-keygen -Y sign -n {namespace} -f KEY FILE",
        )
    if signer.key not in {" ".join(line.split()[:2]) for line in allowed}:
        raise SignatureError(
            "this signature is by a key that may not sign here",
            seen=signer.fingerprint,
            do="have it signed by one of those who may, or name its key as one of theirs",
        )
    _check(parts, message)
    return signer


def sign(message: bytes, private_key: str, *, namespace: str = NAMESPACE) -> str:
    """Returns the armoured signature over `message` by an unencrypted Ed25519 key in OpenSSH's format.

    Raises:
        SignatureError: the key is of another kind, encrypted or not a key.
    """
    try:
        key = serialization.load_ssh_private_key(private_key.encode(), None)
    except (ValueError, TypeError):
        raise SignatureError("this is not an unencrypted private key in OpenSSH's format") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SignatureError("paver itself signs with Ed25519 keys only", do="sign with ssh-keygen -Y sign")
    public = _string(b"ssh-ed25519") + _string(key.public_key().public_bytes_raw())
    made = _string(b"ssh-ed25519") + _string(key.sign(_signed(message, namespace.encode(), b"sha512")))
    blob = (
        _MAGIC
        + (1).to_bytes(4, "big")
        + _string(public)
        + _string(namespace.encode())
        + _string(b"")
        + _string(b"sha512")
        + _string(made)
    )
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def public(private_key: str) -> str:
    """Returns the public line of an unencrypted private key in OpenSSH's format.

    Raises:
        SignatureError: it is none.
    """
    try:
        key = serialization.load_ssh_private_key(private_key.encode(), None)
    except (ValueError, TypeError):
        raise SignatureError("this is not an unencrypted private key in OpenSSH's format") from None
    formats = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*formats).decode()


def fingerprint(public_key: str) -> str:
    """Returns the `SHA256:…` fingerprint of a public key line, as `ssh-keygen -l` shows it.

    Raises:
        SignatureError: the line is not a public key.
    """
    fields = public_key.split()
    try:
        return public_line.fingerprint(base64.b64decode(fields[1], validate=True))
    except (IndexError, ValueError):
        raise SignatureError("this is not a line with an SSH public key") from None


@dataclass(frozen=True)
class _Parts:
    key: bytes
    namespace: bytes
    hash: bytes
    algorithm: bytes
    made: bytes


def _dearmoured(signature: str) -> _Parts:
    lines = [line.strip() for line in signature.strip().splitlines()]
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SignatureError("this is not an SSH signature", do=f"it begins with {_BEGIN}")
    try:
        fields = _Fields(base64.b64decode("".join(lines[1:-1]), validate=True))
        if fields.take(6) != _MAGIC or fields.take(4) != (1).to_bytes(4, "big"):
            raise SignatureError("this is not an SSH signature of version 1")
        key, namespace, _reserved, name, made = (fields.string() for _ in range(5))
        fields.end()
        inner = _Fields(made)
        parts = _Parts(key, namespace, name, inner.string(), inner.string())
        inner.end()
    except ValueError:
        raise SignatureError("this SSH signature is damaged or cut short") from None
    if parts.hash not in _HASHES:
        raise SignatureError(
            "this SSH signature uses a digest that is not accepted", do="use sha512 or sha256"
        )
    return parts


def _check(parts: _Parts, message: bytes) -> None:
    signed = _signed(message, parts.namespace, parts.hash)
    try:
        key = serialization.load_ssh_public_key(_line(parts.key).encode())
        if isinstance(key, ed25519.Ed25519PublicKey) and parts.algorithm == b"ssh-ed25519":
            key.verify(parts.made, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and parts.key.startswith(_string(parts.algorithm)):
            inner = _Fields(parts.made)
            r, s = (int.from_bytes(inner.string(), "big") for _ in range(2))
            inner.end()
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_CURVES[key.curve.name]))
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048 and parts.algorithm in _RSA:
            key.verify(parts.made, signed, padding.PKCS1v15(), _RSA[parts.algorithm])
        else:
            raise SignatureError(
                "this SSH signature is of a kind that is not accepted",
                seen=_line(parts.key).split()[0][:60],
                do="sign with an Ed25519, ECDSA or RSA key (2048 bits or more)",
            )
    except InvalidSignature:
        raise SignatureError(
            "the signature does not belong to this content",
            why="the content was changed after it was signed, or the signature is of another file",
            do="have what is there now reviewed and signed",
        ) from None
    except (ValueError, KeyError, UnsupportedAlgorithm):
        raise SignatureError("this SSH signature is damaged") from None


class _CutShortError(ValueError):
    pass


class _Fields:
    """Reads the strings of the SSH wire format (RFC 4251, section 5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) != count:
            raise _CutShortError("cut short")
        self._place += count
        return taken

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def end(self) -> None:
        if self._place != len(self._data):
            raise _CutShortError("bytes after the end")


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _signed(message: bytes, namespace: bytes, name: bytes) -> bytes:
    """Returns the bytes that the key signs: PROTOCOL.sshsig, "Signed Data, of which the signature goes into"."""
    return (
        _MAGIC + _string(namespace) + _string(b"") + _string(name) + _string(_HASHES[name](message).digest())
    )


def _line(blob: bytes) -> str:
    try:
        kind = _Fields(blob).string().decode("ascii")
    except ValueError:
        raise SignatureError("this SSH signature is damaged or cut short") from None
    return f"{kind} {base64.b64encode(blob).decode()}"
