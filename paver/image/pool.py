"""A folder of .debs: filled from the archive, held to the lock, and laid out so that apt installs from it alone.

A pool is all that a build needs of Debian. One that is kept builds the same image when every mirror has moved on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from paver.errors import BadInput
from paver.image import archive
from paver.image.lock import Deb, Lock

_NAMED = 5


def missing(pool: Path, lock: Lock) -> tuple[Deb, ...]:
    """Returns the packages of `lock` that are not in the folder `pool`, by name and size."""
    return tuple(deb for deb in lock.debs if not _there(pool / deb.file, deb))


def fill(pool: Path, lock: Lock, source: archive.Archive | None, tell: Callable[[int, int], None]) -> None:
    """Brings what `lock` names into `pool`, and verifies every file there.

    Args:
        pool: the folder.
        lock: what has to be there.
        source: where from; None: everything has to be there already.
        tell: told how many bytes of how many are there.

    Raises:
        BadInput: a file is another one than the lock's, or is missing where nothing may be fetched.
        PaverError: the mirror does not give it.
    """
    wanted = missing(pool, lock)
    if wanted and source is None:
        names = [f"{deb.name} {deb.version}" for deb in wanted]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise BadInput(
            f"the pool {pool} lacks {', '.join(names[:_NAMED])}{more}",
            why="it is not the pool of this lock, or a part of it",
            do="build with the lock that the pool was kept with, or let the rest be fetched: without --offline",
        )
    if wanted and source is not None:
        source.update()
        source.fetch(wanted, pool, tell)
    for deb in lock.debs:
        archive.require(pool / deb.file, deb)


def lay_out(pool: Path, lock: Lock, repository: Path) -> None:
    """Makes `repository`, a folder that apt takes packages from: links into `pool`, and the lists.

    Its lists say what the .debs themselves say, and hold nothing but what the lock names.
    """
    repository.mkdir()
    for deb in lock.debs:
        # A hard link where it can be: a symbolic one leads nowhere for apt's own users.
        try:
            os.link(pool / deb.file, repository / deb.file)
        except OSError:
            (repository / deb.file).symlink_to((pool / deb.file).absolute())
    packages = b"".join(_stanza(repository / deb.file, deb) for deb in lock.debs)
    (repository / "Packages").write_bytes(packages)
    date = dt.datetime.fromtimestamp(lock.epoch, dt.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    (repository / "Release").write_text(
        f"Origin: paver\nSuite: {lock.suite}\nCodename: {lock.suite}\nDate: {date}\nArchitectures: amd64 arm64 all\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )


def _stanza(file: Path, deb: Deb) -> bytes:
    shown = subprocess.run(
        ["dpkg-deb", "--field", str(file)], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    if shown.returncode:
        raise BadInput(f"{file.name} is no package", seen=shown.stderr.decode(errors="replace").strip())
    fields = f"Filename: ./{deb.file}\nSize: {deb.size}\nSHA256: {deb.sha256}\n\n"
    return shown.stdout.rstrip(b"\n") + b"\n" + fields.encode()


def _there(file: Path, deb: Deb) -> bool:
    try:
        return file.stat().st_size == deb.size
    except FileNotFoundError:
        return False
