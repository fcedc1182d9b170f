"""HTTP over httpx with our own roots: a reading face that only gets, and a writing one behind the gate."""

from __future__ import annotations

import dataclasses
import json as json_module
import re
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paver.errors import PaverError, Refused, Unobservable, Unreachable
from paver.transport import dial, lean, tls
from paver.transport.context import Gate, Progress, Wire
from paver.transport.http_auth import (
    UNPACKED,
    ApiSession,
    Auth,
    Basic,
    Bearer,
    ClientCredentials,
    Credentials,
    PasswordGrant,
    whole,
)
from paver.transport.kept import Kept

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Answer",
    "ApiSession",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "HttpConnection",
    "HttpConnector",
    "HttpError",
    "HttpReader",
    "HttpWriter",
    "PasswordGrant",
]

_PIECE = 256 * 1024
READS = frozenset({"GET", "HEAD"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""
_SECRET = re.compile(
    r'(?i)("?[\w-]*(?:password|secret|token|private_key|credential|authorization)[\w-]*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|[^\s,}&]+)'
)


def redacted(text: str) -> str:
    """Returns the beginning of an answer's body with everything that looks like a secret struck out."""
    return _SECRET.sub(r"\1***", " ".join(text.split()))[:400]


class HttpError(PaverError):
    """A server answered that it will not.

    Attributes:
        status: the HTTP status.
        method: the request's method.
        url: the request's address, without credentials or query.
        body: the beginning of the answer, redacted.
    """

    def __init__(self, name: str, method: str, url: str, status: int, body: str, secret: str = "") -> None:
        hints = {
            401: "the credentials are wrong or expired",
            403: "the account may not do that",
            404: "there is no such thing",
            409: "it stands in conflict with something that is there",
            507: "its storage is full",
        }
        super().__init__(
            f"{name}: {method} {url} was answered with {status}",
            why=hints.get(status, ""),
            do=f"compare secret:{secret} with what is set there" if secret and status == 401 else "",
            seen=body,
        )
        self.status = status
        self.method = method
        self.url = url
        self.body = body


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: the HTTP status.
        headers: by lower-case name.
        body: the bytes.
        url: where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Returns the body as JSON.

        Raises:
            Unobservable: if it is none.
        """
        try:
            return json_module.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unobservable(f"{self.url} did not answer with JSON", seen=redacted(self.text)) from error


class Line:
    """One endpoint's client, shared by both faces; thread-safe.

    Args:
        connector: the settings.
        context: the run's.
    """

    def __init__(self, connector: HttpConnector, context: Wire) -> None:
        self.name = connector.name
        self.kept = Kept()
        self._connector = connector
        self._context = context
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._credentials: Credentials | None = None

    def _open(self) -> tuple[httpx.Client, Credentials]:
        lean.load("httpx")
        import httpx  # noqa: PLC0415

        with self._lock:
            if self._client is None or self._credentials is None:
                proxy = self._context.route(self._connector.via)
                times = self._context.timeouts
                self._client = httpx.Client(
                    base_url=self._connector.base_url,
                    verify=tls.ca_context(self._context.pem(self._connector.roots)),
                    proxy=f"http://{proxy[0]}:{proxy[1]}" if proxy else None,
                    headers=UNPACKED,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx.Timeout(times.answer, connect=times.connect),
                )
                self._credentials = Credentials(
                    self._connector.auth, self._context, self._client, self._extensions
                )
            return self._client, self._credentials

    @property
    def _extensions(self) -> dict[str, str]:
        return {"sni_hostname": self._connector.server_name} if self._connector.server_name else {}

    def read(self, method: str, path: str, **options: Any) -> Answer:
        """Sends a request that only reads; it is repeated while the connection breaks or the server is busy.

        Raises:
            Refused: for a method that may write.
        """
        if method not in READS:
            raise Refused(
                f"{method} {path} on {self.name} was refused: it is not known to read only",
                why="a plan is made with sessions that cannot write",
                do="this is a fault of paver or of a driver: please report it with the command that you ran",
            )
        return self._context.repeated(
            self.name, f"{method} {path.partition('?')[0]}", lambda: self.ask(method, path, **options)
        )

    def ask(self, method: str, path: str, *, expect: tuple[int, ...] = (), **options: Any) -> Answer:
        """Sends a request and returns the answer.

        Raises:
            Unreachable: if nobody is there.
            Unobservable: if what answers does so otherwise than by HTTP.
            HttpError: for a status that is neither 2xx nor expected.
        """
        client, credentials = self._open()
        import httpx  # noqa: PLC0415 - leanly loaded by now

        given = options.pop("headers", None) or {}
        body = options.pop("body", None)
        try:
            for last in (False, True):
                proof = credentials.headers()
                if body is not None:
                    options["content"] = body()
                request = client.build_request(
                    method, path, headers={**proof, **given}, extensions=self._extensions, **options
                )
                response = credentials.sent(proof, partial(client.send, request, stream=True), self.name)
                content = whole(response, self.name, self._context.timeouts.answer)
                if response.status_code != 401 or last or not credentials.renewable:
                    break
                credentials.expire(proof)
        except httpx.HTTPError as error:
            refused = dial.refused_certificate(error)
            if refused is not None:
                raise tls.explain(refused, f"{self.name} ({client.base_url})") from error
            nobody = isinstance(error, httpx.ConnectTimeout) or (
                isinstance(error, httpx.ConnectError) and dial.nobody(error)
            )
            raise (Unreachable if nobody else Unobservable)(
                f"{self.name} ({client.base_url}) does not answer",
                why=str(error) or type(error).__name__,
                do="check that it runs and can be reached from here (`paver ports`)",
            ) from error
        where = str(response.url.copy_with(query=None, userinfo=b""))
        if not response.is_success and response.status_code not in expect:
            told = redacted(content.decode("utf-8", "replace"))
            raise HttpError(self.name, method, where, response.status_code, told, credentials.secret)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, content, where)

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            if self._client is not None and self._credentials is not None:
                self._credentials.leave()
                self._client.close()
                self._client = None


class HttpReader:
    """Gets; whatever would write raises `Refused` before a byte leaves."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def name(self) -> str:
        """What the user calls the endpoint."""
        return self._line.name

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (),
    ) -> Answer:
        """Gets `path`.

        Args:
            path: below the base URL.
            params: the query.
            headers: beside the usual ones.
            expect: statuses beside 2xx that are no error.

        Raises:
            Unobservable: if nothing answers.
            HttpError: for any other status.
        """
        return self._line.read("GET", path, params=params, headers=headers, expect=expect)

    def find(self, path: str, *, params: Mapping[str, str] | None = None) -> Answer | None:
        """Gets `path`, None if there is no such thing (404)."""
        answer = self.get(path, params=params, expect=(404,))
        return None if answer.status == 404 else answer

    def answer(self, path: str, *, params: Mapping[str, str] | None = None) -> Answer:
        """Gets `path`; the answer is kept until the next write or `forget`: nothing to wait for a change by."""
        question = path, tuple(sorted((params or {}).items()))
        return self._line.kept.get(question, lambda: self.get(path, params=params))


class HttpWriter(HttpReader):
    """Gets and writes; every write passes the gate as `POST /releases`, by the template that the caller names."""

    def __init__(self, line: Line, gate: Gate) -> None:
        super().__init__(line)
        self._gate = gate

    def send(
        self,
        method: str,
        path: str,
        *,
        call: str = "",
        json: Any = None,
        data: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (),
    ) -> Answer:
        """Sends a write.

        Args:
            method: POST, PUT, PATCH or DELETE.
            path: below the base URL.
            call: the name that passes the gate, as in `PUT /teams/:team`; without it, method and path.
            json: a body as JSON.
            data: a body as a form.
            content: a body as it is.
            params: the query.
            headers: beside the usual ones.
            expect: statuses beside 2xx that are no error.

        Raises:
            Refused: by the gate.
            HttpError: for any other status.
        """
        self._gate(call or f"{method} {path.partition('?')[0]}", f"{self.name}: {path.partition('?')[0]}")
        return self._ask(
            method, path, json=json, data=data, content=content, params=params, headers=headers, expect=expect
        )

    def _ask(self, method: str, path: str, **options: Any) -> Answer:
        try:
            return self._line.ask(method, path, **options)
        finally:
            self._line.kept.forget()

    def post(self, path: str, **options: Any) -> Answer:
        """Posts; see `send`."""
        return self.send("POST", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        """Puts; see `send`."""
        return self.send("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """Deletes; see `send`."""
        return self.send("DELETE", path, **options)

    def upload(
        self,
        path: str,
        source: Path,
        *,
        call: str = "",
        content_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (),
        on_progress: Progress | None = None,
    ) -> Answer:
        """Posts a file as the body, streamed; see `send`."""
        size = source.stat().st_size
        self._gate(call or f"POST {path.partition('?')[0]}", f"{self.name}: {path}", {"bytes": size})
        return self._ask(
            "POST",
            path,
            headers={"Content-Type": content_type, "Content-Length": str(size), **(headers or {})},
            body=lambda: _pieces(source, size, on_progress),
            expect=expect,
        )


def _pieces(source: Path, size: int, on_progress: Progress | None) -> Iterator[bytes]:
    done = 0
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece
            done += len(piece)
            if on_progress is not None:
                on_progress(done, size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HttpConnector:
    """How an HTTPS API is reached.

    Attributes:
        name: what the user calls it.
        base_url: as in `https://10.30.0.10:25555`.
        roots: PEM texts or names of anchors that its certificate must lead to.
        auth: how requests prove who asks.
        via: the machine that it lies behind, seen from outside.
        server_name: the name that its certificate bears, if it is not the one in the URL.
    """

    name: str
    base_url: str
    roots: tuple[str, ...] = ()
    auth: Auth = None
    via: str | None = None
    server_name: str | None = None

    def connect(self, context: Wire) -> HttpConnection:
        """Returns the connection; it dials with the first request."""
        return HttpConnection(Line(self, context))


class HttpConnection:
    """A connected API; thread-safe."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def reader(self) -> HttpReader:
        """Returns the reading face."""
        return HttpReader(self._line)

    def writer(self, gate: Gate) -> HttpWriter:
        """Returns a writing face whose every write passes `gate`."""
        return HttpWriter(self._line, gate)

    def forget(self) -> None:
        """Drops what was answered."""
        self._line.kept.forget()

    def close(self) -> None:
        """Hangs up."""
        self._line.close()
