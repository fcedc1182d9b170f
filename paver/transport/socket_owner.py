"""Whose a TCP connection on this machine is."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

Address = tuple[str, int]

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _ESTABLISHED = 4, 20, 1, 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, number, port
_ASKED = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_SOCKET = struct.Struct("!HH4s12x4s12x4s8s")  # ports and addresses of both ends, interface, cookie
_FOUND = struct.Struct(
    "=BBBB48s12xI4x"
)  # family, state, timer, tries, socket, expiry and queues, user, inode
_ANY_COOKIE = b"\xff" * 8


def uid_of(client: Address, server: Address) -> int | None:
    """Returns the user whose connection goes from `client` to `server` (IPv4), None if none is established.

    Raises:
        OSError: if the kernel tells of none at all.
    """
    with contextlib.suppress(OSError):
        found = _asked(client, server)
        if found is not None:
            return found
    # A kernel without inet_diag, as some containers have, knows none either; its table has all of the machine's.
    return in_table(client, server, Path("/proc/net/tcp").read_text("ascii"))


def _asked(client: Address, server: Address) -> int | None:
    """Asks the kernel for this one connection: its table takes milliseconds, however few there are."""
    ends = (socket.inet_aton(client[0]), socket.inet_aton(server[0]))
    named = _SOCKET.pack(client[1], server[1], *ends, bytes(4), _ANY_COOKIE)
    body = _ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + named
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as asking:
        asking.settimeout(5)
        asking.sendto(header + body, (0, 0))
        answer = asking.recv(65536)
    if len(answer) < _HEADER.size + _FOUND.size or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    _, state, _, _, found, uid = _FOUND.unpack_from(answer, _HEADER.size)
    # Where nobody is connected from there it names who listens there, and whom a connection had that was closed as root.
    ports = struct.unpack_from("!HH", found)
    return int(uid) if state == _ESTABLISHED and ports == (client[1], server[1]) else None


def in_table(client: Address, server: Address, table: str) -> int | None:
    """Returns what `uid_of` does, from the text of /proc/net/tcp."""
    wanted = (_hexed(client), _hexed(server))
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and (fields[1], fields[2]) == wanted and int(fields[3], 16) == _ESTABLISHED:
            return int(fields[7])
    return None


def _hexed(address: Address) -> str:
    host = socket.inet_aton(address[0])[::-1].hex().upper()
    return f"{host}:{address[1]:04X}"
