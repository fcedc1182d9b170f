"""Who has a lock and who waits for one, as the kernel tells it: asked so, nobody is in anybody's way."""

from __future__ import annotations

from pathlib import Path


def waited_for(path: Path) -> bool:
    """Says whether somebody waits for a lock on `path`."""
    return any("->" in line for line in _lines(path))


def held(path: Path) -> bool:
    """Says whether somebody has a lock on `path` for itself alone."""
    return any("->" not in line and " WRITE " in line for line in _lines(path))


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return [line for line in lines if f":{path.stat().st_ino} " in line]
