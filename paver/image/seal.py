"""Takes from a provisioned machine what its playbook made, and nothing else: the image is as before its first boot.

What the machine did for itself while it ran (keys, identity, logs, caches, compiled Python) stands again as in the base.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from paver.errors import BadInput
from paver.image import layers
from paver.image.layers import Entry

PATHS = "paths"
"""The member that lists all of the machine's paths (`packer/take-out.sh`)."""

OF_THE_MACHINE = (
    # Who it is.
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/ssh/ssh_host_*",
    "root/.ssh*",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    # What the first boot noted for itself, and what it was told.
    "var/lib/cloud*",
    "etc/systemd/network/*-cloud-init-*",
    "etc/.updated",
    "var/.updated",
    "var/lib/systemd/timers*",
    "var/lib/systemd/linger*",
    "var/lib/systemd/timesync*",
    "var/lib/systemd/catalog/database",
    "var/lib/chrony/*",
    "var/lib/logrotate/*",
    "boot/grub/grubenv",
    # What is made again by whoever needs it.
    "etc/ld.so.cache",
    "var/cache/*",
    "*/__pycache__",
    "*/__pycache__/*",
    "root/.ansible*",
    "root/.cache*",
    "root/.*_history",
    "root/.lesshst",
    # Backups of the account files, of whichever tool wrote them last.
    "etc/*-",
    # What is of the moment, or another file system.
    "var/log/*",
    "var/tmp/*",
    *(part for mount in ("dev", "proc", "run", "sys", "tmp") for part in (mount, f"{mount}/*")),
    "lost+found",
)
"""Paths, as globs in which `*` also stands for slashes, that are of a machine and not of its image."""

_MACHINE = re.compile("|".join(fnmatch.translate(glob) for glob in OF_THE_MACHINE))
_SHADOW = "etc/shadow"
_DAY = 86400


@dataclasses.dataclass(frozen=True)
class Changes:
    """What a playbook made of the base, as paths."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def lines(self) -> list[str]:
        """Returns them a line each, as `+ path`, `~ path`, `- path`."""
        marks = (("+", self.added), ("~", self.changed), ("-", self.removed))
        return [f"{mark} {path}" for mark, paths in marks for path in paths]


def of_the_machine(path: str) -> bool:
    """Says whether `path` is of a machine and not of its image."""
    return _MACHINE.match(path) is not None


def seal(base: Path, taken: Path, epoch: int, target: Path) -> Changes:
    """Writes the tar `target`: the base with what the playbook changed.

    Args:
        base: the tar that the machine was made of.
        taken: the tar that was taken out of it.
        epoch: seconds since 1970, the date of what is new.
        target: the tar; there only once it is whole.

    Raises:
        BadInput: what was taken out is not whole.
    """
    with tarfile.open(base) as below, tarfile.open(taken) as above:
        first = above.next()
        listed = above.extractfile(first) if first is not None and first.name == PATHS else None
        if listed is None:
            raise BadInput(
                f"{taken.name} is not what packer/take-out.sh writes", why=f"it begins with no {PATHS}"
            )
        there = {_relative(path) for path in listed.read().split(b"\0")}
        before = {entry.path: entry for entry in layers.entries(below)}
        touched = layers.linked(
            entry for entry in layers.entries(above) if entry.path != PATHS and not of_the_machine(entry.path)
        )
        upper = dict(_changed(touched, before, epoch))
        removed = {path for path in before if path not in there and not of_the_machine(path)}
        layers.merge(base, upper, removed.__contains__, epoch, target)
    added = tuple(sorted(upper.keys() - before.keys()))
    return Changes(added, tuple(sorted(upper.keys() & before.keys())), tuple(sorted(removed)))


def _changed(
    touched: Mapping[str, Entry], before: Mapping[str, Entry], epoch: int
) -> Iterable[tuple[str, Entry]]:
    for path, entry in touched.items():
        known = before.get(path)
        now = entry if path != _SHADOW else _undated(entry, known, epoch)
        if known is None or not layers.same(known, now):
            yield path, now


def _undated(entry: Entry, known: Entry | None, epoch: int) -> Entry:
    """Dates the passwords of new and changed accounts as everything else is dated."""
    old = set(_content(known).splitlines()) if known is not None else set()
    lines = []
    for line in _content(entry).splitlines():
        parts = line.split(b":")
        if line not in old and len(parts) > 2:
            parts[2] = str(epoch // _DAY).encode()
        lines.append(b":".join(parts) + b"\n")
    return layers.replaced(entry, b"".join(lines))


def _content(entry: Entry) -> bytes:
    with entry.opened() as opened:
        return opened.read()


def _relative(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape").removeprefix(".").removeprefix("/")
