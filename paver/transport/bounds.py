"""What is read whole has a limit: whatever is larger is none of what paver looks for."""

from __future__ import annotations

from paver.errors import Unobservable


def within(data: bytes, most: int, name: str) -> bytes:
    """Returns `data`, of which at most one byte more than `most` was read.

    Raises:
        Unobservable: if it is larger.
    """
    if len(data) > most:
        raise Unobservable(
            f"{name} has more than {most >> 20} MiB",
            why="nothing that paver reads whole is as large: something else stands there",
            do="look what it is; move it away if it is not paver's",
        )
    return data
