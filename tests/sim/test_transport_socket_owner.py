"""Whose a TCP connection is: the kernel's answer about one against its table of all."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from paver.transport import socket_owner


@pytest.fixture
def ends() -> Iterator[tuple[socket_owner.Address, socket_owner.Address]]:
    """A connection's client and server."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        near = held.enter_context(socket.create_connection(listening.getsockname()))
        held.enter_context(listening.accept()[0])
        yield near.getsockname(), near.getpeername()


def test_a_connection_is_that_of_who_opened_it(
    ends: tuple[socket_owner.Address, socket_owner.Address],
) -> None:
    client, server = ends
    assert socket_owner.uid_of(client, server) == os.getuid()
    assert socket_owner.uid_of(server, client) == os.getuid()


def test_what_is_not_connected_is_nobodys_also_where_somebody_listens(
    ends: tuple[socket_owner.Address, socket_owner.Address],
) -> None:
    client, server = ends
    assert socket_owner.uid_of((client[0], 1), server) is None
    assert socket_owner.uid_of(server, (client[0], 1)) is None
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        free = closed.getsockname()
    assert socket_owner.uid_of(free, server) is None


def test_the_kernel_says_of_each_connection_what_its_table_says(
    ends: tuple[socket_owner.Address, socket_owner.Address],
) -> None:
    table = Path("/proc/net/tcp").read_text("ascii")
    told = {pair: socket_owner.uid_of(*pair) for pair in (ends, ends[::-1])}
    assert told == {pair: socket_owner.in_table(*pair, table) for pair in told}


def test_a_kernel_that_does_not_tell_of_one_is_asked_for_all(
    ends: tuple[socket_owner.Address, socket_owner.Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> socket.socket:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(socket, "socket", unknown)
    assert socket_owner.uid_of(*ends) == os.getuid()
