"""What a proof found, as text and as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

SCHEMA = "paver.image-proof/1"


@dataclasses.dataclass(frozen=True)
class Line:
    """One thing that was looked at: what should be, whether it is, and what was seen."""

    group: str
    what: str
    holds: bool
    seen: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """One boot of the image, or another thing that was done with it.

    Attributes:
        name: of the way, as `--only` takes it.
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
        """Returns whether all of it holds."""
        return all(line.holds for line in self.lines)


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

    image: str
    sha256: str
    version: str
    runs_by: str
    sections: tuple[Section, ...]
    left: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Returns whether all of it was done and holds."""
        return not self.left and all(section.holds for section in self.sections)

    def document(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {"schema": SCHEMA, "holds": self.holds, **dataclasses.asdict(self)}


def failures(section: Section) -> list[Line]:
    """Returns what does not hold."""
    return [line for line in section.lines if not line.holds]


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
    count = sum(len(section.lines) for section in report.sections)
    broken = sum(len(failures(section)) for section in report.sections)
    if broken:
        return f"{broken} of {count} things do not hold of {report.image}"
    return f"all {count} things hold of {report.image}, disk sha256 {report.sha256}"


def _rows(lines: Sequence[Line]) -> Iterable[str]:
    group = ""
    for line in lines:
        if line.group != group:
            group = line.group
            yield f"  {group}"
        sign = "✓" if line.holds else "✗"
        first, *rest = line.seen.splitlines() or [""]
        yield f"    {sign} {line.what:<44} {first}".rstrip()
        yield from (f"      {more}" for more in rest)
