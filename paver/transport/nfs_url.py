"""A file on an NFS server as a site file names it: `nfs://server/export/path/file.iso` (RFC 2224). Pure.

The path is a subset that means the same to every client: no escapes, no query, no way up.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re

SCHEME = "nfs://"
PORT = 2049
PORTMAPPER = 111

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\Z")
_PATH = re.compile(r"(/[A-Za-z0-9._~+@,=:()-]+){2,}\Z")
_MAX_PORT = 65535
_MAX_PATH, _MAX_NAME = 1024, 255
"""Bytes: MNTPATHLEN and MNTNAMLEN (RFC 1813, section 5.1.1)."""


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file on an NFS server.

    Attributes:
        server: its name or IPv4 address.
        port: of NFS itself; None is what the server's portmapper says, 2049 for NFSv4.
        path: from the server's root: the export, folders below it, and the file.
    """

    server: str
    port: int | None
    path: str

    @property
    def name(self) -> str:
        """Returns the file's name."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Returns the folder that it lies in, as the server knows it."""
        return self.path.rpartition("/")[0]


def parse(text: str) -> Remote:
    """Returns what a URL names.

    Raises:
        ValueError: it names nothing that could be asked for; the message says what is wrong with it.
    """
    if not text.startswith(SCHEME):
        raise ValueError(f"it does not begin with {SCHEME}")
    authority, slash, rest = text.removeprefix(SCHEME).partition("/")
    path = slash + rest
    if "@" in authority:
        raise ValueError("it names a user: NFS has none in its URL")
    server, colon, port = authority.partition(":")
    if not _is_server(server):
        raise ValueError(f"{server or 'nothing'} is neither a name nor an IPv4 address")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        raise ValueError(f"{port or 'nothing'} is not a port")
    if "?" in path or "#" in path:
        raise ValueError("it has a query: only server and path belong there")
    if not _PATH.match(path):
        raise ValueError("its path is not an export, and a file in it, of plain letters and digits")
    if any(part in {".", ".."} for part in path.split("/")):
        raise ValueError("its path has . or .. in it")
    if len(path) > _MAX_PATH or any(len(part) > _MAX_NAME for part in path.split("/")):
        raise ValueError(f"its path is longer than {_MAX_PATH} bytes, or a name in it than {_MAX_NAME}")
    return Remote(server, int(port) if colon else None, path)


def of(text: str) -> Remote | None:
    """Returns what `text` names if it is such a URL, None if it is something else.

    Raises:
        ValueError: it is one, and names nothing that could be asked for.
    """
    return parse(text) if text.startswith(SCHEME) else None


def _is_server(text: str) -> bool:
    if re.fullmatch(r"[0-9.]+", text):
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            return False
        return True
    return _NAME.match(text) is not None
