"""Files and folders of this user's own, as all of paver keeps them: replaced atomically, for nobody else to read.

A crash between any two system calls leaves the old file or the new one, whole; what it may leave beside is a
temporary file, which the next writer removes who takes the same name for it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def put(
    path: Path,
    data: bytes,
    mode: int,
    *,
    exact: bool = False,
    owner: tuple[int, int] | None = None,
    draft: str = "new",
) -> None:
    """Puts `data` in place of the file at `path`, or leaves that as it is.

    Whatever lies where the draft is written is taken away first, and no link there is followed.

    Args:
        path: of the file; its folder is there.
        data: all of it.
        mode: the most that its mode may be, which the umask may narrow.
        exact: the mode is this one, whatever the umask.
        owner: user and group that it is to belong to; this process's, if not given.
        draft: the end of the draft's name, for a writer of which there may be two at once: each takes its own.

    Raises:
        OSError: it could not be written.
    """
    new = path.with_name(f".{path.name}.{draft}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # noqa: PTH108  # all calls of the writer through `os`: the tests stop it at each
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            if owner is not None:
                os.fchown(descriptor, *owner)
            if exact:
                os.fchmod(descriptor, mode)
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
