"""What a proof found, as text and as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import ClassVar

SCHEMA = "paver.image-proof/1"


@dataclasses.dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        group: which others it stands among.
        what: what should be.
        holds: whether it is.
        seen: what was seen, or why it was not asked.
        asked: where it was not, it does not hold, and is no failure.
    """

    group: str
    what: str
    holds: bool
    seen: str
    asked: bool = True


def not_asked(group: str, what: str, why: str) -> Line:
    """Returns the line of something that could not be looked at."""
    return Line(group, what, holds=False, seen=f"not asked, because {why}", asked=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """One boot of the image, or another thing that was done with it.

    Attributes:
        name: the way's, as `--only` takes it.
        how: what was done, in words.
        stands_in: what is not the real thing in it, or empty.
        seconds: how long things took, by what it was.
        lines: what was looked at.
    """

    name: str
    how: str
    stands_in: str = ""
    seconds: dict[str, int] = dataclasses.field(default_factory=dict)
    lines: tuple[Line, ...] = ()

    @property
    def holds(self) -> bool:
        """Returns whether all of it holds that was asked."""
        return not failures(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """The whole proof of one image.

    Attributes:
        image: the file's name.
        sha256: of the disk that was booted.
        version: of the image.
        runs_by: what ran the PC, and why.
        sections: what was done.
        left: names of what was not done yet: the report of a proof that goes on, or was ended.
    """

    ALSO: ClassVar = ("holds", "not_asked")

    image: str
    sha256: str
    version: str
    runs_by: str
    sections: tuple[Section, ...]
    left: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all of it was done and holds, as far as it was asked."""
        return not self.left and all(section.holds for section in self.sections)

    @property
    def not_asked(self) -> tuple[str, ...]:
        """What was not asked, each with the name of its section."""
        return tuple(f"{name}: {line.what}" for name, line in _missed(self))


def failures(section: Section) -> list[Line]:
    """Returns what was asked and does not hold."""
    return [line for line in section.lines if line.asked and not line.holds]


def _missed(report: Report) -> Iterable[tuple[str, Line]]:
    """Yields what was not asked, with its section's name."""
    return ((section.name, line) for section in report.sections for line in section.lines if not line.asked)


def text(section: Section) -> list[str]:
    """Returns a section as a terminal shows it."""
    took = ", ".join(f"{what} {seconds} s" for what, seconds in section.seconds.items())
    shown = [f"{section.name}: {section.how}"]
    if section.stands_in:
        shown.append(f"  stand-in: {section.stands_in}")
    if took:
        shown.append(f"  took: {took}")
    return [*shown, *_rows(section.lines)]


def ending(report: Report) -> str:
    """Returns the last line."""
    count = sum(line.asked for section in report.sections for line in section.lines)
    broken = sum(len(failures(section)) for section in report.sections)
    missed = "".join(f"; {name}, {line.what}: {line.seen}" for name, line in _missed(report))
    if broken:
        return f"{broken} of {count} things do not hold of {report.image}{missed}"
    return f"all {count} things hold of {report.image}, disk sha256 {report.sha256}{missed}"


def _rows(lines: Sequence[Line]) -> Iterable[str]:
    group = ""
    for line in lines:
        if line.group != group:
            group = line.group
            yield f"  {group}"
        sign = "✓" if line.holds else "✗" if line.asked else "–"
        first, *rest = line.seen.splitlines() or [""]
        yield f"    {sign} {line.what:<44} {first}".rstrip()
        yield from (f"      {more}" for more in rest)
