"""What every server of the director's VM does at its start: read its job's JSON, find its disk, serve."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paver.lab.standins import httpd


@dataclass(frozen=True)
class Setting:
    """A job's rendered configuration, and where on the VM it runs."""

    config: dict[str, Any]
    address: str
    root: Path

    def store(self, job: str) -> Path:
        """The job's folder on the persistent disk."""
        folder = self.root / "store" / job
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def run(name: str, routes: Callable[[Setting], list[httpd.Route]], *, context_name: str | None = None) -> int:
    """Serves `routes` at the VM's address, on the port and with the certificate that the configuration names."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--config", type=Path, required=True, help="the job's rendered configuration (JSON)")
    options = parser.parse_args()
    config = json.loads(options.config.read_text(encoding="utf-8"))
    setting = Setting(
        config, os.environ.get("BOSH_VM_IP", "127.0.0.1"), Path(os.environ.get("VCAP_ROOT", "/var/vcap"))
    )
    context = httpd.tls_context(config["certificate"], config["private_key"], setting.root / "data" / "tmp")
    server = httpd.Server(
        context_name or name, (setting.address, int(config["port"])), context, routes(setting)
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()
    return 0


def save(path: Path, content: Any) -> None:
    """Writes JSON so that a crash leaves the old file or the new one, readable by nobody else."""
    scratch = path.with_name(path.name + ".new")
    with os.fdopen(
        os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        # In one piece: what is written piece by piece is written by Python's own code, twenty times as slow.
        file.write(json.dumps(content))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
