"""A hash chain over raw lines: what makes a journal evidence.

A line is canonical JSON, one object, ended by a newline; its `prev` is the SHA-256 (hex) of the raw line before
it, newline excluded, and `GENESIS` in the first. Whoever alters, inserts or removes a line breaks the chain at the
next one. **Lines taken off the tail can't be seen by the chain alone**: print the head, ship it off the machine or
sign it, and pass it to `verify` as `expected`.

Pure: no file is opened here.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from paver.errors import PaverError
from paver.signing import canonical
from paver.signing.canonical import Json

GENESIS = "0" * 64
PREVIOUS = "prev"


class ChainError(PaverError):
    """The chain does not hold at `line` (counted from 1)."""

    def __init__(self, line: int, what: str, *, why: str = "", do: str = "", seen: str = "") -> None:
        super().__init__(f"journal line {line}: {what}", why=why, do=do, seen=seen)
        self.line = line


class TornLineError(ChainError):
    """The last line has no newline: the writer was stopped in the middle of it.

    All before it holds. `head` is the head of what holds, and `kept` the number of bytes that belong to it: who
    owns the file may cut it there, having said so, and go on.
    """

    def __init__(self, line: int, *, head: Head, kept: int) -> None:
        super().__init__(
            line,
            "the last line is not whole",
            why="the process was killed or the disk was full while it was written; all lines before it hold",
            do="run the same command again: it notes the torn line and goes on after the last whole one",
        )
        self.head = head
        self.kept = kept


@dataclass(frozen=True)
class Head:
    """The end of a chain: how many `lines` it has and the SHA-256 (hex) of the last one."""

    lines: int = 0
    digest: str = GENESIS


def link(record: Mapping[str, Json], head: Head) -> tuple[bytes, Head]:
    """Returns the raw line (newline included) that appends `record` to the chain at `head`, and the new head.

    Raises:
        CanonicalError: the record has no canonical form.
        ValueError: the record has a `prev` of its own.
    """
    if PREVIOUS in record:
        raise ValueError(f"a record may not set {PREVIOUS!r} itself")
    raw = canonical.dumps({**record, PREVIOUS: head.digest})
    return raw + b"\n", Head(head.lines + 1, _digest(raw))


def verify(data: bytes, *, expected: Head | None = None) -> Head:
    """Returns the head of the chain in `data`, having checked every line of it.

    Args:
        data: the whole file.
        expected: a head known from elsewhere; the chain must pass through it, so that a missing tail is seen.

    Raises:
        TornLineError: the last line is not whole.
        ChainError: a line was altered, inserted, removed, or is not canonical JSON.
    """
    *_, (_, head) = [({}, Head()), *records(io.BytesIO(data), expected=expected)]
    return head


def records(
    lines: Iterable[bytes], *, expected: Head | None = None
) -> Iterator[tuple[dict[str, Json], Head]]:
    """Yields each line's record (its `prev` included) and the head after it, checking as it goes.

    Args:
        lines: raw lines with their newlines, as iterating over a binary file gives them.
        expected: as for `verify`.

    Raises:
        TornLineError, ChainError: as `verify`, at the line concerned.
    """
    head = Head()
    kept = 0
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            raise TornLineError(number, head=head, kept=kept)
        raw = line[:-1]
        record = _record(raw, number)
        if record.get(PREVIOUS) != head.digest:
            raise _broken(number, record.get(PREVIOUS), head)
        head = Head(number, _digest(raw))
        kept += len(line)
        if expected is not None and expected.lines == number and expected.digest != head.digest:
            raise ChainError(
                number,
                "this is not the line that was attested",
                why="the journal was written anew, or it is the journal of another run",
                do="compare with the copy that was shipped off this machine",
                seen=f"sha256 {head.digest}, attested {expected.digest}",
            )
        yield record, head
    if expected is not None and head.lines < expected.lines:
        raise ChainError(
            head.lines + 1,
            f"the journal ends after line {head.lines}, but {expected.lines} lines were attested",
            why="lines were removed from its end, or an older copy was put back",
            do="take the journal from a backup or from the copy that was shipped off this machine",
        )


def _record(raw: bytes, number: int) -> dict[str, Json]:
    try:
        record = canonical.loads_exact(raw)
    except canonical.CanonicalError as error:
        raise ChainError(
            number,
            "it was altered",
            why=f"paver writes canonical JSON, and this line is not: {error.what}",
            do="the lines before it hold; take the rest from a copy",
        ) from None
    if not isinstance(record, dict):
        raise ChainError(number, "it was altered", why="a line is one JSON object, and this one is not")
    return record


def _broken(number: int, previous: Json, head: Head) -> ChainError:
    if number == 1:
        why = "it names a line before it, so lines at the beginning were removed"
    else:
        why = f"line {number - 1} was altered, or lines between it and this one were removed or inserted"
    return ChainError(
        number,
        "it does not follow the line before it",
        why=why,
        do="the lines before that place hold; take the rest from a copy",
        seen=f"prev {str(previous)[:64]}, expected {head.digest}",
    )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
