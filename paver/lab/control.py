"""JSON over HTTP over a unix socket: how the lab's parts talk with each other."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paver.errors import PaverError

# sun_path has 108 bytes, the last one NUL.
_LONGEST = 107


class ControlError(PaverError):
    """A part of the lab did not answer, or refused; `status` is 0 where it did not answer."""

    def __init__(self, what: str, *, status: int, why: str) -> None:
        super().__init__(what, why=why)
        self.status = status


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("lab", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path, self.timeout or 30.0)


def connect(path: Path, timeout: float) -> socket.socket:
    """Returns a connection to the unix socket `path`, however long the path is."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout)
    try:
        with _short(path) as name:
            client.connect(name)
    except OSError:
        client.close()
        raise
    return client


def call(path: Path, method: str, target: str, body: Any = None, *, timeout: float = 30.0) -> Any:
    """Asks the part of the lab that listens at `path` and returns its JSON answer (None where empty).

    Raises:
        ControlError: nobody answers, or the answer is no success.
    """
    connection = _Connection(path, timeout)
    content = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, target, body=content, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        what = f"the lab's {path.name.split('.')[0]} does not answer"
        raise ControlError(
            what, status=0, why=f"{method} {target}: {type(error).__name__}: {error}"
        ) from error
    finally:
        connection.close()
    if answer.status >= 300:
        what = f"the lab's {path.name.split('.')[0]} refused {method} {target}"
        raise ControlError(
            what, status=answer.status, why=f"{answer.status} {text.decode(errors='replace')[:500]}"
        )
    return json.loads(text) if text.strip() else None


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
