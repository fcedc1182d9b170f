"""How a change of one field is told: a value by its two sides, a document by the places in it that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from paver.engine.diff import Change
from paver.signing import canonical
from paver.signing.canonical import Json

FEW = 4
"""So many places of a document are shown, unless all are asked for."""
WIDTH = 60
_ABSENT = object()


def lines(change: Change, *, every: bool = False) -> Iterator[str]:
    """Yields a change as lines, `field: before → after`."""
    places = list(_places(change.field, change.before, change.after))
    for path, before, after in places if every else places[:FEW]:
        yield f"{path}: {_sides(before, after)}"
    if not every and len(places) > FEW:
        yield f"… and {len(places) - FEW} more places of {change.field}: `paver plan --all` shows them"


def _places(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and not (_later(after) or _number(before)):
        for key in sorted({*before, *after}):
            yield from _places(f"{path}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list) and _alike(before, after):
        for number, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _places(f"{path}[{number}]", left, right)
    else:
        yield path, before, after


def _alike(before: list[Json], after: list[Json]) -> bool:
    """Tells whether two lists are the same things changed, not other things: as many, and documents."""
    return len(before) == len(after) and all(isinstance(one, dict | list) for one in (*before, *after))


def _number(value: object) -> TypeGuard[dict[str, str]]:
    """Tells whether it is a number with a fraction, as plans have it."""
    return isinstance(value, dict) and set(value) == {"number"}


def _later(value: object) -> bool:
    return isinstance(value, dict) and set(value) in ({"unknown"}, {"output"})


def _sides(before: object, after: object) -> str:
    left, right = _text(before), _text(after)
    # Of two long texts that begin alike, what differs is further on.
    pairs = enumerate(zip(left, right, strict=False))
    alike = next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))
    if alike > WIDTH // 2 and max(len(left), len(right)) > WIDTH:
        left, right = (f"…{text[alike - WIDTH // 4 :]}" for text in (left, right))
    return f"{_cut(left)} → {_cut(right)}"


def _text(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    if _later(value):
        return "known later"
    if _number(value):
        value = value["number"]
    text = value if isinstance(value, str) else canonical.dumps(value).decode()
    return " ".join(text.split())


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
