"""Columns of text: as wide as their content, the last one free. The same on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, colour: bool = False) -> Iterator[str]:
    """Yields a heading and the rows; empty columns are left out."""
    content = [[str(cell) for cell in row] for row in rows]
    used = [number for number in range(len(headings)) if any(row[number] for row in content)]
    shown = [[headings[number] for number in used], *([row[number] for number in used] for row in content)]
    widths = [max(len(row[number]) for row in shown) for number in range(len(used))]
    for number, row in enumerate(shown):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield f"\x1b[2m{text}\x1b[0m" if colour and number == 0 else text
