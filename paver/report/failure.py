"""What a command ended with, for programs: the document that it prints where it has no other."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """What a command ended with, where it ended before it had something to print. Standard error has the same for people.

    Attributes:
        exit: the exit code.
        what: what happened, in one line.
        seen: what was observed, or empty; never a secret.
        why: the cause as far as it is known, or empty.
        do: the next step, or empty.
        note: `nothing was changed`, where nothing was; else empty.
    """

    exit: int
    what: str
    seen: str
    why: str
    do: str
    note: str
