"""What CredHub takes for a credential, and its words for what it does not take.

Source: cloudfoundry/credhub 2.15, components/credentials (`validators/`, `utils/PrivateKeyReader.kt`,
`requests/BaseCredential*Request.kt`) and components/errors (`ErrorMessages.kt`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.lab.standins.httpd import Refusal

MOST = 7000
"""Bytes of a certificate, and characters of the metadata: columns of its database."""
_CHARACTERS = re.compile(r"[a-zA-Z0-9\-_/.:,()\[\]+]*")
_MALFORMED = "Private key is malformed."
_KEY = "Key file is not in PKCS#1 or unencrypted PKCS#8 format"
_RSA = "Key file does not contain an RSA private key"


def name(text: str) -> str:
    """Returns a credential's name with its leading slash."""
    found = text if text.startswith("/") else "/" + text
    if "//" in found or found.endswith("/"):
        raise _refusal(
            "A credential name cannot end with a '/' character or contain '//'. Credential names should be in the form of /[path]/[name] or [path]/[name]. Please update and retry your request."
        )
    if not _CHARACTERS.fullmatch(found):
        raise _refusal(
            "Credential names may only include alpha, numeric, hyphen, underscore, and forward-slash characters. Please update and retry your request."
        )
    return found


def metadata(found: Any) -> None:
    """Refuses what does not fit into its column."""
    if found is not None and len(json.dumps(found, separators=(",", ":"))) > MOST:
        raise _refusal(
            "The request could not be completed. The credential metadata cannot exceed 7000 characters"
        )


def certificate(value: Mapping[str, Any]) -> None:
    """Refuses a certificate whose parts do not belong together, or whose key is not RSA."""
    pem, authority, key = (str(value.get(part) or "") for part in ("certificate", "ca", "private_key"))
    if not (pem or authority or key):
        raise _refusal(
            "At least one certificate attribute must be set. Please validate your input and retry your request."
        )
    if any(len(one.encode()) > MOST for one in (pem, authority)):
        raise _refusal(
            "The provided certificate value is too long. Certificate lengths must be less than 7000 characters."
        )
    shown = _loaded(pem, "The provided certificate value is not a valid X509 certificate.")
    issuer = _loaded(authority, "The provided CA value is not a valid X509 certificate authority.")
    if issuer is not None and authority != pem and not _issues(issuer):
        raise _refusal("The provided CA value is not a valid X509 certificate authority.")
    if shown is not None and issuer is not None and not _signed(shown, issuer):
        raise _refusal("The provided certificate was not signed by the CA specified in the 'ca' property.")
    if shown is not None and key and _public(key) != shown.public_key():
        raise _refusal("The provided certificate does not match the private key.")


def _public(key: str) -> rsa.RSAPublicKey:
    try:
        found = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        raise _refusal(f"{_MALFORMED} {_KEY}") from None
    if not isinstance(found, rsa.RSAPrivateKey):
        raise _refusal(f"{_MALFORMED} {_RSA}")
    return found.public_key()


def _loaded(pem: str, words: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode()) if pem else None
    except ValueError:
        raise _refusal(words) from None


def _issues(authority: x509.Certificate) -> bool:
    try:
        return authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed(one: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _refusal(words: str) -> Refusal:
    return Refusal(400, {"error": words})
