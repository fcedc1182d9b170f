"""What a director remembers on its persistent disk: one JSON document, and blobs beside it.

A fault on request: the file `blobs.room` there says how many more blobs the blobstore takes, or `wait`: none as long as it
says so. Without it there is no end.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paver.lab.standins import service

ROOM = "blobs.room"
_WAIT, _POLL_SECONDS = "wait", 0.05


class BlobstoreError(Exception):
    """The blobstore did not take a blob."""


@dataclass
class State:
    """The document. Change it only inside `changing()`, which writes it down."""

    folder: Path
    data: dict[str, Any]
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def open(cls, folder: Path) -> State:
        """Reads what is there, or begins."""
        file = folder / "state.json"
        if file.is_file():
            return cls(folder, json.loads(file.read_text(encoding="utf-8")))
        empty: dict[str, Any] = {
            "uuid": str(uuid.uuid4()),
            "releases": {},
            "stemcells": [],
            "configs": [],
            "deployments": {},
            "orphaned_disks": [],
            "tasks": [],
            "events": [],
        }
        return cls(folder, empty)

    @contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """Gives the document to one thread, and writes it down at the end."""
        with self.lock:
            yield self.data
            service.save(self.folder / "state.json", self.data)

    def put_blob(self, content: bytes) -> str:
        """Keeps a blob and returns its name.

        Raises:
            BlobstoreError: if there is no room, in the words of blobstore/davcli_blobstore_client.rb.
        """
        self._take_room()
        name = hashlib.sha256(content).hexdigest()
        path = self.folder / "blobs" / name
        if not path.is_file():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            scratch = path.with_name(f"{name}.{threading.get_ident()}")
            scratch.write_bytes(content)
            scratch.replace(path)
        return name

    def _take_room(self) -> None:
        room = self.folder / ROOM
        while True:
            with self.lock:
                # Whoever asks for the fault writes and removes the file meanwhile: one that is empty is being written.
                try:
                    told = room.read_text() or _WAIT
                except FileNotFoundError:
                    return
                if told != _WAIT:
                    if int(told) <= 0:
                        raise BlobstoreError(
                            "Failed to upload blob, code 1, output: 'no space left on device', error: ''"
                        )
                    room.write_text(str(int(told) - 1))
                    return
            time.sleep(_POLL_SECONDS)

    def blob(self, name: str) -> bytes:
        """Returns a blob."""
        return (self.folder / "blobs" / name).read_bytes()

    def config(self, kind: str, name: str = "default") -> dict[str, Any] | None:
        """The current config of that type and name."""
        with self.lock:
            found = [
                c
                for c in self.data["configs"]
                if c["type"] == kind and c["name"] == name and not c["deleted"]
            ]
            return found[-1] if found else None

    def current_configs(self, kind: str) -> list[dict[str, Any]]:
        """The current configs of a type, one per name."""
        with self.lock:
            names = sorted({c["name"] for c in self.data["configs"] if c["type"] == kind})
        return [config for name in names if (config := self.config(kind, name)) is not None]

    def used_releases(self) -> set[tuple[str, str]]:
        """Name and version of the releases that a deployment uses."""
        with self.lock:
            return {
                (r["name"], r["version"]) for d in self.data["deployments"].values() for r in d["releases"]
            }

    def used_stemcells(self) -> set[tuple[str, str]]:
        """Name and version of the stemcells that a deployment uses."""
        with self.lock:
            return {
                (s["name"], s["version"]) for d in self.data["deployments"].values() for s in d["stemcells"]
            }
