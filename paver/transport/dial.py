"""Reaching a TLS server: directly or through a CONNECT proxy, by address while its certificate names something else.

One route serves SOAP, disk uploads and datastore files alike, so that all of them trust the same thing.
"""

from __future__ import annotations

import dataclasses
import errno
import http.client
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

Proxy = tuple[str, int]

_NOBODY = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT})


def tcp(address: str, port: int, proxy: Proxy | None, timeout: float) -> socket.socket:
    """Returns a TCP connection to `address`; through `proxy`, names are resolved on its far side.

    Raises:
        OSError: if nothing answers, or the proxy refuses.
    """
    if proxy is None:
        sock = socket.create_connection((address, port), timeout)
    else:
        sock = socket.create_connection(proxy, timeout)
        try:
            _tunnel(sock, address, port)
        except BaseException:
            sock.close()
            raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _tunnel(sock: socket.socket, address: str, port: int) -> None:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        # Byte by byte at the end of the head: what follows it belongs to TLS.
        piece = sock.recv(1)
        if not piece:
            raise ConnectionError(f"the tunnel to {where} closed before it stood")
        head += piece
        if len(head) > 65536:
            raise ConnectionError(f"the tunnel to {where} answered with too much")
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        raise ConnectionRefusedError(f"{where} cannot be reached through the tunnel: {status}")


def refused_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Returns the refused certificate that made a library's error, None if it was something else."""
    return next((one for one in behind(error) if isinstance(one, ssl.SSLCertVerificationError)), None)


def nobody(error: BaseException) -> bool:
    """Tells whether a library failed to connect because nobody took the connection, by the system's word for it."""
    return any(isinstance(one, OSError) and one.errno in _NOBODY for one in behind(error))


def behind(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and all that made it: causes, contexts, reasons, arguments, as libraries wrap them."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            yield one
            seen.add(id(one))
            context = None if one.__suppress_context__ else one.__context__
            waiting += [one.__cause__, context, getattr(one, "reason", None), *one.args]


class Trust:
    """What a server must prove. It may change under a session: adding a host to vCenter gives it a new certificate.

    Args:
        context: holds the pinned certificate or the roots; always verifies.
        server_name: the name that the certificate must bear, if it is not the address that is dialled.
        renew: decides anew, once a certificate was refused; raises if nothing else is trusted.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        server_name: str | None = None,
        renew: Callable[[], tuple[ssl.SSLContext, str | None]] | None = None,
    ) -> None:
        self.context = context
        self.server_name = server_name
        self._renew = renew

    def again(self) -> bool:
        """Decides anew; False if there is nothing to decide."""
        if self._renew is None:
            return False
        self.context, self.server_name = self._renew()
        return True


@dataclasses.dataclass(frozen=True)
class Route:
    """How one TLS server is reached, and what it must prove.

    Attributes:
        address: what is dialled.
        port: its port.
        trust: what it must prove.
        proxy: the CONNECT proxy in between.
        connect_timeout: seconds until the handshake is done.
        timeout: seconds that one send or receive may take.
    """

    address: str
    port: int
    trust: Trust
    proxy: Proxy | None = None
    connect_timeout: float = 15.0
    timeout: float = 120.0

    @property
    def netloc(self) -> str:
        """The address and, if it is not 443, the port, as a URL shows them."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == 443 else f"{host}:{self.port}"

    def to(self, address: str, port: int, context: ssl.SSLContext) -> Route:
        """Returns a route to another server on the same side."""
        return dataclasses.replace(self, address=address, port=port, trust=Trust(context))

    def connect(self) -> ssl.SSLSocket:
        """Returns a verified TLS connection.

        Raises:
            OSError: if nothing answers or the certificate is not the right one (`ssl.SSLError`).
            TrustError: if trust was decided anew, and the certificate is not the right one.
        """
        try:
            return self._handshake()
        except ssl.SSLCertVerificationError:
            if not self.trust.again():
                raise
            return self._handshake()

    def _handshake(self) -> ssl.SSLSocket:
        raw = tcp(self.address, self.port, self.proxy, self.connect_timeout)
        try:
            secure = self.trust.context.wrap_socket(
                raw, server_hostname=self.trust.server_name or self.address
            )
        except BaseException:
            raw.close()
            raise
        secure.settimeout(self.timeout)
        return secure

    def https(self) -> HttpsConnection:
        """Returns an HTTP connection over this route; it connects on first use."""
        return HttpsConnection(self)


class HttpsConnection(http.client.HTTPSConnection):
    """An HTTPS connection whose socket comes from a route."""

    def __init__(self, route: Route) -> None:
        super().__init__(route.address, route.port, context=route.trust.context, timeout=route.timeout)
        self._route = route
        self._held: list[bytes] | None = None

    def connect(self) -> None:
        """Dials."""
        self.sock = self._route.connect()

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """Sends the headers, and a body that is at hand along with them: the server is woken once, not twice."""
        if encode_chunked or not isinstance(message_body, bytes):
            super().endheaders(message_body, encode_chunked=encode_chunked)
            return
        self._held = []
        try:
            super().endheaders(message_body)
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        """Sends, or holds back what `endheaders` puts together."""
        if self._held is not None and isinstance(data, bytes):
            self._held.append(data)
        else:
            super().send(data)

    @property
    def stale(self) -> bool:
        """True if the server closed (or wrote to) the connection while nobody asked it anything."""
        if self.sock is None:
            return True
        readable, _, _ = select.select([self.sock], [], [], 0)
        return bool(readable)
