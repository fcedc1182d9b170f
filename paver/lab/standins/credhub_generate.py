"""What CredHub makes by itself: passwords, users, keys and certificates, with its own defaults."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USAGES = {
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
}
_KEY_USAGES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]


class CannotGenerateError(Exception):
    """The parameters make no sense; the message is what the client reads."""


def generate(kind: str, parameters: Mapping[str, Any], authority: Callable[[str], Mapping[str, Any]]) -> Any:
    """Returns a value of the type `kind`; `authority` looks up the CA that a certificate names."""
    if kind == "password":
        return _password(parameters)
    if kind == "user":
        return {
            "username": parameters.get("username") or _password({"length": 20}),
            "password": _password(parameters),
        }
    if kind in ("rsa", "ssh"):
        key = _key(parameters)
        private = _pem(key)
        if kind == "rsa":
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return {"public_key": public.decode(), "private_key": private}
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        comment = parameters.get("ssh_comment")
        return {"public_key": line.decode() + (f" {comment}" if comment else ""), "private_key": private}
    if kind == "certificate":
        return certificate(parameters, authority)
    raise CannotGenerateError(f"The request does not include a valid type: '{kind}'.")


def certificate(
    parameters: Mapping[str, Any], authority: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns {ca, certificate, private_key, ca_name}: self-signed for a CA, else signed by the CA that is named."""
    ca_name, is_ca = str(parameters.get("ca") or ""), bool(parameters.get("is_ca"))
    if not (ca_name or is_ca or parameters.get("self_sign")):
        raise CannotGenerateError(
            "You must specify a signing CA or make the certificate a CA or self-signed."
        )
    key = _key(parameters)
    subject = _subject(parameters)
    if ca_name:
        parent = authority(ca_name)
        ca_certificate = x509.load_pem_x509_certificate(str(parent["certificate"]).encode())
        signer: Any = serialization.load_pem_private_key(str(parent["private_key"]).encode(), None)
        issuer = ca_certificate.subject
    else:
        signer, issuer = key, subject
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(seconds=60))
        .not_valid_after(now + dt.timedelta(days=int(parameters.get("duration") or 365)))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    names = [_name(text) for text in parameters.get("alternative_names") or []]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    extended = parameters.get("extended_key_usage")
    if extended:
        usages = [_USAGES[usage] for usage in ([extended] if isinstance(extended, str) else extended)]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    usage = parameters.get("key_usage") or (["key_cert_sign", "crl_sign"] if is_ca else None)
    if usage:
        flags = {name: name in usage for name in _KEY_USAGES}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    pem = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    ca = str(parent["certificate"]) if ca_name else pem
    return {"ca": ca, "certificate": pem, "private_key": _pem(key), "ca_name": ca_name}


def fingerprint(text: str) -> str:
    """Returns a short digest of a public text, for comparing without values."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity() -> str:
    """Returns a new id."""
    return str(uuid.uuid4())


def _password(parameters: Mapping[str, Any]) -> str:
    alphabet = ""
    for excluded, letters in (
        ("exclude_lower", string.ascii_lowercase),
        ("exclude_upper", string.ascii_uppercase),
        ("exclude_number", string.digits),
    ):
        alphabet += "" if parameters.get(excluded) else letters
    if parameters.get("include_special"):
        alphabet += "!#$%&*+,-./:;<=>?@^_~"
    if not alphabet:
        raise CannotGenerateError("The combination of parameters in the request is not allowed.")
    return "".join(secrets.choice(alphabet) for _ in range(int(parameters.get("length") or 30)))


def _key(parameters: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    length = int(parameters.get("key_length") or 2048)
    if length not in (2048, 3072, 4096):
        raise CannotGenerateError(
            "The provided key length is not supported. Valid values include '2048', '3072' and '4096'."
        )
    return rsa.generate_private_key(65537, length)


def _pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _subject(parameters: Mapping[str, Any]) -> x509.Name:
    parts = [
        (NameOID.COMMON_NAME, parameters.get("common_name")),
        (NameOID.ORGANIZATION_NAME, parameters.get("organization")),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, parameters.get("organization_unit")),
        (NameOID.LOCALITY_NAME, parameters.get("locality")),
        (NameOID.STATE_OR_PROVINCE_NAME, parameters.get("state")),
        (NameOID.COUNTRY_NAME, parameters.get("country")),
    ]
    given = [x509.NameAttribute(oid, str(value)) for oid, value in parts if value]
    if not given:
        raise CannotGenerateError(
            "At least one subject value, such as common name or organization, must be defined."
        )
    return x509.Name(given)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
