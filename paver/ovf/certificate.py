"""An OVF's certificate file (`.cert`): the manifest's signature, and the certificate of whoever made it. Pure.

DSP0243, section "Manifest and certificate files": one line with the RSA signature (PKCS #1 v1.5) over the manifest,
then the certificate as PEM. vCenter and ovftool show whose it is; neither takes anything but RSA.

    SHA256(box.mf)= 5d41…
    -----BEGIN CERTIFICATE-----
"""

from __future__ import annotations

import dataclasses
import re
import warnings

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from paver.errors import BadInput, Refused
from paver.ovf.names import member_name

LONGEST = 2**16
_LEAST_BITS = 2048
_HASHES: dict[str, hashes.HashAlgorithm] = {"SHA256": hashes.SHA256(), "SHA512": hashes.SHA512()}
_LINE = re.compile(r"(SHA1|SHA256|SHA512) ?\((.+)\) ?= ?([0-9A-Fa-f]{2,4096})[ \t]*")
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publisher:
    """Who signs: an RSA key, and its certificate as PEM."""

    key: rsa.RSAPrivateKey
    certificate: bytes

    def sign(self, manifest: bytes, name: str) -> bytes:
        """Returns the certificate file over `manifest`, whose file is called `name`."""
        made = self.key.sign(manifest, padding.PKCS1v15(), hashes.SHA256()).hex()
        return f"SHA256({name})= {made}\n".encode() + self.certificate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signed:
    """Who signed: `subject` and `fingerprint` (SHA-256 in hex) of the certificate; `vouched` for by one that was given."""

    subject: str
    fingerprint: str
    vouched: bool


def publisher(pem: bytes) -> Publisher:
    """Returns the publisher of whom `pem` holds the unencrypted private key and the certificate, as ovftool takes it.

    Raises:
        BadInput: one of them is missing, they are not of each other, or it is no RSA key of 2048 bits or more.
    """
    what = "write both, the key unencrypted, into one PEM file: openssl req -x509 -newkey rsa:3072 -nodes …"
    try:
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadInput(
            "the publisher's file does not hold a private key and a certificate", do=what
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise BadInput(
            "the publisher's key is no RSA key of 2048 bits or more",
            why="vCenter and ovftool take no other",
            do=what,
        )
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise BadInput("the publisher's certificate is of another key", do=what)
    return Publisher(key=key, certificate=certificate.public_bytes(serialization.Encoding.PEM))


def check(
    data: bytes, manifest: bytes, name: str, *, where: str, authorities: tuple[x509.Certificate, ...] = ()
) -> Signed:
    """Returns who signed `manifest`, the file called `name`.

    Args:
        data: the certificate file.
        manifest: the exact bytes of the manifest.
        name: its name.
        where: how errors call the certificate file.
        authorities: certificates that vouch: the signer's own, or its issuer's.

    Raises:
        BadInput: it is no certificate file of this manifest.
        Refused: the signature is not over this manifest, or nobody vouches for its maker.
    """
    line, _, rest = data.decode("latin-1").partition("\n")
    match = _LINE.fullmatch(line.rstrip("\r"))
    start, end = rest.find(_BEGIN), rest.find(_END)
    if match is None or not 0 <= start < end or member_name(match[2], where=where) != name:
        raise BadInput(
            f"{where} is not a certificate over {name}",
            seen=repr(line[:80]),
            why="it reads 'SHA256(name.mf)= hex', then the certificate as PEM",
            do="fetch or export it again",
        )
    certificate = _certificate(rest[start : end + len(_END)].encode("latin-1"), where)
    key = certificate.public_key()
    if match[1] not in _HASHES or not isinstance(key, rsa.RSAPublicKey) or key.key_size < _LEAST_BITS:
        raise Refused(
            f"{where} is signed in a way that proves nothing any more",
            seen=f"{match[1]}, {type(key).__name__.lstrip('_')}",
            why="RSA of 2048 bits or more with SHA-256 or SHA-512 is taken",
            do="have it signed anew by its publisher",
        )
    try:
        key.verify(bytes.fromhex(match[3]), manifest, padding.PKCS1v15(), _HASHES[match[1]])
    except (InvalidSignature, ValueError):
        raise Refused(
            f"{where} is not over this manifest",
            why="manifest or signature were changed after it was signed",
            do="fetch it again from its publisher",
        ) from None
    signed = Signed(
        subject=certificate.subject.rfc4514_string(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        vouched=any(_vouches(each, certificate) for each in authorities),
    )
    if authorities and not signed.vouched:
        raise Refused(
            f"{where} is by somebody for whom no given certificate vouches",
            seen=f"{signed.subject}, SHA-256 {signed.fingerprint}",
            do="give the publisher's certificate, or its issuer's",
        )
    return signed


def authorities(pem: bytes, where: str) -> tuple[x509.Certificate, ...]:
    """Returns the certificates in `pem`.

    Raises:
        BadInput: there is none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise BadInput(f"{where} holds no certificate", do="give it as PEM") from error


def _certificate(pem: bytes, where: str) -> x509.Certificate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd serial numbers of old ones
            certificate = x509.load_pem_x509_certificate(pem)
            certificate.public_key()
            certificate.subject.rfc4514_string()
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as error:
        raise BadInput(f"{where} holds a broken certificate", do="fetch or export it again") from error
    return certificate


def _vouches(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    if authority == certificate:
        return True
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _spki(key: object) -> bytes:
    formats = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(*formats)  # type: ignore[attr-defined, no-any-return]  # every public key has it
