"""Authorities and certificates: pure functions from wishes and a clock to PEM texts.

Keys of authorities that BUCC is seeded with must be RSA in PKCS#1 PEM ("BEGIN RSA PRIVATE KEY"): BOSH's vars-store
takes neither PKCS#8 nor EC. RSA keys are therefore always written so; EC keys as PKCS#8.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from paver.errors import BadInput, Refused
from paver.sealed.secret import SecretValue
from paver.trust.certificate import Statement, load, statement

__all__ = ["Issued", "Statement", "issue", "new_authority", "statement"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA_BITS: Mapping[str, int] = MappingProxyType(
    {"rsa": 3072, "rsa-2048": 2048, "rsa-3072": 3072, "rsa-4096": 4096}
)
ALGORITHMS = (*RSA_BITS, "ec")
_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

# A machine that has just been installed may be behind; a certificate from its future is refused by everybody.
_SKEW = dt.timedelta(hours=1)
_DNS = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Issued:
    """A certificate in PEM with its private key."""

    certificate: str
    private_key: SecretValue

    @property
    def statement(self) -> Statement:
        """What the certificate says."""
        return statement(self.certificate)


def new_authority(common_name: str, *, now: dt.datetime, days: int, algorithm: str = "rsa") -> Issued:
    """Returns a new self-signed root.

    Args:
        common_name: 1 to 64 characters.
        now: with a time zone.
        days: how long it holds.
        algorithm: `rsa` (3072 bits), `rsa-2048`, `rsa-3072`, `rsa-4096` or `ec` (P-256).

    Raises:
        BadInput: a name or an algorithm that can't be used.
    """
    _zoned(now)
    key = _new_key(algorithm)
    name = _name(common_name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key, now - _SKEW, now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    return _signed(builder, key, key)


def issue(
    authority: Issued,
    *,
    common_name: str,
    now: dt.datetime,
    days: int,
    dns: Iterable[str] = (),
    ip: Iterable[str] = (),
    algorithm: str = "rsa",
) -> Issued:
    """Returns a new certificate that `authority` issued, for servers and clients.

    It holds no longer than the authority itself, whatever `days` says.

    Args:
        authority: who issues it.
        common_name: 1 to 64 characters; clients look at `dns` and `ip` alone.
        now: with a time zone.
        days: how long it holds.
        dns: names it is for.
        ip: addresses it is for, IPv4 or IPv6.
        algorithm: as for `new_authority`.

    Raises:
        BadInput: a name, an address or an algorithm that can't be used, or the authority is none.
        Refused: the authority has expired.
    """
    _zoned(now)
    root = load(authority.certificate)
    said = statement(authority.certificate)
    if not said.authority:
        raise BadInput(f"{said.subject} is no authority: it may not issue certificates")
    if said.not_after <= now:
        raise Refused(
            f"{said.subject} has expired and issues nothing any more",
            seen=f"it was valid until {said.not_after:%Y-%m-%d %H:%M} UTC",
            do="rotate the authority first",
        )
    signer = _loaded_key(authority.private_key)
    if signer.public_key() != root.public_key():
        raise BadInput(f"the private key at hand is not the one of {said.subject}")
    key = _new_key(algorithm)
    end = min(now + dt.timedelta(days=days), said.not_after)
    begin = max(now - _SKEW, said.not_before)
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(common_name), root.subject, key, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False, encrypts=isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    names = _alternatives(dns, ip)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _signed(builder, key, signer)


def _zoned(now: dt.datetime) -> None:
    if now.tzinfo is None:
        raise ValueError("the time needs its zone")


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, begin: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, signer: PrivateKey) -> Issued:
    certificate = builder.sign(signer, hashes.SHA256())
    # "Traditional" is PKCS#1 for RSA.
    traditional = isinstance(key, rsa.RSAPrivateKey)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Issued(certificate.public_bytes(serialization.Encoding.PEM).decode(), SecretValue(secret.decode()))


def _new_key(algorithm: str) -> PrivateKey:
    if algorithm == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm not in RSA_BITS:
        raise BadInput(
            f"{algorithm[:40]!r} is no algorithm for a certificate", do=f"one of {', '.join(ALGORITHMS)}"
        )
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[algorithm])


def _key_usage(*, signs: bool, encrypts: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_encipherment=encrypts,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError:
        raise BadInput(
            f"{common_name[:80]!r} can't be a certificate's name",
            why="a common name has 1 to 64 characters (RFC 5280, appendix A.1)",
            do="give a shorter one; the names that clients look at stand in `dns`",
        ) from None


def _alternatives(dns: Iterable[str], ip: Iterable[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for name in sorted(set(dns)):
        # A last label of digits alone is an address, or one that is mistyped.
        if not _DNS.fullmatch(name) or len(name) > 253 or name.rpartition(".")[2].isdecimal():
            raise BadInput(f"{name[:80]!r} is no DNS name", do="an address belongs into `ip`")
        names.append(x509.DNSName(name))
    for address in sorted(set(ip)):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            raise BadInput(f"{address[:80]!r} is no IP address") from None
    return names


def _loaded_key(private_key: SecretValue) -> PrivateKey:
    try:
        loaded = serialization.load_pem_private_key(private_key.reveal().encode(), None)
    except (ValueError, TypeError):
        # `from None`: nothing of the key may reach a traceback.
        raise BadInput("this is not an unencrypted private key in PEM") from None
    if not isinstance(loaded, PrivateKey):
        raise BadInput("this private key is neither RSA nor EC")
    return loaded
