"""The HTTPS server under every stand-in: routes, JSON, refusals, and the lab's trace.

One line per request goes to `$PAVER_LAB_TRACE_DIR/<server>.jsonl`, without headers or bodies, so without
secrets. Handshakes run in the connection's own thread: a client that stalls holds up nobody.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK = 1 << 20
# Asking for a token changes nothing that anybody manages.
_NO_WRITE = frozenset({"/oauth/token", "/sky/issuer/token"})


class Refusal(Exception):
    """Ends a request with `status` and `body`."""

    def __init__(self, status: int, body: Any = "", headers: Mapping[str, str] | None = None) -> None:
        """Takes what the client is to read."""
        super().__init__(f"{status} {body}")
        self.reply = Reply(status, body, headers or {})


@dataclass(frozen=True)
class Reply:
    """An answer: a str or bytes goes out as it is, None as nothing, anything else as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Exchange:
    """One request as its handler sees it. The handler fills in `user` and `write` for the trace."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    client: str
    length: int
    _read: Callable[[int], bytes]
    user: str = ""
    write: bool = False
    note: str = ""
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        """Notes how much of the body is still on the wire."""
        self._left = self.length

    def chunks(self) -> Iterator[bytes]:
        """Yields the body piece by piece."""
        while self._left:
            piece = self._read(min(self._left, _CHUNK))
            if not piece:
                raise Refusal(400, "the body ended early")
            self._left -= len(piece)
            yield piece

    def body(self) -> bytes:
        """Returns the whole body."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """Returns the body's JSON; refuses anything else with 400."""
        try:
            return json.loads(self.body() or b"null")
        except ValueError as error:
            raise Refusal(400, {"error": f"not JSON: {error}"}) from error

    def form(self) -> dict[str, str]:
        """Returns the fields of an urlencoded body."""
        return {key: values[-1] for key, values in parse_qs(self.body().decode(), True).items()}

    @property
    def drained(self) -> bool:
        """Whether the body was read to its end."""
        return self._left == 0


Handler = Callable[..., Reply]


@dataclass(frozen=True)
class Route:
    """A path pattern (groups become the handler's arguments, unquoted) of one method."""

    verb: str
    pattern: str
    handler: Handler


@dataclass(frozen=True)
class Trace:
    """Where the calls of one server are written down; no folder: nowhere."""

    server: str
    folder: Path | None

    @classmethod
    def from_environment(cls, server: str) -> Trace:
        """Takes the folder from PAVER_LAB_TRACE_DIR."""
        folder = os.environ.get("PAVER_LAB_TRACE_DIR")
        return cls(server, Path(folder) if folder else None)

    def line(self, exchange: Exchange, target: str, status: int, milliseconds: int) -> None:
        """Appends one call; a line is one write, so that several writers cannot mix theirs."""
        if self.folder is None:
            return
        method = f"{exchange.verb} {exchange.path}" + (f" {exchange.note}" if exchange.note else "")
        # When it came, as the simulators of vSphere write it.
        began = datetime.now(UTC) - timedelta(milliseconds=milliseconds)
        entry = {
            "time": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "server": self.server,
            "client": exchange.client,
            "user": exchange.user,
            "kind": "http",
            "method": method,
            "target": target,
            "write": exchange.write,
            "fault": None if status < 400 else str(status),
            "ms": milliseconds,
        }
        data = (json.dumps(entry, separators=(",", ":")) + "\n").encode()
        descriptor = os.open(
            self.folder / f"{self.server}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def tls_context(certificate: str, private_key: str, folder: Path) -> ssl.SSLContext:
    """Returns a server context for a PEM pair; OpenSSL takes it from files only, so they pass through `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"tls-{os.getpid()}-{threading.get_ident()}.pem"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(certificate.rstrip() + "\n" + private_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
    finally:
        path.unlink()
    return context


def answer(routes: list[Route], exchange: Exchange) -> Reply:
    """Returns what the first fitting route says; 404 for an unknown path, 405 for another method of a known one."""
    known = False
    for route in routes:
        # The pattern cache of `re` makes compiling them beforehand needless.
        match = re.fullmatch(route.pattern, exchange.path)
        if match is None:
            continue
        known = True
        if route.verb != exchange.verb:
            continue
        try:
            return route.handler(exchange, *[unquote(group or "") for group in match.groups()])
        except Refusal as refusal:
            return refusal.reply
        except Exception as error:  # noqa: BLE001 - a stand-in answers 500 as the real one does, and lives on
            return Reply(500, {"code": 100, "description": f"{type(error).__name__}: {error}"})
    return Reply(405 if known else 404, {"code": 404, "description": f"no such path: {exchange.path}"})


class Server(ThreadingHTTPServer):
    """Serves `routes` over TLS on one address."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, name: str, address: tuple[str, int], context: ssl.SSLContext | None, routes: list[Route]
    ) -> None:
        """Binds at once, so that a taken address is known before anything else happens."""
        self.name = name
        self.context = context
        self.trace = Trace.from_environment(name)
        self.routes = routes
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet: a client that hangs up or speaks no TLS is no event in a lab."""


class _Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # One segment per answer: without this the kernel's delayed acknowledgement adds 40 ms to each.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 600

    def setup(self) -> None:
        if self.server.context is not None:
            self.request.settimeout(30)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Says nothing on stderr: the trace is the log."""

    def _serve(self) -> None:
        started = time.monotonic()
        parts = urlsplit(self.path)
        exchange = Exchange(
            verb=self.command,
            path=parts.path,
            query={key: values[-1] for key, values in parse_qs(parts.query, True).items()},
            headers={key.lower(): value for key, value in self.headers.items()},
            client=str(self.client_address[0]),
            length=int(self.headers.get("content-length") or 0),
            _read=self.rfile.read,
            write=self.command not in {"GET", "HEAD"} and parts.path not in _NO_WRITE,
        )
        reply = answer(self.server.routes, exchange)
        host, port = self.server.server_address[:2]
        # Before the answer: whoever has that, and reads the trace, finds the call in it.
        self.server.trace.line(
            exchange, f"{host!s}:{port}", reply.status, round((time.monotonic() - started) * 1000)
        )
        self._send(reply, exchange)

    def _send(self, reply: Reply, exchange: Exchange) -> None:
        headers = {key.lower(): value for key, value in reply.headers.items()}
        if reply.body is None:
            data = b""
        elif isinstance(reply.body, bytes):
            data = reply.body
        elif isinstance(reply.body, str):
            data = reply.body.encode()
        else:
            data = json.dumps(reply.body).encode()
            headers.setdefault("content-type", "application/json")
        self.send_response(reply.status)
        for key, value in headers.items():
            self.send_header(key, value)
        if reply.status != 204:
            self.send_header("content-length", str(len(data)))
        if not exchange.drained:
            # What is left of the body would be read as the next request.
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        if exchange.verb != "HEAD" and reply.status != 204:
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server finds them so
