"""The room's socket: HTTP with JSON, for the simulators, for whoever raised the lab, and for tests.

POST /power               a power event; 202
POST /wiring              new wiring of running machines; 202
POST /hosts/NAME/power    {"state": "on" | "off"}
GET  /machines            all machines;  GET /machines/UUID one
GET  /status              hosts and machines
"""

from __future__ import annotations

import json
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from paver.errors import BadInput
from paver.lab.room import world
from paver.lab.room.supervisor import Supervisor


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens at `path` for the owner alone; one thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Connection)
        path.chmod(0o600)
        self.supervisor = supervisor


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(60)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        """Says nothing: the machines' consoles tell what happened."""

    def do_GET(self) -> None:
        supervisor = self.server.supervisor
        match self.path.strip("/").split("/"):
            case ["machines"]:
                self._answer(200, supervisor.machines())
            case ["machines", uuid]:
                found = supervisor.describe(uuid)
                self._answer(404 if found is None else 200, found or {"error": f"no machine {uuid}"})
            case ["status"]:
                self._answer(200, {"hosts": supervisor.hosts(), "machines": supervisor.machines()})
            case _:
                self._answer(404, {"error": f"nothing at {self.path}"})

    def do_POST(self) -> None:
        supervisor = self.server.supervisor
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            match self.path.strip("/").split("/"):
                case ["power"]:
                    supervisor.power(world.event(body))
                    self._answer(202, {})
                case ["wiring"]:
                    supervisor.wire(world.wiring(body))
                    self._answer(202, {})
                case ["hosts", name, "power"]:
                    known = supervisor.host(name, on=world.switched_on(body))
                    self._answer(200 if known else 404, {} if known else {"error": f"no host {name}"})
                case _:
                    self._answer(404, {"error": f"nothing at {self.path}"})
        except BadInput as error:
            self._answer(400, {"error": f"{error.what}: {error.why}"})
        except ValueError as error:
            self._answer(400, {"error": f"not JSON: {error}"})

    def _answer(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
