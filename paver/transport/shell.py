"""Running one command on a machine, here or over SSH, by the same rules.

An argv is a list and never meets a shell unquoted; secrets travel on standard input, never in an argv.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from paver.errors import PaverError, Unobservable
from paver.transport import ending


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended.

    Attributes:
        argv: what ran; never a secret.
        code: its exit code; negative for a signal.
        out: standard output.
        err: standard error.
    """

    argv: tuple[str, ...]
    code: int
    out: bytes
    err: bytes

    @property
    def ok(self) -> bool:
        """True for exit code 0."""
        return self.code == 0

    @property
    def text(self) -> str:
        """Standard output as text, without the last line's end."""
        return self.out.decode("utf-8", "replace").rstrip("\n")


class CommandError(PaverError):
    """A command ended with another exit code than 0.

    Attributes:
        ran: how it ended.
    """

    def __init__(self, machine: str, ran: Ran) -> None:
        words = ran.err.decode("utf-8", "replace").strip() or ran.out.decode("utf-8", "replace").strip()
        super().__init__(
            f"{machine}: {ran.argv[0].rpartition('/')[2]} ended with {ran.code}",
            seen="\n".join(words.splitlines()[-8:]),
        )
        self.ran = ran


MOST_OUT = 64 * 1024 * 1024
"""Bytes of standard output that a command may have which is not told as it comes."""

MOST_ERR = 1024 * 1024
"""Bytes of standard error that are kept, the last ones: what went wrong is said at the end."""

Output = Callable[[bytes], None]
Input = bytes | Iterable[bytes]


class Process(Protocol):
    """A program that runs, and is talked with."""

    def sendall(self, data: bytes) -> object:
        """Writes to its standard input.

        Raises:
            OSError: it is gone.
        """
        ...

    def recv(self, most: int, until: float) -> bytes:
        """Returns what it says on standard output, at most `most` bytes; nothing where it has ended.

        Args:
            most: bytes.
            until: when it is given up, by `time.monotonic()`.

        Raises:
            TimeoutError: it said nothing until then.
            OSError: it is gone.
        """
        ...

    def close(self) -> str:
        """Has it end, by the end of its input; returns what it said on standard error."""
        ...

    def end(self) -> str:
        """Ends it with all that it started, whatever it waits for; returns what it said on standard error."""
        ...


class Starter(Protocol):
    """Something that starts programs on one machine, to talk with them.

    Apart from `Shell`, since files alone are read so.
    """

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        """Starts `argv` to talk with it.

        Args:
            argv: program and arguments.
            timeout: seconds until it has begun, and until it takes what is written to it.

        Raises:
            Unobservable: if the machine cannot be asked.
        """
        ...


class Shell(Protocol):
    """Something that runs commands on one machine."""

    @property
    def local(self) -> bool:
        """True if the machine is this one."""
        ...

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Runs `argv` and waits for its end.

        Args:
            argv: program and arguments.
            stdin: what it reads.
            timeout: seconds until it is given up.
            on_output: is told standard output as it comes; `Ran.out` is empty then.

        Raises:
            Unobservable: if the machine cannot be asked.
            PaverError: if the time is over, or its output beyond what is kept.
        """
        ...

    def close(self) -> None:
        """Hangs up."""
        ...


_WITH_ENV = 'while IFS= read -r l && [ -n "$l" ]; do v=$(printf "%b." "${l#*=}"); export "${l%%=*}=${v%.}"; done; exec "$@"'
"""Takes `NAME=value` lines (escaped for printf's %b) up to an empty line from standard input, then runs "$@"."""


def with_env(argv: Sequence[str], env: Mapping[str, str], stdin: Input = b"") -> tuple[list[str], Input]:
    """Returns argv and input of a command that runs `argv` with `env`, whose values stand in no argv."""
    if not env:
        return list(argv), stdin
    head = "".join(f"{name}={_escaped(value)}\n" for name, value in env.items()).encode() + b"\n"
    wrapped = ["sh", "-c", _WITH_ENV, "sh", *argv]
    if isinstance(stdin, bytes):
        return wrapped, head + stdin
    return wrapped, _chained(head, stdin)


def _chained(head: bytes, rest: Iterable[bytes]) -> Iterable[bytes]:
    yield head
    yield from rest


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def quoted(argv: Sequence[str]) -> str:
    """Returns `argv` as one line for a remote shell."""
    return shlex.join(argv)


class LocalShell:
    """Runs commands on this machine.

    Args:
        name: what the user calls the machine.
    """

    local = True

    def __init__(self, name: str) -> None:
        self._name = name

    def run(
        self, argv: Sequence[str], *, stdin: Input = b"", timeout: float, on_output: Output | None = None
    ) -> Ran:
        """Runs `argv`; see `Shell.run`."""
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return Ran(tuple(argv), 127, b"", f"{argv[0]}: {error.strerror}".encode())
        try:
            return self._attend(process, argv, stdin, timeout, on_output)
        finally:
            _end(process)

    def _attend(
        self,
        process: subprocess.Popen[bytes],
        argv: Sequence[str],
        stdin: Input,
        timeout: float,
        on_output: Output | None,
    ) -> Ran:
        out, err = bytearray(), bytearray()
        broken: list[BaseException] = []
        take = on_output or kept(out, self._name, argv)

        def attentive(piece: bytes) -> None:
            # What the listener raises must reach the caller, and end the command: nobody reads it any more.
            try:
                take(piece)
            except BaseException as error:
                broken.append(error)
                ending.end(process.pid)
                raise _Unheard from error

        threads = [
            threading.Thread(target=_feed, args=(process, stdin, broken), daemon=True),
            threading.Thread(target=_drain, args=(process.stdout, attentive), daemon=True),
            threading.Thread(target=_drain, args=(process.stderr, last(err)), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            code = _awaited(process, timeout)
        except subprocess.TimeoutExpired:
            raise late(self._name, argv, timeout) from None
        # A grandchild that keeps the pipe open must not hold us: what came until now is the answer.
        read = time.monotonic() + 5
        for thread in threads[1:]:
            thread.join(max(read - time.monotonic(), 0))
        if broken:
            raise broken[0]
        return Ran(tuple(argv), code, bytes(out), bytes(err))

    def start(self, argv: Sequence[str], *, timeout: float) -> Process:
        """Starts `argv` to talk with it; see `Starter.start`."""
        try:
            return _LocalProcess(argv, timeout)
        except OSError as error:
            raise Unobservable(
                f"{self._name}: {argv[0]} cannot be started",
                why=error.strerror or str(error),
                do=f"install {argv[0]} there" if isinstance(error, FileNotFoundError) else "",
            ) from error

    def close(self) -> None:
        """Has nothing to hang up."""


class _LocalProcess:
    def __init__(self, argv: Sequence[str], timeout: float) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(timeout)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (until `close`)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    list(argv),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._errors,
                    start_new_session=True,
                )
            except BaseException:
                self._ours.close()
                self._errors.close()
                raise

    def sendall(self, data: bytes) -> None:
        self._ours.sendall(data)

    def recv(self, most: int, until: float) -> bytes:
        self._ours.settimeout(max(until - time.monotonic(), 0.01))
        return self._ours.recv(most)

    def close(self) -> str:
        self._hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            _awaited(self._process, _LEAVING)
        return self.end()

    def _hang_up(self) -> None:
        # Closed alone, it would not be noticed by who reads from it.
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    def end(self) -> str:
        self._hang_up()
        _end(self._process)
        self._ours.close()
        with contextlib.suppress(ValueError), self._errors as errors:
            errors.seek(max(errors.seek(0, os.SEEK_END) - MOST_ERR, 0))
            return errors.read(MOST_ERR).decode("utf-8", "replace").strip()
        return ""  # closed before


_LEAVING = 2.0
"""Seconds for a program to end by itself, once its input has."""


def kept(into: bytearray, machine: str, argv: Sequence[str]) -> Output:
    """Returns what keeps a command's standard output; it raises `PaverError` where there is more than any has."""

    def take(piece: bytes) -> None:
        if len(into) + len(piece) > MOST_OUT:
            raise PaverError(
                f"{machine}: {argv[0].rpartition('/')[2]} writes more than {MOST_OUT >> 20} MiB",
                why="no answer that paver takes is as large: something else answers there",
                do="look on the machine what it writes, then run the same command again",
            )
        into.extend(piece)

    return take


def last(into: bytearray) -> Output:
    """Returns what keeps the end of a command's standard error."""

    def take(piece: bytes) -> None:
        into.extend(piece)
        del into[:-MOST_ERR]

    return take


def late(machine: str, argv: Sequence[str], timeout: float) -> PaverError:
    """Returns the error for a command that did not end in time."""
    return PaverError(
        f"{machine}: {argv[0].rpartition('/')[2]} did not end within {timeout:.0f} s",
        do="look on the machine what it waits for, then run the same command again",
    )


def _awaited(process: subprocess.Popen[bytes], timeout: float) -> int:
    """Returns the exit code as soon as there is one.

    `Popen.wait` with a time looks ever more seldom, and is late by as much as the command took, up to 50 ms; the
    kernel tells at once.
    """
    end = time.monotonic() + timeout
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # an old kernel, or one that does not let it through
        return process.wait(timeout)
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        ended.poll(min(timeout * 1000, _LONGEST_POLL))
    finally:
        os.close(handle)
    return process.wait(max(end - time.monotonic(), 0))


_LONGEST_POLL = 2**31 - 1


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    ending.end(process.pid)
    # One that nobody could end is not waited for.
    threading.Thread(target=process.wait, daemon=True).start()


class _Unheard(Exception):
    pass


def _feed(process: subprocess.Popen[bytes], stdin: Input, broken: list[BaseException]) -> None:
    pipe = process.stdin
    if pipe is None:
        return
    with contextlib.suppress(BrokenPipeError, ValueError):
        try:
            for piece in [stdin] if isinstance(stdin, bytes) else stdin:
                pipe.write(piece)
        except (BrokenPipeError, ValueError):
            raise
        except BaseException as error:  # noqa: BLE001 (the source failed: the caller must hear of it)
            # The command sees its input end early, and cleans up by itself.
            broken.append(error)
    with contextlib.suppress(BrokenPipeError, ValueError):
        pipe.close()


def _drain(stream: Any, take: Callable[[bytes], object]) -> None:
    # Whoever reads it closes it: another would wait until all who may write to it are gone.
    with stream, contextlib.suppress(_Unheard):
        while piece := stream.read1(65536):
            take(piece)
