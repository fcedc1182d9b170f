"""The lab's BOSH agent: what runs in a VM that was made from the lab's stemcell.

`python -m paver.lab.standins.agent --settings FILE [--root DIR]`. Serves HTTPS on the port of the mbus URL, at the
VM's own address, with the certificate and the credentials that the settings carry; the protocol is the one
that the official CLI speaks to a VM of `create-env` (bosh-agent, "agent/action"). Works in `--root`
(default: `vcap` beside the settings), which stands for /var/vcap.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import os
import queue
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from paver.lab.standins import agent_machine, httpd
from paver.lab.standins.agent_machine import Machine

_READ_ONLY = frozenset({"ping", "get_state", "get_task", "list_disk", "info"})
_SYNCHRONOUS = frozenset({"ping", "get_state", "start", "list_disk", "info", "update_settings"})


@dataclass
class Agent:
    """Answers the mbus. Processes are started in the main thread only: theirs end when it does."""

    machine: Machine
    credentials: str
    work: queue.Queue[tuple[Callable[[], Any], Future[Any]] | None] = field(default_factory=queue.Queue)
    finished: dict[str, tuple[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def routes(self) -> list[httpd.Route]:
        """The two things that an agent listens to."""
        return [
            httpd.Route("POST", "/agent", self.call),
            httpd.Route("PUT", "/blobs/(?:[0-9a-f]{2}/)?([A-Za-z0-9-]+)", self.put_blob),
            httpd.Route("GET", "/blobs/(?:[0-9a-f]{2}/)?([A-Za-z0-9-]+)", self.get_blob),
        ]

    def call(self, exchange: httpd.Exchange) -> httpd.Reply:
        """Answers one method: at once, or by a task whose result the next `get_task` fetches."""
        self._authorise(exchange)
        request = exchange.json()
        method, arguments = str(request["method"]), list(request.get("arguments") or [])
        exchange.note, exchange.write = method, method not in _READ_ONLY
        if method == "get_task":
            return self._task(str(arguments[0]))
        if method not in _SYNCHRONOUS and method not in agent_machine.TASKS:
            return _exception(f"unknown message {method}")
        try:
            value = self._run(method, arguments)
        except Exception as error:  # noqa: BLE001 - an agent answers with whatever went wrong, and lives on
            if method in _SYNCHRONOUS:
                return _exception(str(error))
            return self._remember("exception", {"message": str(error)})
        return (
            httpd.Reply(200, {"value": value}) if method in _SYNCHRONOUS else self._remember("value", value)
        )

    def put_blob(self, exchange: httpd.Exchange, name: str) -> httpd.Reply:
        """Keeps a blob: the rendered jobs, a package."""
        self._authorise(exchange)
        self.machine.blobs.store(name, exchange.chunks())
        return httpd.Reply(201)

    def get_blob(self, exchange: httpd.Exchange, name: str) -> httpd.Reply:
        """Gives a blob back."""
        self._authorise(exchange)
        path = self.machine.blobs.path(name)
        return httpd.Reply(200, path.read_bytes()) if path.is_file() else httpd.Reply(404, "")

    def serve_work(self) -> None:
        """Carries out, in the thread that calls it, what the handlers' threads hand over; ends on None."""
        while (item := self.work.get()) is not None:
            action, future = item
            try:
                future.set_result(action())
            except Exception as error:  # noqa: BLE001 - belongs to the thread that waits for it
                future.set_exception(error)

    def _run(self, method: str, arguments: list[Any]) -> Any:
        if method == "ping":
            return "pong"
        if method == "info":
            return {"api_version": 1}
        future: Future[Any] = Future()
        self.work.put((lambda: self.machine.perform(method, arguments), future))
        return future.result()

    def _remember(self, kind: str, value: Any) -> httpd.Reply:
        task = str(uuid.uuid4())
        with self.lock:
            self.finished[task] = (kind, value)
        return httpd.Reply(200, {"value": {"agent_task_id": task, "state": "running"}})

    def _task(self, task: str) -> httpd.Reply:
        with self.lock:
            result = self.finished.get(task)
        if result is None:
            return _exception(f"unknown task {task}")
        return httpd.Reply(200, {result[0]: result[1]})

    def _authorise(self, exchange: httpd.Exchange) -> None:
        given = exchange.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), self.credentials.encode()):
            raise httpd.Refusal(401, "", {"www-authenticate": 'Basic realm=""'})


def _exception(message: str) -> httpd.Reply:
    return httpd.Reply(200, {"exception": {"message": message}})


def _trace_beside(settings: Path) -> None:
    # In a lab the settings lie in LAB/machines/UUID/, and its trace in LAB/trace/.
    trace = settings.parents[2] / "trace"
    if settings.parents[1].name == "machines" and trace.is_dir():
        os.environ.setdefault("PAVER_LAB_TRACE_DIR", str(trace))


def main() -> int:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="what the CPI wrote for this VM (JSON)")
    parser.add_argument(
        "--root", type=Path, help="what stands for /var/vcap (default: vcap beside the settings)"
    )
    options = parser.parse_args()
    settings = json.loads(options.settings.read_text(encoding="utf-8"))
    root: Path = options.root or options.settings.resolve().parent / "vcap"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _trace_beside(options.settings.resolve())
    machine = Machine(settings, root)
    url = urlsplit(settings["mbus"])
    pair = settings["env"]["bosh"]["mbus"]["cert"]
    token = base64.b64encode(f"{unquote(url.username or '')}:{unquote(url.password or '')}".encode())
    agent = Agent(machine, f"Basic {token.decode()}")

    def stop(_signal: int, _frame: FrameType | None) -> None:
        agent.work.put(None)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    context = httpd.tls_context(pair["certificate"], pair["private_key"], root / "data" / "tmp")
    # The URL says 0.0.0.0; the machines of a lab share one network, so each takes its own address.
    server = httpd.Server(
        f"agent-{machine.address}", (machine.address, url.port or 6868), context, agent.routes()
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    machine.boot()
    agent.serve_work()
    machine.halt()
    return 0


if __name__ == "__main__":
    sys.exit(main())
