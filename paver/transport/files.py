"""Reading files on a machine: by one program there that answers for all, however many are read.

A command for each file is a session, a sudo and a process or two: most of what a plan asks a machine is files.
"""

from __future__ import annotations

import abc
import os
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paver.errors import Unobservable
from paver.transport import files_reader
from paver.transport.shell import Starter
from paver.transport.source_text import NOT_ITS_ANSWER, as_source, instead

_FIRST = re.compile(rb"(found|absent|error) (\d{1,9})(?: (\d{1,9}) (\d{1,20}))?\n")
_MOST_FIRST = 100
"""Bytes of an answer's first line, and of why something cannot be read."""
_MOST_NAMES = 1 << 26
"""Bytes that a folder's names may have: a million of them."""


@dataclass(frozen=True)
class FileStat:
    """A file as it stands there.

    Attributes:
        kind: `file`, `directory`, `link` or `other`.
        size: bytes.
        mode: permission bits.
    """

    kind: str
    size: int
    mode: int


class Files(Protocol):
    """What files are read with.

    All raise `Unobservable` if it cannot be told what stands at a path.
    """

    def read(self, path: str, most: int) -> bytes | None:
        """Returns the first `most` bytes of a file, None if nothing is there."""
        ...

    def stat(self, path: str) -> FileStat | None:
        """Returns what stands at `path`, None if nothing does; a link is not followed."""
        ...

    def names(self, path: str) -> tuple[str, ...] | None:
        """Returns the sorted names in a folder, none of what is no folder, None if nothing is there."""
        ...

    def close(self) -> None:
        """Hangs up."""
        ...


class _Asked(abc.ABC):
    """Files about which questions are answered.

    Args:
        name: what the user calls the machine.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, path: str, most: int) -> bytes | None:
        """Reads a file; see `Files.read`."""
        found = self._ask("read", path, most)
        return found and found[1]

    def stat(self, path: str) -> FileStat | None:
        """Looks at what stands at a path; see `Files.stat`."""
        found = self._ask("stat", path)
        return found and _stat(*found[0])

    def names(self, path: str) -> tuple[str, ...] | None:
        """Lists a folder; see `Files.names`."""
        found = self._ask("list", path, _MOST_NAMES)
        return found and _split(found[1])

    def _ask(self, verb: str, path: str, most: int = 0) -> tuple[tuple[int, ...], bytes] | None:
        what, numbers, data = self._answer(verb, path, most)
        if what == "error":
            raise Unobservable(
                f"{self._name}: {path} cannot be read",
                seen=data.decode("utf-8", "replace"),
                do="look on the machine what stands there, and who may read it",
            )
        return (numbers, data) if what == "found" else None

    @abc.abstractmethod
    def _answer(self, verb: str, path: str, most: int) -> files_reader.Answer: ...


class DirectFiles(_Asked):
    """This machine's files, read as who runs paver."""

    def _answer(self, verb: str, path: str, most: int) -> files_reader.Answer:
        return files_reader.answer(verb, most, os.fsencode(path))

    def close(self) -> None:
        """Has nothing to hang up."""


class ServedFiles(_Asked):
    """A machine's files, read by a program that is started there with the first question; thread-safe.

    Questions are sent as they come, and answered in their order: none waits for the one before it to come back.

    Args:
        name: what the user calls the machine.
        starter: starts that program.
        argv: what starts a Python there that may read all.
        timeout: seconds that an answer may take.
    """

    def __init__(self, name: str, starter: Starter, argv: Sequence[str], timeout: float) -> None:
        super().__init__(name)
        self._starter = starter
        self._argv = tuple(argv)
        self._timeout = timeout
        self._lock, self._beginning = threading.Lock(), threading.Lock()
        self._reader: _Reader | None = None
        self._hung_up = 0

    def _answer(self, verb: str, path: str, most: int) -> files_reader.Answer:
        question = _Question(verb, path, most)
        with self._lock:
            before = self._hung_up
        while True:
            reader = self._begun(path, before)
            had_answered = reader.has_answered
            try:
                return reader.answer(question)
            except TimeoutError:
                self._forget(reader, by_force=True)
                raise Unobservable(
                    f"{self._name}: {path} was not read within {self._timeout:.0f} s",
                    do="look on the machine whether it lies on a disk or a share that does not answer, "
                    "then run the same command again",
                ) from None
            except _NotItsAnswerError:
                said = self._forget(reader, by_force=True)
                raise Unobservable(
                    f"{self._name}: {path} cannot be read",
                    seen=said,
                    why=NOT_ITS_ANSWER,
                    do=instead(self._argv[-1]),
                ) from None
            except (OSError, EOFError) as error:
                said = self._forget(reader)
                # One that has worked may have ended since with its connection, as by a restart of sshd; and one that was
                # given up for another's question has not failed in this one.
                if had_answered or reader.given_up:
                    continue
                by = f" by {self._argv[0].rpartition('/')[2]}" if len(self._argv) > 1 else ""
                raise Unobservable(
                    f"{self._name}: {path} cannot be read",
                    seen=said,
                    why="the program that reads files there ended without an answer",
                    do=f"look on the machine whether the account may start {self._argv[-1]}{by}",
                ) from error

    def _begun(self, path: str, before: int) -> _Reader:
        # Whoever hangs up does not wait for a machine that does not answer.
        with self._beginning:
            with self._lock:
                known, same = self._reader, self._hung_up == before
            if known is not None and same:
                return known
            if same:
                reader = _Reader(self._starter, self._argv, self._timeout)
                with self._lock:
                    same = self._hung_up == before
                    if same:
                        self._reader = reader
                        return reader
                reader.close()
            raise Unobservable(
                f"{self._name} was hung up on before {path} was read", do="run the same command again"
            )

    def _forget(self, reader: _Reader, *, by_force: bool = False) -> str:
        with self._lock:
            if self._reader is reader:
                self._reader = None
        return reader.close(by_force=by_force)

    def close(self) -> None:
        """Hangs up, also on those that wait for an answer; who asks afterwards begins anew."""
        with self._lock:
            known, self._reader = self._reader, None
            self._hung_up += 1
        if known is not None:
            known.close()


class _Reader:
    """One such program, from its start to its end.

    Attributes:
        has_answered: a question was answered.
        given_up: it was ended since a question was not answered in time.
    """

    def __init__(self, starter: Starter, argv: Sequence[str], timeout: float) -> None:
        words, source = as_source(Path(files_reader.__file__))
        self._process = starter.start([*argv, *words], timeout=timeout)
        self._timeout = timeout
        self._source: bytes = source
        self._came = bytearray()
        self._asked: deque[_Waiting] = deque()
        self._sending, self._receiving, self._ending = threading.Lock(), threading.Lock(), threading.Lock()
        self._broken = False
        self._said: str | None = None
        self.has_answered = False
        self.given_up = False

    def answer(self, question: _Question) -> files_reader.Answer:
        """Returns the answer to one question.

        Raises:
            TimeoutError: it did not come in time.
            OSError, EOFError: nobody is there any more.
        """
        waiting = _Waiting(question)
        try:
            with self._sending:
                self._look()
                self._asked.append(waiting)
                first, self._source = self._source, b""
                self._process.sendall(first + question.line)
            # Whoever receives hands out the answers of those that asked before.
            while waiting.answer is None:
                with self._receiving:
                    if waiting.answer is None:
                        self._receive(waiting)
        except BaseException:
            # After half a question or half an answer nobody could tell whose the next one is.
            self._broken = True
            raise
        return waiting.answer

    def _look(self) -> None:
        if self._broken:
            raise EOFError

    def _receive(self, waiting: _Waiting) -> None:
        if waiting.late:
            raise TimeoutError
        self._look()
        head = self._asked[0]
        try:
            answer = self._next(head.question)
        except TimeoutError:
            self.given_up = head.late = True
            if head is waiting:
                raise
            raise EOFError from None
        self._asked.popleft().answer = answer

    def _next(self, question: _Question) -> files_reader.Answer:
        until = time.monotonic() + self._timeout
        first = _FIRST.fullmatch(self._first_line(until))
        if first is None or int(first[2]) > max(question.most, _MOST_FIRST):
            raise _NotItsAnswerError
        what, numbers = first[1].decode(), tuple(int(word) for word in first.groups()[2:] if word is not None)
        if (what == "found" and question.verb == "stat") != bool(numbers):
            raise _NotItsAnswerError
        data = self._taken(int(first[2]), until)
        self.has_answered = True
        return what, numbers, data

    def _first_line(self, until: float) -> bytes:
        while (found := self._came.find(b"\n", 0, _MOST_FIRST)) < 0:
            if len(self._came) > _MOST_FIRST:
                raise _NotItsAnswerError
            self._more(until)
        return self._taken(found + 1, until)

    def _taken(self, count: int, until: float) -> bytes:
        while len(self._came) < count:
            self._more(until)
        taken = bytes(self._came[:count])
        del self._came[:count]
        return taken

    def _more(self, until: float) -> None:
        piece = self._process.recv(1 << 20, until)
        if not piece:
            raise EOFError
        self._came += piece

    def close(self, *, by_force: bool = False) -> str:
        """Has it end, and returns what it said on standard error.

        Args:
            by_force: it may wait for something else than questions.
        """
        self._broken = True
        with self._ending:
            if self._said is None:
                self._said = self._process.end() if by_force else self._process.close()
            return self._said


@dataclass(frozen=True)
class _Question:
    verb: str
    path: str
    most: int

    @property
    def line(self) -> bytes:
        return f"{self.verb} {self.most} {os.fsencode(self.path).hex()}\n".encode()


@dataclass
class _Waiting:
    question: _Question
    answer: files_reader.Answer | None = None
    late: bool = False


class _NotItsAnswerError(Exception):
    pass


def _split(names: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in names.split(b"\0") if name)


def _stat(mode: int, size: int) -> FileStat:
    kinds = {0o100000: "file", 0o040000: "directory", 0o120000: "link"}
    return FileStat(kinds.get(mode & 0o170000, "other"), size, mode & 0o7777)
