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


def test_of_one_connection_the_kernel_is_not_made_to_list_all(
    ends: tuple[socket_owner.Address, socket_owner.Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*_: object) -> str:
        raise AssertionError("all connections were read")

    monkeypatch.setattr(Path, "read_text", listed)
    assert socket_owner.uid_of(*ends) == os.getuid()


def test_a_connection_that_its_client_has_closed_is_nobodys() -> None:
    """The kernel names root as who has it."""
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as held:
        with socket.create_connection(listening.getsockname()) as near:
            held.enter_context(listening.accept()[0])
            client, server = near.getsockname(), near.getpeername()
        assert socket_owner.uid_of(client, server) is None


@pytest.mark.parametrize("family", [socket.AF_NETLINK, socket.AF_INET])
def test_a_kernel_that_does_not_tell_of_one_is_asked_for_all(
    ends: tuple[socket_owner.Address, socket_owner.Address],
    monkeypatch: pytest.MonkeyPatch,
    family: socket.AddressFamily,
) -> None:
    """Without the protocol, or without what answers for TCP: AF_X25's stands for that, which answers so."""
    if family == socket.AF_INET:
        monkeypatch.setattr(socket, "AF_INET", 9)
    else:
        monkeypatch.setattr(socket_owner, "_NETLINK_SOCK_DIAG", 31)
    assert socket_owner.uid_of(*ends) == os.getuid()
