"""What a certificate says, and who signed it."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from paver.errors import BadInput
from paver.signing.canonical import Json


@dataclass(frozen=True)
class Statement:
    """What a certificate says.

    Fields:
        subject, issuer: as RFC 4514 writes names, `CN=…`.
        serial: in hex.
        dns, ip: the names and addresses that it's for.
        not_before, not_after: with time zone UTC.
        fingerprint: SHA-256 as `sha256:9f:3c:…`.
        authority: whether it may issue others.
        key: `rsa 3072`, `ec secp256r1`, or the kind's name.
    """

    subject: str
    issuer: str
    serial: str
    dns: frozenset[str]
    ip: frozenset[str]
    not_before: dt.datetime
    not_after: dt.datetime
    fingerprint: str
    authority: bool
    key: str

    def public(self) -> dict[str, Json]:
        """Returns it as canonical JSON takes them, times as `2027-11-23T16:00:00Z`."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "dns": list[Json](sorted(self.dns)),
            "ip": list[Json](sorted(self.ip)),
            "not_before": f"{self.not_before:%Y-%m-%dT%H:%M:%SZ}",
            "not_after": f"{self.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "fingerprint": self.fingerprint,
            "authority": self.authority,
            "key": self.key,
        }


def statement(certificate: str) -> Statement:
    """Returns what a certificate in PEM says.

    Raises:
        BadInput: it is not one certificate.
    """
    loaded = load(certificate)
    dns: frozenset[str] = frozenset()
    ip: frozenset[str] = frozenset()
    authority = False
    for extension in loaded.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            dns = frozenset(extension.value.get_values_for_type(x509.DNSName))
            ip = frozenset(str(address) for address in extension.value.get_values_for_type(x509.IPAddress))
        elif isinstance(extension.value, x509.BasicConstraints):
            authority = extension.value.ca
    digest = hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest()
    return Statement(
        subject=loaded.subject.rfc4514_string(),
        issuer=loaded.issuer.rfc4514_string(),
        serial=f"{loaded.serial_number:x}",
        dns=dns,
        ip=ip,
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        fingerprint="sha256:" + ":".join(digest[at : at + 2] for at in range(0, 64, 2)),
        authority=authority,
        key=_kind(loaded),
    )


def load(certificate: str) -> x509.Certificate:
    """Returns a certificate in PEM as an object.

    Raises:
        BadInput: it is not one certificate.
    """
    try:
        (loaded,) = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        raise BadInput("this is not one certificate in PEM") from None
    return loaded


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").lower()
