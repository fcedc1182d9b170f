"""Files of one's own on disk: read whole, replaced atomically; the store's, written by one process at a time.

A crash between any two system calls leaves the old file or the new one, whole; what it may leave beside is a
temporary file, which the next writer removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

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
        put(path, data, 0o600)
    except OSError as error:
        raise PaverError(
            f"the sealed store {path} could not be written",
            why=error.strerror or "",
            do="make room on that file system, or mend it, and run the same command again; the store itself is whole",
        ) from error


def put(path: Path, data: bytes, mode: int) -> None:
    """Puts `data` in place of the file at `path`, or leaves that as it is.

    Whatever lies where the draft is written is taken away first, and no link there is followed.

    Raises:
        OSError: it could not be written.
    """
    new = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # noqa: PTH108  # all calls of the writer through `os`: the tests stop it at each
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(new, path)  # noqa: PTH104  # same
        _sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)  # noqa: PTH108  # same
        raise


def folder(path: Path) -> None:
    """Makes a folder and those above it that are not there, each for this user alone, whatever the umask.

    Raises:
        OSError: it cannot be made.
    """
    for one in (*reversed(path.parents), path):
        with contextlib.suppress(FileExistsError):
            if not one.exists():
                one.mkdir(mode=0o700)


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


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
