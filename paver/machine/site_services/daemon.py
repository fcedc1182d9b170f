"""A daemon on the jumpbox whose configuration is one file of paver's, its mark in a comment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paver.driver import MARK_KEY, Mark

CALLS = frozenset(
    {
        "file:mkdir",
        "file:write",
        "file:remove",
        "service:enable",
        "service:disable",
        "service:restart",
        "service:stop",
    }
)
"""What setting one up and taking it down calls."""


def put(session: Any, path: str, text: str) -> None:
    """Writes a configuration."""
    session.mkdir(path.rpartition("/")[0])
    session.write_file(path, text.encode(), 0o644)


def start(session: Any, service: str) -> None:
    """Starts a daemon with its configuration, now and at every boot."""
    session.service(service, "enable")
    session.service(service, "restart")


def stop(session: Any, service: str) -> None:
    """Stops a daemon, now and at every boot."""
    session.service(service, "disable")
    session.service(service, "stop")


def runs(session: Any, service: str) -> bool:
    """Tells whether a daemon runs."""
    return bool(session.probe(["systemctl", "is-active", service], root=True).text.strip() == "active")


def settings_of(text: str) -> Iterator[str]:
    """Yields the lines of a configuration that say something."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def mark_of(text: str) -> Mark | None:
    """Returns the mark in a configuration's comments, None where it is not paver's."""
    for line in text.splitlines():
        word, _, rest = line.removeprefix("#").strip().partition(" ")
        if line.startswith("#") and word == MARK_KEY:
            return Mark.loads(rest)
    return None
