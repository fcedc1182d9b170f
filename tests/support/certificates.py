"""What holds between certificates and keys, by cryptography alone: nothing of what made them is asked."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization


def issued_by(certificate: str, authority: str) -> bool:
    """Tells whether `authority` signed `certificate`, by name, key and signature. Says nothing about time."""
    signed, signer = (x509.load_pem_x509_certificate(text.encode()) for text in (certificate, authority))
    try:
        signed.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def belongs(certificate: str, private_key: str) -> bool:
    """Tells whether `private_key` is the one of `certificate`."""
    key = serialization.load_pem_private_key(private_key.encode(), None)
    return x509.load_pem_x509_certificate(certificate.encode()).public_key() == key.public_key()
