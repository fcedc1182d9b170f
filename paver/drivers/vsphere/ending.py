"""When the end of what holds for a while is near: an evaluation's, a password's."""

from __future__ import annotations

from paver.driver import Check

_SOON = 14
"""Days before the end on which its proof begins to fail: time to do something about it."""


def near(left: int, life: int = 0) -> bool:
    """Tells whether `left` days are few, of the `life` that it has as a whole where that may be short itself."""
    return left <= min(_SOON, life // 4 if life else _SOON)


def check(what: str, left: int | None, seen: str, do: str, life: int = 0) -> Check:
    """Returns the proof that `what` is far from its end, which says what to do once it is not; without `left` it has none."""
    ok = left is None or not near(left, life)
    return Check(f"{what} is far from its end", ok=ok, seen=seen if ok else f"{seen}; {do}")
