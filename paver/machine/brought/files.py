"""The files that a site file names, as an endpoint: images and artefacts, where paver runs. Only read.

A path is kept as the user wrote it, so that the same site gives the same wishes in any folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import threading
from typing import Any

from paver.driver import Endpoint, Gate

FILES: Endpoint[Any, Any] = Endpoint("files")
"""The files that the site file names, where paver runs."""


class FileSession:
    """Finds and digests files; a digest is kept for as long as the file's size and time stay."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._digests: dict[tuple[str, int, int], str] = {}

    def path(self, text: str) -> pathlib.Path:
        """Returns a path of the site file, absolute."""
        return self._folder / pathlib.Path(text).expanduser()

    def exists(self, text: str) -> bool:
        """Tells whether it is a file that is here."""
        return self.path(text).is_file()

    def sha256(self, text: str) -> str:
        """Returns the SHA-256 of a file's content in hex."""
        path = self.path(text)
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                with path.open("rb") as stream:
                    self._digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
            return self._digests[key]


@dataclasses.dataclass(frozen=True)
class Files:
    """The connector: `folder` is that of the site file."""

    folder: pathlib.Path

    def connect(self, context: Any) -> FilesConnection:
        """Returns the connection."""
        del context
        return FilesConnection(FileSession(self.folder))


class FilesConnection:
    """Both faces are one: nothing is ever written."""

    def __init__(self, session: FileSession) -> None:
        self._session = session

    def reader(self) -> FileSession:
        """Returns the session."""
        return self._session

    def writer(self, gate: Gate) -> FileSession:
        """Returns the session, which cannot write either."""
        del gate
        return self._session

    def forget(self) -> None:
        """Has nothing to drop: what was kept is bound to the file's size and time."""

    def close(self) -> None:
        """Has nothing to close."""
