"""A CONNECT proxy on loopback whose far end is a machine behind SSH.

What goes through it stays TLS end to end, and names resolve on the far side. Only this user's own processes
are served, and the proxy exists only as long as the run.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Protocol

from paver.transport import socket_owner

_PIECE = 256 * 1024
_LOOK = 0.02
"""Seconds that closing takes at most: in between it is looked whether to go on listening."""


class Far(Protocol):
    """One open connection on the far side."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> Any: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class ConnectProxy:
    """The proxy, listening from the moment that it is made.

    Args:
        reach: opens a connection to host and port on the far side.
    """

    def __init__(self, reach: Callable[[str, int], Far]) -> None:
        self._reach = reach
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_LOOK,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stops listening; connections that stand end with their own sides."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if socket_owner.uid_of(near.getpeername(), near.getsockname()) != os.getuid():
                near.sendall(b"HTTP/1.1 403 Not yours\r\n\r\n")
                return
            near.settimeout(10)
            target = _target(near)
            if target is None:
                near.sendall(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
                return
            try:
                far = self._reach(*target)
            except Exception as error:  # noqa: BLE001 (whatever it was: the near side must hear of it)
                reason = " ".join(str(error).split())[:200].encode("latin-1", "replace")
                near.sendall(b"HTTP/1.1 502 " + (reason or b"unreachable") + b"\r\n\r\n")
                return
            near.settimeout(None)
            try:
                near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                _pump(near, far)
            finally:
                far.close()


def _target(near: socket.socket) -> tuple[str, int] | None:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 16384:
        piece = near.recv(4096)
        if not piece:
            return None
        head += piece
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(words) != 3 or words[0] != "CONNECT":
        return None
    host, _, port = words[1].rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else None


def _pump(near: socket.socket, far: Far) -> None:
    poll = select.poll()
    sides: dict[int, tuple[Any, Any]] = {near.fileno(): (near, far), far.fileno(): (far, near)}
    for fileno in sides:
        poll.register(fileno, select.POLLIN)
    while True:
        for fileno, _ in poll.poll():
            source, sink = sides[fileno]
            piece = source.recv(_PIECE)
            if not piece:
                return
            sink.sendall(piece)
