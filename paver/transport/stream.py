"""Sending a big file over TLS with flat memory, hashed on the way.

Reading, hashing and sending overlap: hashing and encryption both release the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from paver.errors import PaverError
from paver.transport import tls
from paver.transport.context import Progress
from paver.transport.dial import HttpsConnection, Route

PIECE = 1 << 18
"""Bytes read and sent at once: big enough that Python's share vanishes, small enough for a processor's cache."""

TELL = 0.1
"""Seconds between two tellings of progress: whoever is told writes it down and shows it."""


class Readable(Protocol):
    """Something to send: a file, or a member of an archive; with `readinto`, nothing is copied."""

    def read(self, size: int = -1, /) -> bytes: ...


class Hashing:
    """Hashes pieces in a thread of its own, in order; `hexdigest` waits for the last.

    Attributes:
        kept: how many pieces it may still read while the next one is made: those that wait, and the one in work.
    """

    kept = 5

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._queue: queue.Queue[memoryview | None] = queue.Queue(maxsize=self.kept - 1)
        self._thread = threading.Thread(target=self._run, name=f"hash-{algorithm}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._hash.update(piece)

    def update(self, piece: memoryview) -> None:
        """Takes the next piece; the caller must not write over it until it is hashed."""
        self._queue.put(piece)

    def close(self) -> None:
        """Ends the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def hexdigest(self) -> str:
        """Returns the digest of all pieces."""
        self.close()
        return self._hash.hexdigest()


def send_stream(
    route: Route,
    method: str,
    path: str,
    headers: Mapping[str, str],
    data: Readable,
    size: int,
    *,
    hashing: Hashing | None = None,
    on_progress: Progress | None = None,
    lent: contextlib.AbstractContextManager[HttpsConnection] | None = None,
) -> tuple[int, str]:
    """Sends exactly `size` bytes of `data` as a request's body; returns the answer's status and reason.

    Args:
        route: how the server is reached.
        method: of HTTP.
        path: with its query.
        headers: besides the length.
        data: what is sent.
        size: its bytes.
        hashing: digests what is sent.
        on_progress: is told bytes sent, and `size`.
        lent: gives a connection of the route that is open already; None opens one.

    Raises:
        PaverError: if the source ends early or the server hangs up.
    """
    with lent or contextlib.closing(route.https()) as connection:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(size)}.items():
            connection.putheader(name, value)
        try:
            connection.endheaders()
        except ssl.SSLCertVerificationError as error:
            raise tls.explain(error, route.netloc, context=route.trust.context) from error
        except OSError as error:
            raise PaverError(
                f"{route.netloc} does not take the upload: nothing answers there",
                why=str(error) or type(error).__name__,
                do="check that port 443 of this host is open from here (`paver ports`)",
            ) from error
        sock: Any = connection.sock
        done, told = 0, time.monotonic()
        try:
            for piece in _pieces(data, size, kept=0 if hashing is None else hashing.kept):
                if hashing is not None:
                    hashing.update(piece)
                sock.sendall(piece)
                done += len(piece)
                if on_progress is not None and (done == size or time.monotonic() > told + TELL):
                    told = time.monotonic()
                    on_progress(done, size)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            # A server that refuses answers before it hangs up; its answer says more than the broken pipe.
            answer = _last_word(connection)
            connection.close()
            if answer is not None:
                return answer
            raise PaverError(
                f"the upload to {route.netloc} broke off after {done} of {size} bytes",
                why=str(error) or type(error).__name__,
                do="run the same command again: the upload starts anew",
            ) from error
        except OSError as error:
            raise PaverError(
                f"the upload to {route.netloc} stopped after {done} of {size} bytes",
                why=str(error) or type(error).__name__,
                do="run the same command again: the upload starts anew",
            ) from error
        answer = _last_word(connection)
        if answer is None:
            raise PaverError(
                f"the upload to {route.netloc} broke off: {size} bytes were sent, and no answer came",
                why="it hung up: the line broke, or it gave up on what it got",
                do="run the same command again: the upload starts anew",
            )
        return answer


def _last_word(connection: Any) -> tuple[int, str] | None:
    try:
        response = connection.getresponse()
        response.read(65536)
        if not response.isclosed():
            connection.close()
    except Exception:  # noqa: BLE001 (whatever it raises: there is no answer)
        return None
    return response.status, response.reason


def _pieces(data: Readable, size: int, *, kept: int) -> Iterator[memoryview]:
    """Yields all of `data`; whoever takes a piece may keep it for `kept` more of them."""
    left = size
    readinto = getattr(data, "readinto", None)
    # Buffers in turn: one that may still be read is never filled again.
    buffers = itertools.cycle(
        [memoryview(bytearray(min(PIECE, size))) for _ in range(1 + kept)]
        if readinto is not None
        else [memoryview(b"")]
    )
    while left:
        wanted = min(PIECE, left)
        if readinto is not None:
            buffer = next(buffers)[:wanted]
            piece = buffer[: readinto(buffer)]
        else:
            piece = memoryview(data.read(wanted))
        if not piece:
            raise PaverError(
                f"the file ended {left} bytes early (it should have {size})",
                do="check the file against its manifest: it was cut short",
            )
        left -= len(piece)
        yield piece
