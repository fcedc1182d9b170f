"""The two questions that a vCenter appliance asks in first boot: who is that name, what time is it.

A client of a few lines, since it has to ask the servers that the appliance was given and not the lab's own.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct

_A, _PTR = 1, 12
_TIMEOUT_SECONDS = 2.0
_ATTEMPTS = 3
"""How often whoever is silent is asked: a datagram may be lost, and a machine be late."""


def address(name: str, servers: tuple[str, ...]) -> str | None:
    """Returns the first IPv4 address of `name` that one of `servers` gives, or None."""
    for raw in _ask(name, _A, servers):
        if len(raw) == 4:
            return str(ipaddress.IPv4Address(raw))
    return None


def name(of: str, servers: tuple[str, ...]) -> str | None:
    """Returns the name that the address `of` has backwards, or None."""
    for raw in _ask(ipaddress.ip_address(of).reverse_pointer, _PTR, servers):
        return _name(raw, 0)[0]
    return None


def tells_time(server: str) -> bool:
    """Returns whether `server` answers as a synchronised NTP server (RFC 5905, mode 4, stratum 1 to 15)."""
    answer = b""
    for _ in range(_ATTEMPTS):
        try:
            answer = _exchanged(server, 123, b"\x23" + bytes(47))
            break
        except TimeoutError:
            continue
        except OSError:
            break
    return len(answer) >= 48 and answer[0] & 7 == 4 and answer[0] >> 6 != 3 and 1 <= answer[1] <= 15


def question(name: str, kind: int, number: int) -> bytes:
    """Returns a query (RFC 1035) for one record of `name`."""
    labels = b"".join(bytes([len(label)]) + label.encode("idna") for label in name.rstrip(".").split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def records(answer: bytes, kind: int, number: int) -> list[bytes]:
    """Returns the data of the answer's records of `kind`, names in it uncompressed.

    Raises:
        ValueError: it is no answer to the question `number`.
    """
    try:
        got, flags, questions, answers, _, _ = struct.unpack_from(">6H", answer)
        if got != number or not flags & 0x8000 or flags & 0xF:
            raise ValueError("no answer")
        at = 12
        for _ in range(questions):
            at = _name(answer, at)[1] + 4
        found = []
        for _ in range(answers):
            at = _name(answer, at)[1]
            this, _, _, length = struct.unpack_from(">2HIH", answer, at)
            at += 10
            data = answer[at : at + length]
            if len(data) != length:
                raise ValueError("cut short")
            if this == kind:
                found.append(_plain(_name(answer, at)[0]) if kind == _PTR else data)
            at += length
    except (struct.error, IndexError) as error:
        raise ValueError(f"not a DNS answer: {error}") from error
    return found


def _ask(name: str, kind: int, servers: tuple[str, ...]) -> list[bytes]:
    asked = list(servers)
    for _ in range(_ATTEMPTS):
        silent = []
        for server in asked:
            number = secrets.randbelow(65536)
            try:
                found = records(_exchanged(server, 53, question(name, kind, number)), kind, number)
            except TimeoutError:
                silent.append(server)
                continue
            except (OSError, ValueError):
                continue
            if found:
                return found
        asked = silent
    return []


def _exchanged(server: str, port: int, question: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(_TIMEOUT_SECONDS)
        client.connect((server, port))
        client.send(question)
        return client.recv(4096)


def _name(message: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    end, jumps = None, 0
    while True:
        length = message[at]
        if length == 0:
            return ".".join(labels), (at + 1 if end is None else end)
        if length >= 0xC0:
            # A pointer to where the rest of the name stands; a loop of them would never end.
            end = at + 2 if end is None else end
            at = (length & 0x3F) << 8 | message[at + 1]
            jumps += 1
            if jumps > 32:
                raise ValueError("a name that points in circles")
            continue
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length


def _plain(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
