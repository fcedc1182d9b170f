"""Certificates of the lab's vendors: self-signed ones of bare hosts, and the CA of a vCenter.

They are made anew for every lab, so nothing can be trusted but what paver pins or is told.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS = 5


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key, both as objects."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        """Returns the certificate's SHA-256 as the site file writes it: "sha256:9f:3c:…"."""
        digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        return "sha256:" + ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Writes `<name>.crt` and `<name>.key` (0600) and returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        secret = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
            sink.write(secret)
        return certificate, key


def host(hostname: str, address: str) -> Pair:
    """Returns what a bare ESXi host serves: self-signed by VMware's default issuer, for its own name."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "VMware, Inc"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "VMware ESX Server Default Certificate"),
            x509.NameAttribute(NameOID.COMMON_NAME, hostname),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(hostname), x509.IPAddress(ipaddress.ip_address(address))]
    builder = _builder(subject, subject, key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def vmca(domain: str, fqdn: str) -> Pair:
    """Returns the root CA that a vCenter makes for itself in first boot."""
    parts = [x509.NameAttribute(NameOID.DOMAIN_COMPONENT, part) for part in reversed(domain.split("."))]
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "CA"),
            *parts,
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "California"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, fqdn),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "VMware Engineering"),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def machine(fqdn: str, issuer: Pair) -> Pair:
    """Returns vCenter's own certificate, issued by its CA for the FQDN and for nothing else."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, fqdn), x509.NameAttribute(NameOID.COUNTRY_NAME, "US")]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = (
        _builder(subject, issuer.certificate.subject, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(fqdn)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
    )
    return Pair(builder.sign(issuer.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
    )
