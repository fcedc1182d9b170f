"""Ports for servers that have to be told theirs."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _COUNT = 10_000, 20_011
"""Below those that a kernel gives to outgoing connections, and to whoever leaves it the choice."""

_DRAWN = itertools.count(os.getpid() * 1_499)
"""Each process of tests begins elsewhere: one that asked the kernel got a port that another one had just drawn."""


def free_port(address: str) -> int:
    """Returns a port of `address` that nobody listens on, and that another test hardly ever is about to listen on."""
    for number in itertools.islice(_DRAWN, _COUNT):
        port = _FIRST + number % _COUNT
        with socket.socket() as probe:
            if _can_bind(probe, address, port):
                return port
    raise AssertionError(f"{address} has no free port")


def _can_bind(probe: socket.socket, address: str, port: int) -> bool:
    try:
        probe.bind((address, port))
    except OSError:
        return False
    return True
