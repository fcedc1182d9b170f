"""Columns of text: as wide as their content, the last one free. The same in a pipe as on a terminal that has the room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from paver.report import words


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, colour: bool = False, width: int | None = None
) -> Iterator[str]:
    """Yields a heading and the rows; empty columns are left out.

    Args:
        headings: of the columns.
        rows: a cell for each of them.
        colour: whether the heading is dim.
        width: of the terminal, None where there is none. What has no room beside the cells before it stands below
            them: a row is several lines then, with no word broken, so that an address can still be taken with the mouse.
    """
    content = [[str(cell) for cell in row] for row in rows]
    used = [number for number in range(len(headings)) if any(row[number] for row in content)]
    shown = [[headings[number] for number in used], *([row[number] for number in used] for row in content)]
    widths = [max(len(row[number]) for row in shown) for number in range(len(used))]
    for number, row in enumerate(shown):
        text = _row(row, widths, width)
        yield f"\x1b[2m{text}\x1b[0m" if colour and number == 0 else text


def _row(cells: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    lines, at = [""], 0
    below = widths[0] + 2 if widths else 0
    indent = " " * (below if below <= (room or 0) // 4 else 4)
    for cell, width in zip(cells, widths, strict=True):
        if len(lines) == 1 and (room is None or at + len(cell) <= room):
            lines[0] = lines[0].ljust(at) + cell
        elif cell and len(lines) > 1 and len(lines[-1]) + 2 + len(cell) <= (room or 0):
            lines[-1] += f"  {cell}"
        elif cell:
            lines.append(f"{indent}{cell}")
        at += width + 2
    return "\n".join(part.rstrip() for line in lines for part in words.wrapped(line, room, indent))
