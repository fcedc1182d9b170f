"""The lab's UAA: tokens for clients and users, and the clients themselves. Started by the `uaa` job.

API: docs.cloudfoundry.org/api/uaa. Secrets are kept as salted hashes only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.lab.standins import service, tokens
from paver.lab.standins.httpd import Exchange, Refusal, Reply, Route

_DEFAULT_VALIDITY = 43200
_ADMIN = frozenset({"uaa.admin", "clients.admin", "clients.write"})
_READ = _ADMIN | {"clients.read"}
_VERSION = "77.30.0"
# UAA's own policy for users (CommonLoginPolicy.java; the defaults are in LockoutPolicyTests.java); for clients it has none unless
# it is told to.
_FAILURES, _COUNTED, _LOCKED = 5, 3600.0, 300.0
_LOCKED_OUT = "Your account has been locked because of too many failed attempts to login."


@dataclass
class Uaa:
    """Clients, users, and the key that signs; `failed` is when each user's wrong passwords came since the last right one."""

    url: str
    key: rsa.RSAPrivateKey
    key_id: str
    users: Mapping[str, dict[str, Any]]
    clients: dict[str, dict[str, Any]]
    file: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    refresh: dict[str, tuple[str, str]] = field(default_factory=dict)
    failed: dict[str, list[float]] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    @property
    def verifier(self) -> tokens.Verifier:
        """Checks the tokens that this UAA made."""
        return tokens.Verifier(self.key.public_key())

    def routes(self) -> list[Route]:
        """The API."""
        return [
            Route("GET", "/(?:info|login)", self.info),
            Route("GET", "/healthz", lambda _: Reply(200, "ok")),
            Route("GET", "/token_keys?", self.token_keys),
            Route("POST", "/oauth/token", self.token),
            Route("POST", "/check_token", self.check_token),
            Route("GET", "/oauth/clients", self.list_clients),
            Route("POST", "/oauth/clients", self.add_client),
            Route("GET", "/oauth/clients/([^/]+)", self.get_client),
            Route("PUT", "/oauth/clients/([^/]+)", self.change_client),
            Route("DELETE", "/oauth/clients/([^/]+)", self.delete_client),
            Route("PUT", "/oauth/clients/([^/]+)/secret", self.change_secret),
            Route("GET", "/Users", self.list_users),
        ]

    def info(self, _exchange: Exchange) -> Reply:
        """Says who this is; needs no token."""
        prompts = {"username": ["text", "Email"], "password": ["password", "Password"]}
        links = {"uaa": self.url, "login": self.url}
        return Reply(
            200, {"app": {"version": _VERSION}, "links": links, "zone_name": "uaa", "prompts": prompts}
        )

    def token_keys(self, exchange: Exchange) -> Reply:
        """The public key."""
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        entry = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id, "value": pem.decode()}
        return Reply(200, {"keys": [entry]} if exchange.path.endswith("s") else entry)

    def token(self, exchange: Exchange) -> Reply:
        """Grants a token to a client, or to a user by a client."""
        form = exchange.form()
        name, secret = self._credentials(exchange, form)
        client = self.clients.get(name)
        if client is None or not _matches(client["secret"], secret):
            raise Refusal(401, {"error": "unauthorized", "error_description": "Bad credentials"})
        exchange.user = name
        grant = form.get("grant_type", "")
        if grant not in _split(client.get("authorized-grant-types", "")):
            text = f"Unauthorized grant type: {grant}"
            raise Refusal(401, {"error": "invalid_client", "error_description": text})
        if grant == "client_credentials":
            return Reply(200, self._grant(name, client, grant, _split(client.get("authorities", "")), None))
        if grant == "password":
            user = self._let_in(form.get("username", ""), form.get("password", ""))
            exchange.user = str(user["name"])
            return Reply(200, self._grant(name, client, grant, _common(client, user), str(user["name"])))
        if grant == "refresh_token":
            owner, user_name = self.refresh.get(form.get("refresh_token", ""), ("", ""))
            if owner != name:
                raise Refusal(401, {"error": "invalid_token", "error_description": "Invalid refresh token"})
            return Reply(
                200, self._grant(name, client, grant, _common(client, self.users[user_name]), user_name)
            )
        raise Refusal(400, {"error": "unsupported_grant_type", "error_description": grant})

    def _let_in(self, name: str, password: str) -> dict[str, Any]:
        """Returns a user by name and password; whoever is locked may not try, and what he tries does not count."""
        user, now = self.users.get(name), self.clock()
        with self.lock:
            failed = [when for when in self.failed.get(name, []) if when > now - _COUNTED]
            if len(failed) >= _FAILURES and failed[-1] > now - _LOCKED:
                raise Refusal(401, {"error": "unauthorized", "error_description": _LOCKED_OUT})
            if user is not None and hmac.compare_digest(str(user["password"]).encode(), password.encode()):
                self.failed.pop(name, None)
                return user
            if user is not None:
                self.failed[name] = [*failed, now]
        raise Refusal(401, {"error": "unauthorized", "error_description": "Bad credentials"})

    def check_token(self, exchange: Exchange) -> Reply:
        """The claims of a token, for servers that ask instead of checking themselves."""
        try:
            return Reply(200, self.verifier.claims(exchange.form().get("token", "")))
        except tokens.InvalidTokenError as error:
            raise Refusal(400, {"error": "invalid_token", "error_description": str(error)}) from error

    def list_clients(self, exchange: Exchange) -> Reply:
        """All clients, without secrets."""
        self.verifier.authorise(exchange, _READ)
        found = [_public(name, client) for name, client in sorted(self.clients.items())]
        return Reply(
            200, {"resources": found, "startIndex": 1, "itemsPerPage": 100, "totalResults": len(found)}
        )

    def get_client(self, exchange: Exchange, name: str) -> Reply:
        """One client, without its secret."""
        self.verifier.authorise(exchange, _READ)
        return Reply(200, _public(name, self._client(name)))

    def add_client(self, exchange: Exchange) -> Reply:
        """Makes a client."""
        self.verifier.authorise(exchange, _ADMIN)
        wish = exchange.json()
        name = str(wish["client_id"])
        with self.lock:
            if name in self.clients:
                text = f"Client already exists: {name}"
                raise Refusal(409, {"error": "invalid_client", "error_description": text})
            self.clients[name] = _client(wish, hashed(str(wish.get("client_secret", ""))))
            self._save()
        return Reply(201, _public(name, self.clients[name]))

    def change_client(self, exchange: Exchange, name: str) -> Reply:
        """Replaces a client's settings; its secret stays."""
        self.verifier.authorise(exchange, _ADMIN)
        wish = exchange.json()
        with self.lock:
            self.clients[name] = _client(wish, self._client(name)["secret"])
            self._save()
        return Reply(200, _public(name, self.clients[name]))

    def change_secret(self, exchange: Exchange, name: str) -> Reply:
        """Replaces a client's secret."""
        self.verifier.authorise(exchange, _ADMIN)
        wish = exchange.json()
        with self.lock:
            self._client(name)["secret"] = hashed(str(wish["secret"]))
            self._save()
        return Reply(200, {"status": "ok", "message": "Secret is updated"})

    def delete_client(self, exchange: Exchange, name: str) -> Reply:
        """Removes a client."""
        self.verifier.authorise(exchange, _ADMIN)
        with self.lock:
            gone = _public(name, self._client(name))
            del self.clients[name]
            self._save()
        return Reply(200, gone)

    def list_users(self, exchange: Exchange) -> Reply:
        """The users' names and groups."""
        self.verifier.authorise(exchange, frozenset({"uaa.admin", "scim.read"}))
        found = [
            {"id": name, "userName": name, "groups": [{"display": group} for group in user.get("groups", [])]}
            for name, user in sorted(self.users.items())
        ]
        return Reply(200, {"resources": found, "totalResults": len(found)})

    def _client(self, name: str) -> dict[str, Any]:
        if name not in self.clients:
            text = f"No client with requested id: {name}"
            raise Refusal(404, {"error": "invalid_client", "error_description": text})
        return self.clients[name]

    def _grant(
        self, name: str, client: Mapping[str, Any], grant: str, scopes: list[str], user: str | None
    ) -> dict[str, Any]:
        now, validity = int(time.time()), int(client.get("access-token-validity") or _DEFAULT_VALIDITY)
        identity = uuid.uuid4().hex
        claims: dict[str, Any] = {
            "jti": identity,
            "sub": user or name,
            "authorities": scopes,
            "scope": scopes,
            "client_id": name,
            "cid": name,
            "azp": name,
            "grant_type": grant,
            "iat": now,
            "exp": now + validity,
            "iss": f"{self.url}/oauth/token",
            "zid": "uaa",
            "aud": sorted({name, *(scope.rpartition(".")[0] or scope for scope in scopes)}),
        }
        answer: dict[str, Any] = {
            "token_type": "bearer",
            "expires_in": validity - 1,
            "scope": " ".join(scopes),
            "jti": identity,
        }
        if user is not None:
            claims |= {"user_name": user, "user_id": user, "origin": "uaa"}
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self.refresh[answer["refresh_token"]] = (name, user)
        answer["access_token"] = tokens.sign(claims, self.key, self.key_id)
        return answer

    @staticmethod
    def _credentials(exchange: Exchange, form: Mapping[str, str]) -> tuple[str, str]:
        kind, _, value = exchange.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return form.get("client_id", ""), form.get("client_secret", "")
        try:
            name, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError as error:
            raise Refusal(401, {"error": "unauthorized", "error_description": "Bad credentials"}) from error
        return unquote_plus(name), unquote_plus(secret)

    def _save(self) -> None:
        service.save(self.file, self.clients)


def hashed(secret: str) -> str:
    """Returns what is kept of a secret."""
    salt = secrets.token_bytes(8)
    return f"{salt.hex()}:{hashlib.sha256(salt + secret.encode()).hexdigest()}"


def _matches(kept: str, secret: str) -> bool:
    salt, _, digest = kept.partition(":")
    return hmac.compare_digest(hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest(), digest)


def _split(text: Any) -> list[str]:
    parts = text if isinstance(text, list) else str(text or "").split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _common(client: Mapping[str, Any], user: Mapping[str, Any]) -> list[str]:
    allowed = set(_split(client.get("scope", "")))
    return sorted(allowed & {"openid", *map(str, user.get("groups", []))})


def _client(wish: Mapping[str, Any], secret: str) -> dict[str, Any]:
    return {
        "secret": secret,
        "authorized-grant-types": _split(wish.get("authorized_grant_types")),
        "scope": _split(wish.get("scope")),
        "authorities": _split(wish.get("authorities")),
        "access-token-validity": wish.get("access_token_validity"),
        "lastModified": int(time.time() * 1000),
    }


def _public(name: str, client: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "client_id": name,
        "authorized_grant_types": _split(client.get("authorized-grant-types")),
        "scope": _split(client.get("scope")) or ["uaa.none"],
        "authorities": _split(client.get("authorities")) or ["uaa.none"],
        "access_token_validity": client.get("access-token-validity"),
        "lastModified": client.get("lastModified", 0),
    }


def _routes(setting: service.Setting) -> list[Route]:
    config = setting.config
    key = serialization.load_pem_private_key(
        config["keys"][config["active_key"]]["signingKey"].encode(), None
    )
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the signing key has to be RSA")
    file = setting.store("uaa") / "clients.json"
    clients: dict[str, dict[str, Any]] = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    )
    # As with `override: true`, what the manifest says wins over what was changed by the API.
    for name, client in config["clients"].items():
        clients[name] = {**client, "secret": hashed(str(client.get("secret") or ""))}
    users = {str(user["name"]): user for user in config["users"]}
    uaa = Uaa(config["url"], key, config["active_key"], users, clients, file)
    return uaa.routes()


if __name__ == "__main__":
    sys.exit(service.run("uaa", _routes))
