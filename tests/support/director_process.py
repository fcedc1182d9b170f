"""The lab's director in a process of its own, on a disk of its own, and sessions to it as an action has them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from paver.driver import Endpoint, Mark, ResourceId
from paver.engine.world import Connections, WritingWorld
from paver.lab import pki, system
from paver.lab.standins import tokens
from paver.transport.context import Wire
from paver.transport.http import HttpConnector
from paver.transport.http_auth import Bearer
from tests.support.ports import free_port
from tests.support.waiting import until

ADDRESS = "127.0.0.42"
AT: Endpoint[Any, Any] = Endpoint("director")
CPI = """#!/bin/sh
# Notes each call, and answers once nobody asks it to wait.
tee -a "$0.calls" >/dev/null; echo >>"$0.calls"
while test -e "$0.wait"; do sleep 0.02; done
echo '{"result": "sc-1", "error": null, "log": ""}'
"""


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclasses.dataclass(frozen=True)
class _Named:
    name: str


@dataclasses.dataclass
class Director:
    """The process, and what is on its disk."""

    folder: Path
    pair: pki.Pair
    port: int
    process: subprocess.Popen[bytes] | None = None
    opened: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        argv = [sys.executable, "-m", "paver.lab.standins.director", "--config"]
        environment = {
            "BOSH_VM_IP": ADDRESS,
            "VCAP_ROOT": str(self.folder),
            "PAVER_LAB_TRACE_DIR": str(self.folder),
            "PYTHONPATH": system.python_path(),
        }
        self.process = subprocess.Popen(
            [*argv, str(self.folder / "director.json")], env={**os.environ, **environment}
        )
        until(self._answers, "the director answers")

    def kill(self) -> None:
        """Ends it, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex((ADDRESS, self.port)) == 0

    @property
    def state(self) -> dict[str, Any]:
        """What is on its disk."""
        found: dict[str, Any] = json.loads((self.folder / "store/director/state.json").read_text())
        return found

    def tasks(self, called: str) -> list[str]:
        """Returns the states of all tasks of that description, the oldest first."""
        return [task["state"] for task in self.state["tasks"] if task["description"] == called]

    def posted(self, path: str) -> int:
        """Returns how often something was posted there."""
        lines = (self.folder / "director.jsonl").read_text().splitlines()
        return sum(json.loads(line)["method"] == f"POST {path}" for line in lines)

    @property
    def ledger(self) -> dict[str, Any]:
        """Returns the entries of the site's ledger."""
        kept = [config for config in self.state["configs"] if config["type"] == "paver"]
        if not kept or kept[-1]["deleted"]:
            return {}
        found: dict[str, Any] = json.loads(kept[-1]["content"])["entries"]
        return found

    @property
    def room(self) -> Path:
        """The file by which its blobstore is full, or waits."""
        return self.folder / "store/director/blobs.room"

    @property
    def cpi_waits(self) -> Path:
        """The file as long as which is there its CPI does not answer."""
        return self.folder / "jobs/cpi/bin/cpi.wait"

    def cpi_calls(self) -> list[str]:
        """Returns the methods of its CPI that were called."""
        file = self.cpi_waits.with_suffix(".calls")
        return [json.loads(line)["method"] for line in file.read_text().splitlines()] if file.exists() else []

    def world(
        self,
        id_: str,
        *,
        told: Callable[[str], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> WritingWorld:
        """Returns what an action at a resource is handed.

        Args:
            id_: of the resource.
            told: is told of its progress.
            stop: tells whether the user wants it to stop.
        """
        claims = {"scope": ["bosh.admin"], "client_id": "admin", "exp": time.time() + 600}
        token = tokens.sign(claims, _key(), "key")
        root = self.pair.certificate.public_bytes(serialization.Encoding.PEM).decode()
        url = f"https://{ADDRESS}:{self.port}"
        connector = HttpConnector(name="director", base_url=url, roots=(root,), auth=Bearer(_Named("token")))
        connections = Connections({"director": connector}, Wire(reveal=lambda _: token), lambda one: one)
        self.opened.callback(connections.close)
        return WritingWorld(
            site="north",
            connections=connections,
            versions=lambda _: None,
            gate_of=lambda _: lambda *_: None,
            secrets=lambda _: "",
            marker=lambda complete: Mark("north", ResourceId(id_), "action", complete),
            progress=lambda doing, *_: told(doing),
            stop=stop,
        )


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Director]:
    """Starts a director that has nothing yet."""
    pair = pki.host("director.north.example", ADDRESS)
    certificate, key = pair.write(folder, "director")
    port = free_port(ADDRESS)
    public = _key().public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    config = {
        "certificate": Path(certificate).read_text(),
        "private_key": Path(key).read_text(),
        "port": port,
        "name": "north",
        "cpi_job": "cpi",
        "credhub_url": "",
        "credhub_ca": "",
        "credhub_uaa": {},
        "agent_env": {},
        "agent_ca": {},
        "uaa_url": "",
        "uaa_public_key": public.public_bytes(serialization.Encoding.PEM, form).decode(),
    }
    (folder / "director.json").write_text(json.dumps(config))
    cpi = folder / "jobs/cpi/bin/cpi"
    cpi.parent.mkdir(parents=True)
    cpi.write_text(CPI)
    cpi.chmod(0o755)
    found = Director(folder, pair, port)
    with found.opened:
        found.opened.callback(found.kill)
        found.start()
        yield found
