"""The sealed store's file: read whole, replaced atomically, written by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from paver import own_files
from paver.errors import BadInput, PaverError
from paver.sealed.errors import StoreLockedError
from paver.signing import canonical

MAX_BYTES = canonical.MAX_BYTES


def read(path: Path) -> bytes:
    """Returns the content of the store at `path`.

    Raises:
        BadInput: there is none.
        PaverError: it can't be read, or it's too big to be one.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(
            f"there is no sealed store at {path}",
            do="`paver secrets init` makes one; if there was one, restore its newest copy",
        ) from None
    except OSError as error:
        raise PaverError(f"the sealed store {path} can't be read", why=error.strerror or "") from error
    if len(data) > MAX_BYTES:
        raise PaverError(f"{path} is no sealed store: it has more than {MAX_BYTES} bytes")
    return data


def replace(path: Path, data: bytes) -> None:
    """Puts `data` in place of the file at `path`, or leaves that as it is. Needs the lock.

    Raises:
        PaverError: it could not be written; names what holds now.
    """
    try:
        own_files.put(path, data, 0o600)
    except OSError as error:
        raise PaverError(
            f"the sealed store {path} could not be written",
            why=error.strerror or "",
            do="make room on that file system, or mend it, and run the same command again; the store itself is whole",
        ) from error


@contextlib.contextmanager
def locked(path: Path, who: str) -> Iterator[None]:
    """Holds the writer's lock of the store at `path`.

    Args:
        path: the store; the lock is a file beside it, which stays.
        who: what holds it, for the message to others: a command, an action.

    Raises:
        StoreLockedError: another process, or another writer in this one, holds it.
        PaverError: the lock file can't be opened.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PaverError(f"the lock {lock} can't be opened", why=error.strerror or "") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreLockedError(
                f"the sealed store {path} is being written by another run",
                seen=_holder(descriptor),
                do="wait until that one has ended, or stop it, and run the same command again",
            ) from None
        _sign_in(descriptor, who)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _sign_in(descriptor: int, who: str) -> None:
    holder = canonical.dumps({"host": os.uname().nodename, "pid": os.getpid(), "who": who})
    # Without room for the name the lock holds all the same.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder + b"\n", 0)


def _holder(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return f"{found['who']}, process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said its name"
