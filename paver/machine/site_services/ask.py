"""Asks name servers and time servers, and prints what they said as JSON. Runs on the jumpbox, by its own Python.

Only the standard library, and nothing of paver: it is sent there as source text (`paver.transport.sent`).

    names <server> <name or address>…   {"vcsa.north.example": ["10.20.0.20"], "10.20.0.20": ["vcsa.north.example"]}
    time <server>…                      {"10.20.0.10": {"stratum": 10, "offset_ms": 0}}

What got no answer is null.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 3.0
A, PTR = 1, 12
UNIX_IN_NTP = 2208988800


def question(text: str, number: int) -> bytes:
    """Returns the DNS query for a name's address, or for an address's name."""
    parts = text.split(".")
    reverse = all(part.isdigit() for part in parts)
    labels = [*reversed(parts), "in-addr", "arpa"] if reverse else parts
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return (
        struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", PTR if reverse else A, 1)
    )


def answers(data: bytes, number: int) -> list[str] | None:
    """Returns the addresses or names in a DNS answer; None if it is none to that question."""
    if len(data) < 12:
        return None
    got, flags, questions, count = struct.unpack(">4H", data[:8])
    if got != number or not flags & 0x8000 or flags & 0xF not in (0, 3):
        return None
    at = 12
    for _ in range(questions):
        at = name_at(data, at)[1] + 4
    found = []
    for _ in range(count):
        at = name_at(data, at)[1]
        kind, _, _, length = struct.unpack(">2HIH", data[at : at + 10])
        at += 10
        if kind == A and length == 4:
            found.append(".".join(str(byte) for byte in data[at : at + 4]))
        elif kind == PTR:
            found.append(name_at(data, at)[0])
        at += length
    return sorted(found)


def _answers(number: int, data: bytes, _: float) -> list[str] | None:
    return answers(data, number)


def name_at(data: bytes, at: int) -> tuple[str, int]:
    """Returns the name that stands at `at`, and where it ends."""
    labels: list[str] = []
    end: int | None = None
    jumps = 0
    while data[at]:
        if data[at] & 0xC0:
            end = at + 2 if end is None else end
            at = struct.unpack(">H", data[at : at + 2])[0] & 0x3FFF
            jumps += 1
            if jumps > 20:
                raise ValueError("the answer's names go in a circle")
        else:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace"))
            at += 1 + data[at]
    return ".".join(labels).lower(), at + 1 if end is None else end


def asked(server: str, port: int, message: bytes, accept: Callable[[bytes, float], Any]) -> Any:
    """Sends a datagram, a second time if it got lost, and returns what `accept` makes of the answer.

    `accept` is also given the time in the middle of question and answer, in seconds since 1970.
    """
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE / 2)
            try:
                sock.connect((server, port))
                sent = time.time()
                sock.send(message)
                data = sock.recv(4096)
                found = accept(data, (sent + time.time()) / 2)
            except (OSError, ValueError, IndexError, struct.error):
                continue
            if found is not None:
                return found
    return None


def names(server: str, wanted: list[str]) -> dict[str, Any]:
    """Returns what a name server says."""
    found = {}
    for text in wanted:
        number = int.from_bytes(os.urandom(2), "big")
        found[text] = asked(server, 53, question(text, number), functools.partial(_answers, number))
    return found


def tells(data: bytes, middle: float) -> dict[str, int] | None:
    """Returns stratum and offset in an NTP answer; None if the server says that it does not know the time.

    The time on the way is no offset: the answer was written in the `middle` of it, as far as anybody knows (RFC 5905, 8).
    """
    if len(data) < 48 or data[0] >> 6 == 3 or not 0 < data[1] < 16:
        return None
    seconds, fraction = struct.unpack(">2I", data[40:48])
    offset = seconds - UNIX_IN_NTP + fraction / 2**32 - middle
    return {"stratum": data[1], "offset_ms": round(offset * 1000)}


def main(arguments: list[str]) -> None:
    """Prints the answers."""
    if arguments[0] == "names":
        found = names(arguments[1], arguments[2:])
    else:
        found = {server: asked(server, 123, b"\x23" + bytes(47), tells) for server in arguments[1:]}
    sys.stdout.write(json.dumps(found, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
