"""Reads files for whoever asks on standard input, until that ends; it can do nothing else.

A question is a line, `["read", PATH, MOST]`, `["stat", PATH]` or
`["list", PATH]`; its answer a line of JSON, after `read` followed by as many bytes as it says. It needs nothing but the
standard library, since it is also sent to a machine as source text.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

Answer = tuple[dict[str, Any], bytes]


def read(path: str, most: int) -> Answer:
    """Returns the first `most` bytes of a file."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces, left = [], most
        while left and (piece := os.read(handle, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(handle)
    return {"bytes": most - left}, b"".join(pieces)


def stat_of(path: str) -> Answer:
    """Returns what stands at a path; links are not followed."""
    found = os.lstat(path)
    return {"mode": found.st_mode, "size": found.st_size}, b""


def listed(path: str) -> Answer:
    """Returns the sorted names in a directory; what is none has no names, nor has a link to one."""
    there = stat.S_ISDIR(os.lstat(path).st_mode)
    # Without pathlib, which would take a third of this program's start.
    return {"names": sorted(os.listdir(path)) if there else []}, b""  # noqa: PTH208


WAYS: dict[str, Callable[..., Answer]] = {"read": read, "stat": stat_of, "list": listed}


def answer(way: str, *asked: Any) -> Answer:
    """Returns what came of a question: what was found, `{"absent": true}`, or `{"error": WHY}`."""
    try:
        return WAYS[way](*asked)
    except (FileNotFoundError, NotADirectoryError):
        return {"absent": True}, b""
    except (OSError, ValueError) as error:
        return {"error": getattr(error, "strerror", None) or str(error)}, b""


def main() -> int:
    """Answers until nobody asks any more."""
    asking, telling = sys.stdin.buffer, sys.stdout.buffer
    for line in asking:
        told, data = answer(*json.loads(line))
        telling.write(json.dumps(told).encode() + b"\n" + data)
        telling.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
