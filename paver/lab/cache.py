"""The lab's cache: where it lies, how two processes share it, how a finished thing appears in it.

Whatever is in the cache can be made again; nothing of a user's is ever kept here. A thing appears under
its final name by one rename, so a reader never meets half of one, and a writer that is killed leaves only
a name that starts with a dot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from paver.errors import PaverError

_TICK_SECONDS = 0.3


def base(variable: str, usual: str) -> Path:
    """Returns the folder that `variable`, one of XDG's, names, or the `usual` one below the user's home.

    A HOME that is empty, as a service or a container may have it, is none, though Python takes it for `/`: then the system's
    list of users says where home is.

    Raises:
        PaverError: if nobody says where that is.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named)
    home = os.environ.get("HOME")
    try:
        return Path(home or pwd.getpwuid(os.getuid()).pw_dir) / usual
    except KeyError:
        raise PaverError(
            "nobody says where this user's files go",
            seen=f"no HOME, and no home of user {os.getuid()} in the system's list",
            do=f"set HOME or {variable}",
        ) from None


def root() -> Path:
    """Returns the lab's folder below `$XDG_CACHE_HOME` (`~/.cache` where that is not set)."""
    return base("XDG_CACHE_HOME", ".cache") / "paver" / "lab"


@contextlib.contextmanager
def locked(folder: Path, name: str, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Holds the lock `name` of the cache `folder`; a second process waits until the first is done.

    While it waits it calls `waiting` now and then, which may raise.

    The kernel drops the lock with the process, so a killed builder blocks nobody.
    """
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{name}.lock").open("w") as handle:
        while not _taken(handle):
            waiting()
            time.sleep(_TICK_SECONDS)
        yield


def _taken(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def draft(final: Path) -> Iterator[Path]:
    """Gives an empty folder beside `final` that is renamed to it at the end, or removed on any failure."""
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Returns what an unprivileged user may still write below `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
