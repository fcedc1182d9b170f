"""Who listens at a socket of the lab, in the place of the part that would act on what it hears."""

from __future__ import annotations

import http.server
import json
import queue
import socketserver
import threading
from pathlib import Path
from typing import Any


class Listener(socketserver.ThreadingUnixStreamServer):
    """Takes each request at the unix socket `path`, from when it is made until it is closed."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Request)
        self.path = path
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def hear(self, asked: str, body: Any) -> None:
        """Is told what was asked for, and with what, by many threads.

        Before that is answered: whoever sends one after another is heard in this order.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stops listening."""
        self.shutdown()
        self.server_close()


class _Request(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.server.hear(self.path, body)
        finally:
            # Whoever gets no answer asks again, and it would be heard twice.
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


class Ear(Listener):
    """Keeps what it hears, in order."""

    def __init__(self, path: Path) -> None:
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        super().__init__(path)

    def hear(self, asked: str, body: Any) -> None:
        self.heard.put((asked, body))

    def next(self, kind: str) -> Any:
        """The next request to the path `kind`; what is asked before it is left out."""
        while True:
            path, body = self.heard.get(timeout=60)
            if path == kind:
                return body

    def all(self) -> list[tuple[str, Any]]:
        """What was asked up to now, but for what was looked at before."""
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]
