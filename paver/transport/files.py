"""Reading files on a machine: by one program there that answers for all, however many are read.

A command for each file is a session, a sudo and a process or two: most of what a plan asks a machine is files.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from paver.errors import PaverError, Unobservable
from paver.transport import files_reader
from paver.transport.booting import booting
from paver.transport.shell import Talker

_LINE = re.compile(rb"(found|absent|error) (\d{1,9})(?: (\d+) (\d+))?\n")
_MOST_LINE = 100
"""Bytes of an answer's line, and of why something cannot be read."""
_MOST_TOLD = 1 << 26
"""Bytes that a folder's names may have: a million of them."""


class Found(NamedTuple):
    """What is found at a path: bytes of the file, or its names with a NUL between two; of `stat` mode and size."""

    data: bytes
    numbers: tuple[int, ...] = ()


class Files(Protocol):
    """What files are read with."""

    def ask(self, way: str, path: str, most: int = 0) -> Found | None:
        """Returns what `files_reader` finds at `path`, None if nothing is there.

        Args:
            way: `read`, `stat` or `list`.
            path: where.
            most: bytes that are read at most.

        Raises:
            Unobservable: if that cannot be told.
        """
        ...

    def close(self) -> None:
        """Hangs up."""
        ...


class Here:
    """Reads this machine's files, as who runs paver.

    Args:
        name: what the user calls the machine.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self, way: str, path: str, most: int = 0) -> Found | None:
        """Returns what is found; see `Files.ask`."""
        return _found(self._name, path, *files_reader.answer(way, most, os.fsencode(path)))

    def close(self) -> None:
        """Has nothing to hang up."""


class There:
    """Reads a machine's files by a program that is started there with the first question; thread-safe.

    Questions are sent as they come, and answered in their order: none waits for the one before it to come back.

    Args:
        name: what the user calls the machine.
        shell: starts that program.
        argv: what starts a Python there that may read all.
        timeout: seconds that an answer may take.
    """

    def __init__(self, name: str, shell: Talker, argv: Sequence[str], timeout: float) -> None:
        self._name = name
        self._shell = shell
        self._argv = tuple(argv)
        self._timeout = timeout
        self._lock, self._beginning = threading.Lock(), threading.Lock()
        self._talk: _Talk | None = None
        self._hung_up = 0

    def ask(self, way: str, path: str, most: int = 0) -> Found | None:
        """Returns what is found; see `Files.ask`."""
        question = f"{way} {most} {os.fsencode(path).hex()}\n".encode()
        while True:
            talk = self._begun()
            had_answered = talk.has_answered
            try:
                answer = talk.answer(question, most if way == "read" else _MOST_TOLD)
                if (way == "stat" and answer[0] == "found") != bool(answer[1]):
                    raise EOFError(_NOT_ITS_ANSWER)  # noqa: TRY301
            except TimeoutError:
                self._forget(talk, ended=True)
                raise PaverError(
                    f"{self._name}: reading {path} did not end within {self._timeout:.0f} s",
                    do="look on the machine what it waits for, then run the same command again",
                ) from None
            except (OSError, EOFError) as error:
                said = self._forget(talk)
                # One that has worked may have ended since with its connection, as by a restart of sshd.
                if had_answered:
                    continue
                raise Unobservable(
                    f"{self._name}: {path} cannot be read",
                    seen=said,
                    why="" if said else str(error) or type(error).__name__,
                    do=f"check that the account may use sudo without a password, and that {self._argv[-1]} runs there",
                ) from error
            return _found(self._name, path, *answer)

    def _begun(self) -> _Talk:
        # Whoever hangs up does not wait for a machine that does not answer.
        with self._beginning:
            with self._lock:
                known, before = self._talk, self._hung_up
            if known is not None:
                return known
            talk = _Talk(self._shell, self._argv, self._timeout)
            with self._lock:
                if self._hung_up == before:
                    self._talk = talk
                    return talk
            talk.close()
            raise Unobservable(f"{self._name} was hung up on while it was asked for a file")

    def _forget(self, talk: _Talk, *, ended: bool = False) -> str:
        with self._lock:
            if self._talk is talk:
                self._talk = None
        return talk.end() if ended else talk.close()

    def close(self) -> None:
        """Hangs up; who asks again begins anew."""
        with self._lock:
            known, self._talk = self._talk, None
            self._hung_up += 1
        if known is not None:
            known.close()


class _Talk:
    """One such program, from its start to its end."""

    def __init__(self, shell: Talker, argv: Sequence[str], timeout: float) -> None:
        boot, source = booting(Path(files_reader.__file__))
        self._line = shell.talk([*argv, "-I", "-c", boot], timeout=timeout)
        self._source: bytes = source
        self._came = bytearray()
        self._asked: deque[_Asked] = deque()
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self.has_answered = False

    def answer(self, question: bytes, most: int) -> files_reader.Answer:
        """Returns the answer to one question, with `most` bytes at most.

        Raises:
            TimeoutError: it did not come in time.
            OSError, EOFError: nobody is there any more.
        """
        asked = _Asked(most)
        with self._sending:
            self._asked.append(asked)
            first, self._source = self._source, b""
            self._line.sendall(first + question)
        # Whoever receives hands out the answers of those that asked before.
        while asked.answer is None:
            with self._receiving:
                if asked.answer is None:
                    answer = self._next(self._asked[0].most)
                    self._asked.popleft().answer = answer
        return asked.answer

    def _next(self, most: int) -> files_reader.Answer:
        line = _LINE.fullmatch(self._first_line())
        if line is None or int(line[2]) > max(most, _MOST_LINE):
            raise EOFError(_NOT_ITS_ANSWER)
        numbers = tuple(int(word) for word in line.groups()[2:] if word is not None)
        data = self._taken(int(line[2]))
        self.has_answered = True
        return line[1].decode(), numbers, data

    def _first_line(self) -> bytes:
        while (found := self._came.find(b"\n", 0, _MOST_LINE)) < 0:
            if len(self._came) > _MOST_LINE:
                raise EOFError(_NOT_ITS_ANSWER)
            self._more()
        return self._taken(found + 1)

    def _taken(self, count: int) -> bytes:
        while len(self._came) < count:
            self._more()
        taken = bytes(self._came[:count])
        del self._came[:count]
        return taken

    def _more(self) -> None:
        piece = self._line.recv(1 << 20)
        if not piece:
            raise EOFError("it ended")
        self._came += piece

    def close(self) -> str:
        """Has it end, and returns what it said on standard error."""
        return self._line.close()

    def end(self) -> str:
        """Ends it, where it waits for something else than questions."""
        return self._line.end()


@dataclass
class _Asked:
    most: int
    answer: files_reader.Answer | None = None


_NOT_ITS_ANSWER = "something on the machine writes between what paver's own program says there"


def _found(name: str, path: str, what: str, numbers: tuple[int, ...], data: bytes) -> Found | None:
    if what == "error":
        raise Unobservable(
            f"{name}: {path} cannot be read",
            seen=data.decode("utf-8", "replace"),
            do="look on the machine what stands there",
        )
    return Found(data, numbers) if what == "found" else None
