"""The evidence: one file, one writer, hash-chained lines, on disk before the act that they announce.

The journal is never read to decide anything. `begun` and `call` are fsynced before the act; where the
disk refuses, there is no act. Threads that wait for the disk share one fsync: 64 hosts would wait one after
the other otherwise. Events are a closed list.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Self

from paver.errors import PaverError
from paver.signing import chain
from paver.signing.canonical import Json

SCHEMA = "paver.journal/1"
EVENTS = frozenset(
    {
        "opened",  # the run: plan's digest, site, station, paver's version
        "begun",  # an action, before its first call
        "call",  # one write, before it leaves
        "retry",  # something safe was tried again, or what an earlier run left at work was waited for
        "done",  # an action, after its proofs
        "skipped",  # an action that found its end already there
        "failed",  # an action, with what went wrong
        "drift",  # an action that found neither its beginning nor its end
        "handed-off",  # the other station's journal begins
        "returned",  # the other station's journal ended: its head
        "interrupted",
        "closed",
    }
)
DURABLE = frozenset({"opened", "begun", "call", "handed-off"})


class JournalError(PaverError):
    """The journal could not be written: nothing is done that could not be written down first."""


def now() -> str:
    """Returns the time as it stands in journals: UTC, milliseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """One run's journal, open for appending.

    Args:
        path: the file, made 0600.
        clock: returns the time as text.
    """

    def __init__(self, path: pathlib.Path, clock: Callable[[], str] = now) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._head = chain.Head()
        self._turn = threading.Condition()
        self._syncing = False
        self._synced = 0
        self._refused: OSError | None = None
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise JournalError(f"the journal {path} cannot be made", why=str(error)) from error

    @property
    def head(self) -> chain.Head:
        """The end of the chain: print it, ship it off the box, or sign it."""
        return self._head

    @property
    def path(self) -> pathlib.Path:
        """Where the journal is."""
        return self._path

    def write(self, event: str, fields: Mapping[str, Json] | None = None) -> None:
        """Appends one event.

        Raises:
            JournalError: if it could not be written, and where it must be durable, synced.
        """
        if event not in EVENTS:
            msg = f"{event} is not an event of {SCHEMA}"
            raise ValueError(msg)
        with self._lock:
            if self._refused is not None:
                raise self._error(self._refused) from self._refused
            record = {**(fields or {}), "event": event, "time": self._clock()}
            line, head = chain.link(record, self._head)
            size = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, line)
                if written != len(line):
                    # A disk that fills takes a part of a line before it refuses the next one.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - same handling
            except OSError as error:
                os.ftruncate(self._file, size)
                raise self._error(error) from error
            self._head = head
        if event in DURABLE:
            self._sync(head.lines)

    def _sync(self, line: int) -> None:
        """Returns once `line` is on disk: by an fsync of its own, or by another thread's that began after it."""
        with self._turn:
            self._turn.wait_for(lambda: self._synced >= line or not self._syncing)
            if self._synced >= line:
                return
            if self._refused is not None:
                raise self._error(self._refused) from self._refused
            self._syncing = True
        last, done = self._head.lines, False
        try:
            os.fsync(self._file)
            done = True
        except OSError as error:
            # What is on disk is not known from here on, and a later fsync may say nothing of it.
            self._refused = error
            raise self._error(error) from error
        finally:
            with self._turn:
                self._syncing = False
                self._synced = last if done else self._synced
                self._turn.notify_all()

    def _error(self, error: OSError) -> JournalError:
        return JournalError(
            f"the journal cannot be written: {error.strerror}",
            seen=str(self._path),
            why="what cannot be written down is not done",
            do="make room on that file system, then run the same command again",
        )

    def close(self) -> None:
        """Syncs and closes the file."""
        os.fsync(self._file)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
