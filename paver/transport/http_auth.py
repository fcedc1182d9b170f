"""How HTTP requests prove who asks: basic, bearer, or tokens of a UAA; every secret is a reference until then."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from paver.errors import Unobservable
from paver.transport.context import SecretRef, Wire
from paver.transport.logins import LoginError, refused_by_sso, refused_by_uaa


@dataclasses.dataclass(frozen=True)
class Basic:
    """User and password with every request."""

    user: str
    password: SecretRef


@dataclasses.dataclass(frozen=True)
class Bearer:
    """A token that is known beforehand."""

    token: SecretRef


@dataclasses.dataclass(frozen=True)
class ClientCredentials:
    """A UAA client: its token is fetched, kept until shortly before it expires, and renewed once after a 401.

    Attributes:
        token_url: as in `https://10.30.0.10:8443/oauth/token`.
        client: the client's id.
        secret: its secret.
    """

    token_url: str
    client: str
    secret: SecretRef


@dataclasses.dataclass(frozen=True)
class PasswordGrant:
    """A UAA user, through a client that may have no secret (as `fly` or `credhub_cli`).

    Attributes:
        token_url: the token endpoint.
        user: the user.
        password: the password.
        client: the client's id.
        secret: its secret, None for an empty one.
        public_secret: of a client whose secret everybody knows (fly's), instead of `secret`.
        scope: what is asked for.
    """

    token_url: str
    user: str
    password: SecretRef
    client: str
    secret: SecretRef | None = None
    public_secret: str = ""
    scope: str = ""


@dataclasses.dataclass(frozen=True)
class ApiSession:
    """A session of vCenter's REST API: opened with the first request, closed with the connection, renewed after a 401.

    Attributes:
        url: where sessions are opened and closed, as in `https://vcsa.north.example/api/session`.
        server: whose accounts they are, as `host:port`: single sign-on asks the same ones.
        user: the account.
        password: its password.
    """

    url: str
    server: str
    user: str
    password: SecretRef


Auth = Basic | Bearer | ClientCredentials | PasswordGrant | ApiSession | None

_SESSION = "vmware-api-session-id"


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


class Credentials:
    """Makes the `Authorization` header of one connection; thread-safe.

    Args:
        auth: how.
        context: opens secrets.
        client: the HTTP client that fetches tokens.
        extensions: httpx's, of every request to the endpoint itself.
    """

    def __init__(
        self, auth: Auth, context: Wire, client: Any, extensions: Mapping[str, str] | None = None
    ) -> None:
        self._auth = auth
        self._context = context
        self._client = client
        self._extensions = dict(extensions or {})
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0
        self._taken: Mapping[str, str] = {}

    @property
    def secret(self) -> str:
        """The name of the secret that proves who asks, empty where none does."""
        auth = self._auth
        if auth is None:
            return ""
        if isinstance(auth, Bearer):
            return auth.token.name
        return auth.secret.name if isinstance(auth, ClientCredentials) else auth.password.name

    @property
    def renewable(self) -> bool:
        """Whether a 401 may mean that a token expired."""
        return isinstance(self._auth, ClientCredentials | PasswordGrant | ApiSession)

    def headers(self) -> dict[str, str]:
        """Returns the headers that prove who asks."""
        auth = self._auth
        if auth is None:
            return {}
        if isinstance(auth, Basic):
            return {"Authorization": _basic(auth.user, self._context.reveal(auth.password))}
        if isinstance(auth, Bearer):
            return {"Authorization": f"Bearer {self._context.reveal(auth.token)}"}
        with self._lock:
            if isinstance(auth, ApiSession):
                self._token = self._token or self._opened(auth)
            elif not self._token or time.monotonic() > self._until:
                self._fetch(auth)
            return self._proof()

    def sent(self, proof: Mapping[str, str], send: Callable[[], Any], name: str) -> Any:
        """Returns the response that `send` gets by `proof`; a password that was not taken yet is sent by one at a time.

        Raises:
            LoginError: if the server refuses the password, or has refused it before: nothing is sent then.
        """
        auth = self._auth
        if not isinstance(auth, Basic) or proof == self._taken:
            return send()

        def ask() -> Any:
            response = send()
            if response.status_code == 401:
                response.close()
                raise LoginError(
                    f"{name} refuses the login of {auth.user}",
                    why="user or password is wrong, or the account is locked",
                    do=f"compare secret:{auth.password.name} with what is set there (`paver secrets show {auth.password.name}`), "
                    "before you try again: each wrong try may count",
                )
            if response.is_success:
                self._taken = proof
            return response

        password = proof["Authorization"]
        return self._context.logins.once(self._client.base_url.netloc.decode(), auth.user, password, ask)

    def _proof(self) -> dict[str, str]:
        if isinstance(self._auth, ApiSession):
            return {_SESSION: self._token}
        return {"Authorization": f"Bearer {self._token}"}

    def expire(self, used: dict[str, str]) -> None:
        """Drops a token that the server refused, if it is still the one in use."""
        with self._lock:
            if used == self._proof():
                self._token = ""

    def leave(self) -> None:
        """Closes the session, where there is one; a server that is gone already is fine."""
        import httpx  # noqa: PLC0415 - whoever opened it has loaded it

        if isinstance(self._auth, ApiSession) and self._token:
            with contextlib.suppress(httpx.HTTPError):
                self._client.delete(self._auth.url, headers=self._proof(), extensions=self._extensions)
            self._token = ""

    def _opened(self, auth: ApiSession) -> str:
        password = self._context.reveal(auth.password)

        def ask() -> str:
            login = {"Authorization": _basic(auth.user, password)}
            response = self._client.send(
                self._client.build_request("POST", auth.url, headers=login, extensions=self._extensions),
                stream=True,
            )
            content = whole(response, auth.url, self._context.timeouts.answer)
            if response.status_code == 401:
                raise refused_by_sso(auth.url, auth.user, auth.password.name)
            if response.status_code == 404:
                raise Unobservable(
                    f"{auth.url} is not there",
                    why="a vCenter has it from 7.0 U2 (7.0.2) on: this one is older, or something else answers there",
                    do="upgrade it to 7.0 U2 or later, then run the same command again",
                )
            if response.status_code != 201:
                raise Unobservable(f"{auth.url} opens no session: {response.status_code}")
            try:
                return str(json.loads(content))
            except ValueError as error:
                raise Unobservable(f"{auth.url} answered with something else than a session") from error

        return self._context.logins.once(auth.server, auth.user, password, ask)

    def _fetch(self, auth: ClientCredentials | PasswordGrant) -> None:
        known = auth.public_secret if isinstance(auth, PasswordGrant) else ""
        secret = self._context.reveal(auth.secret) if auth.secret is not None else known
        form = {"grant_type": "client_credentials"}
        if isinstance(auth, PasswordGrant):
            form = {
                "grant_type": "password",
                "username": auth.user,
                "password": self._context.reveal(auth.password),
                **({"scope": auth.scope} if auth.scope else {}),
            }
        who = auth.user if isinstance(auth, PasswordGrant) else auth.client

        def ask() -> tuple[str, float]:
            request = self._client.build_request(
                "POST",
                auth.token_url,
                data=form,
                headers={"Authorization": _basic(auth.client, secret), "Accept": "application/json"},
            )
            response = self._client.send(request, stream=True)
            content = whole(response, auth.token_url, self._context.timeouts.answer)
            if response.status_code in (400, 401):
                raise refused_by_uaa(auth.token_url, who, response.status_code, self.secret)
            if response.status_code != 200:
                raise Unobservable(
                    f"{auth.token_url} gives {who} no token: {response.status_code}",
                    do="look what answers there, then run the same command again",
                )
            return _token_in(response, content, auth.token_url)

        server, kind = urlsplit(auth.token_url).netloc, form["grant_type"]
        self._token, life = self._context.logins.once(
            server, f"{kind} {who}", secret + form.get("password", ""), ask
        )
        # A token that dies under way costs a repeated request: half a minute of its life is not used.
        self._until = time.monotonic() + max(life - 30, 5)


def _token_in(response: Any, content: bytes, url: str) -> tuple[str, float]:
    """Returns a token and the seconds that it lives."""
    try:
        answer = json.loads(content)
        return str(answer["access_token"]), float(answer.get("expires_in", 600))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Never what was answered: half of it may be a token.
        raise Unobservable(
            f"{url} answered 200, and not with a token",
            seen=f"{len(content)} bytes of {response.headers.get('Content-Type', 'no declared type')}",
            why="something else than a UAA answers there, as a proxy's or a captive portal's page",
            do="check the address, and what lies between (`paver ports`)",
        ) from error


MOST_BYTES = 64 * 1024 * 1024
"""What an answer may have: a director's list of a thousand tasks has 1 MB. A server that never ends must end here."""


UNPACKED = {"Accept-Encoding": "identity"}
"""Asked of every server: two kilobytes, packed twice, unfold to gigabytes before anything can be counted."""


def whole(response: Any, name: str, seconds: float) -> bytes:
    """Returns a streamed response's body, read to its end and closed.

    Args:
        response: with its head.
        name: of the endpoint, for messages.
        seconds: in which it must have come; what limits a single read lets a server drip for ever.

    Raises:
        Unobservable: if it is larger than any answer that paver asks for, comes too slowly, or is packed.
    """
    end, body = time.monotonic() + seconds, bytearray()
    what = f"{name} answered {response.request.method} {response.url.path}"
    try:
        packed = response.headers.get("Content-Encoding", "identity")
        if packed.strip().lower() != "identity":
            raise Unobservable(
                f"{what} with something packed",
                seen=f"Content-Encoding: {packed[:60]}",
                why="it was asked for its answer as it is (`Accept-Encoding: identity`)",
                do="look what lies between, as a proxy that packs",
            )
        for piece in response.iter_raw():
            body += piece
            if len(body) > MOST_BYTES:
                raise Unobservable(
                    f"{what} with more than {MOST_BYTES >> 20} MiB",
                    why="nothing that paver asks for is as large",
                    do="look what answers there",
                )
            if time.monotonic() > end:
                raise Unobservable(
                    f"{what}, and its answer came to no end",
                    seen=f"{len(body)} bytes in {seconds:g} s",
                    do="look what answers there, and how the line is",
                )
    finally:
        response.close()
    return bytes(body)
