"""OAuth tokens as UAA makes them: RS256-signed JWTs (RFC 7519), and how a server behind UAA checks one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from paver.lab.standins.httpd import Exchange, Refusal


class InvalidTokenError(Exception):
    """A token that must not be believed; the message says why."""


@dataclass(frozen=True)
class Verifier:
    """Knows UAA's public key and lets in who bears one of the scopes that a server wants."""

    public_key: rsa.RSAPublicKey

    @classmethod
    def from_pem(cls, pem: str) -> Verifier:
        """Takes UAA's public key."""
        key = serialization.load_pem_public_key(pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("UAA signs with RSA")
        return cls(key)

    def claims(self, token: str) -> dict[str, Any]:
        """Returns a token's claims.

        Raises:
            InvalidTokenError: it is malformed, signed by somebody else, or expired.
        """
        try:
            header, payload, signature = token.split(".")
            self.public_key.verify(
                _unpack(signature), f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims: dict[str, Any] = json.loads(_unpack(payload))
        except (ValueError, InvalidSignature) as error:
            raise InvalidTokenError("Invalid token signature") from error
        if claims.get("exp", 0) <= time.time():
            raise InvalidTokenError("Access token expired")
        return claims

    def authorise(self, exchange: Exchange, scopes: frozenset[str]) -> dict[str, Any]:
        """Returns the caller's claims, and notes the caller in the trace; 401 without a valid token, 403 without scope."""
        kind, _, token = exchange.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise Refusal(401, "Not authorized: '" + exchange.path + "'\n", {"www-authenticate": "Bearer"})
        try:
            claims = self.claims(token.strip())
        except InvalidTokenError as error:
            refusal = {"error": "invalid_token", "error_description": str(error)}
            raise Refusal(401, refusal, {"www-authenticate": "Bearer"}) from error
        exchange.user = str(claims.get("user_name") or claims.get("client_id", ""))
        if not scopes & set(claims.get("scope", [])):
            wanted = ", ".join(sorted(scopes))
            body: dict[str, Any] = {
                "code": 600000,
                "error": "insufficient_scope",
                "description": f"Require one of the scopes: {wanted}",
            }
            raise Refusal(403, body)
        return claims


def sign(claims: Mapping[str, Any], key: rsa.RSAPrivateKey, key_id: str) -> str:
    """Returns the token."""
    header = {"alg": "RS256", "kid": key_id, "typ": "JWT"}
    text = f"{_pack(json.dumps(header).encode())}.{_pack(json.dumps(dict(claims)).encode())}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_pack(signature)}"


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
