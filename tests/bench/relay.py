"""A line of a given speed: a TCP relay that lets so many bytes a second pass in each direction.

    python tests/bench/relay.py HOST:PORT RATE

It prints the port that it listens on, on the address of the host that it leads to. Bytes go from socket to socket
within the kernel (splice), so that the relay takes next to nothing of the machine that is measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import threading
import time

BURST = 0.005
"""Seconds' worth of bytes that may pass at once."""


class Pace:
    """Says how many bytes may pass now; waits where none may."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._most = max(65536, int(rate * BURST))
        self._due = time.monotonic()

    def admit(self, count: int) -> None:
        """Waits until the bytes that passed are paid for."""
        now = time.monotonic()
        self._due = max(self._due, now - BURST) + count / self._rate
        if self._due > now:
            time.sleep(self._due - now)

    @property
    def most(self) -> int:
        """How many bytes may be asked for."""
        return self._most


def pump(source: socket.socket, target: socket.socket, pace: Pace) -> None:
    """Moves bytes until one side ends, and tells the other."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    try:
        with contextlib.suppress(OSError):
            while count := os.splice(source.fileno(), writing, pace.most):
                pace.admit(count)
                while count:
                    count -= os.splice(reading, target.fileno(), count)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
    finally:
        os.close(reading)
        os.close(writing)


def serve(host: str, port: int, rate: int) -> None:
    """Listens until it is ended."""
    listener = socket.create_server((host, 0), backlog=64)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    # One pace a direction for all connections: it is one line that they share.
    up, down = Pace(rate), Pace(rate)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection((host, port))
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one, other, pace in ((near, far, up), (far, near, down)):
            threading.Thread(target=pump, args=(one, other, pace), daemon=True).start()


if __name__ == "__main__":
    where, _, number = sys.argv[1].rpartition(":")
    serve(where, int(number), int(sys.argv[2]))
