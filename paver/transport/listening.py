"""Listening to what may fall silent for good: it is heard in a thread of its own, so that whoever listens stays free."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from paver.transport.shell import Output

_WAITING = 64
"""Pieces that wait to be taken: what says more is not read on meanwhile."""
_LOOK = 1.0
"""Seconds until what nobody takes any more is given up."""


class _Left(Exception):
    pass


class Listening:
    """What a command says, while it runs in a thread of its own.

    Args:
        run: runs the command to its end, and hands on what it says.
    """

    def __init__(self, run: Callable[[Output], object]) -> None:
        self._run = run
        self._heard: queue.Queue[bytes | BaseException] = queue.Queue(_WAITING)
        self._left = threading.Event()
        threading.Thread(target=self._attend, name="listening", daemon=True).start()

    def piece(self, seconds: float) -> bytes:
        """Returns the next piece of what it says; empty once it has ended well.

        Raises:
            TimeoutError: if nothing came within `seconds`.
            Exception: what the command ended with.
        """
        try:
            heard = self._heard.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(heard, BaseException):
            raise heard
        return heard

    def leave(self) -> None:
        """Listens no more: the command is ended at its next word."""
        self._left.set()

    def _attend(self) -> None:
        with contextlib.suppress(_Left):
            try:
                self._run(self._hear)
            except _Left:
                raise
            except BaseException as error:  # noqa: BLE001 (whoever listens must hear of it)
                self._hear(error)
            else:
                self._hear(b"")

    def _hear(self, heard: bytes | BaseException) -> None:
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._heard.put(heard, timeout=_LOOK)
                return
        raise _Left
