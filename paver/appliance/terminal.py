"""One terminal, however dumb: lines out, lines in. The kernel edits the line; nothing is drawn.

A serial line, ESXi's web console and an SSH session are the same to it.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Callable, Iterator

from paver.errors import plain

_LOOK = 1.0
"""Seconds between two looks at what may have happened on the other console."""


class ChangedElsewhere(Exception):
    """While this console waited for an answer, the other one finished."""


class Terminal:
    """A terminal by its descriptors.

    Args:
        source: lines are read from it.
        sink: lines are written to it.
        changed: tells whether somebody finished elsewhere; asked while an answer is waited for.
    """

    def __init__(self, source: int, sink: int, changed: Callable[[], bool] = lambda: False) -> None:
        self._source, self._sink, self._changed = source, sink, changed
        self._read = b""

    def say(self, *lines: str) -> None:
        """Writes lines."""
        text = "".join(f"{plain(line)}\n" for line in lines)
        self._write(text)

    def ask(self, prompt: str) -> str:
        """Returns a line.

        Raises:
            EOFError: nobody is there any more.
            ChangedElsewhere: somebody finished elsewhere.
        """
        self._write(f"{plain(prompt)} ")
        return self._line()

    def ask_secretly(self, prompt: str) -> str:
        """Returns a line that is not shown."""
        with self._silent():
            # Only now: whoever is quick would see the beginning of what they type.
            self._write(f"{plain(prompt)} ")
            found = self._line()
        self._write("\n")
        return found

    def _line(self) -> str:
        while b"\n" not in self._read:
            while not select.select([self._source], [], [], _LOOK)[0]:
                if self._changed():
                    raise ChangedElsewhere
            try:
                got = os.read(self._source, 4096)
            except OSError as error:
                raise EOFError from error
            if not got:
                raise EOFError
            self._read += got
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")

    def _write(self, text: str) -> None:
        data = text.encode("ascii", "replace")
        while data:
            data = data[os.write(self._sink, data) :]

    @contextlib.contextmanager
    def _silent(self) -> Iterator[None]:
        if not os.isatty(self._source):
            yield
            return
        before = termios.tcgetattr(self._source)
        silent = list(before)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(self._source, termios.TCSADRAIN, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._source, termios.TCSADRAIN, before)
