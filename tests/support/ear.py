"""Who listens at a socket of the lab, in the place of the part that would act on what it hears."""

from __future__ import annotations

import http.server
import json
import queue
import socketserver
import threading
from pathlib import Path
from typing import Any


class Ear:
    """Hears requests at a unix socket, and takes each.

    Attributes:
        heard: what was asked and with what, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        heard = self.heard

        class Listening(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.put((self.path, json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: Any) -> None:
                return

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Listening)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def next(self, kind: str, seconds: float = 10) -> Any:
        """The next request to the path `kind`; what is asked before it is left out."""
        while True:
            path, body = self.heard.get(timeout=seconds)
            if path == kind:
                return body

    def all(self) -> list[tuple[str, Any]]:
        """What was asked up to now, but for what was looked at before."""
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
