"""What is wrong in a site file, and where: data, and its form on a terminal.

Nothing here reads files or knows models. The excerpt arrives already masked: no secret gets this far.
"""

from __future__ import annotations

import dataclasses
import enum
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator

from paver.errors import BadInput

_ADVICE = 100
"""Columns at most for advice, which is read."""

_LEAST = 12
"""Columns of an excerpt at least: a terminal that has not even these breaks it by itself."""


UNSEEN = "Not all was looked at: what sections say of each other is, as soon as this is mended."
"""Said below findings that keep paver from comparing sections."""


class Severity(enum.StrEnum):
    """Whether the site can be used in spite of it."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One finding about a site file.

    Attributes:
        file: the file as the user named it.
        line: counted from 1.
        column: counted from 1, in characters.
        path: keys from the root, joined by dots; empty where YAML itself is wrong.
        message: what is wrong, in one line, with the user's own names and values, never a secret.
        advice: what would be right; may be empty.
        excerpt: the line of the file, secrets masked, control characters replaced, cut if long.
        caret: the part of `excerpt` to underline, as (start, length) in terminal cells.
        severity: an error stops the load, a warning does not.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    advice: str = ""
    excerpt: str = ""
    caret: tuple[int, int] = (0, 1)
    severity: Severity = Severity.ERROR

    def lines(self, width: int | None = None) -> list[str]:
        """Returns the finding as a terminal shows it, without colour.

        Args:
            width: of the terminal, None where there is none.
        """
        place = f"{self.file}:{self.line}:{self.column}: "
        path = f"{self.path}: " if self.path else ""
        message = f"{self.severity}: {place}{path}{self.message}"
        shown = [message] if width is None else list(_wrapped(message, width, ""))
        if self.excerpt:
            number = f"{self.line:>5} | "
            margin = f"{' ' * (len(number) - 3)} | "
            room = None if width is None else width - len(number)
            excerpt, (start, length) = _cut(self.excerpt, self.caret, room)
            shown.append(f"{number}{excerpt}")
            shown.append(f"{margin}{' ' * start}{'^' * length}")
        for line in self.advice.splitlines():
            shown += _wrapped(line, _ADVICE if width is None else min(width, _ADVICE), "  ")
        return shown

    def order(self) -> tuple[int, int, str, str]:
        """Returns the key that sorts findings by where they stand."""
        return (self.line, self.column, self.path, self.message)


def _wrapped(text: str, width: int, indent: str) -> Iterator[str]:
    """Yields a text in lines that fit. What is to be pasted stays in one piece, however long it is."""
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def cells(text: str) -> int:
    """Returns how many cells of a terminal a text takes."""
    return sum(map(_cell, text))


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(excerpt: str, caret: tuple[int, int], room: int | None) -> tuple[str, tuple[int, int]]:
    """Returns what of an excerpt has room in so many cells, and the place in it of what is underlined, which is in its middle."""
    whole, (start, length) = cells(excerpt), caret
    if room is None or whole <= room:
        return excerpt, caret
    room = max(room, _LEAST)
    before = max(room // 4, (room - length) // 2)
    left = 0 if start + length < room else max(0, min(start - before, whole - room + 1))
    shown, gone = list(excerpt), 0
    while gone < left:
        gone += _cell(shown.pop(0))
    head, tail = "…" if left else "", ""
    while cells(head) + sum(map(_cell, shown)) + cells(tail) > room:
        shown.pop()
        tail = "…"
    begins = start - gone + cells(head)
    return f"{head}{''.join(shown)}{tail}", (begins, max(1, min(length, room - cells(tail) - begins)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Read:
    """The site that was read.

    Attributes:
        name: the site's name.
        driver: the driver of its IaaS.
        digest: SHA-256 of the normalised site file, as a plan bears it.
    """

    name: str
    driver: str
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validated:
    """What is wrong in a site file, and what only looks so.

    Attributes:
        ok: whether it can be used; warnings may stand.
        site: the site; null where the file can't be used.
        findings: errors and warnings, by where they stand.
        whole: whether that is all; false where what is wrong keeps paver from comparing what sections say of each other.
    """

    ok: bool
    site: Read | None
    findings: tuple[Diagnostic, ...]
    whole: bool


class SiteErrors(BadInput):
    """A site file that cannot be used: every finding, sorted by position (warnings too).

    Args:
        diagnostics: the findings.
        whole: whether that is all that is wrong; false where sections could not be compared, being wrong themselves.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], *, whole: bool = False) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=Diagnostic.order))
        self.whole = whole
        errors = [found for found in self.diagnostics if found.severity is Severity.ERROR]
        name = self.diagnostics[0].file if self.diagnostics else "the site file"
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        super().__init__(
            f"{name}: {count}",
            seen="\n".join(found.lines()[0] for found in self.diagnostics),
            do="correct the file, then run the same command again",
        )

    def lines(self, width: int | None = None) -> list[str]:
        """Returns all findings as a terminal of `width` shows them, a blank line between two."""
        shown: list[str] = []
        for found in self.diagnostics:
            if shown:
                shown.append("")
            shown += found.lines(width)
        if not self.whole:
            shown += ["", *_wrapped(UNSEEN, _ADVICE if width is None else min(width, _ADVICE), "")]
        return shown
