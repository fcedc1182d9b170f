"""Who waits for a lock, as the kernel tells it."""

from __future__ import annotations

from pathlib import Path


def waited_for(path: Path) -> bool:
    """Says whether somebody waits for a lock on `path`."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any("->" in line and f":{path.stat().st_ino} " in line for line in lines)
