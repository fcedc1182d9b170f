"""What became of a process."""

from __future__ import annotations

from pathlib import Path


def gone(pid: int) -> bool:
    """Returns whether a process has ended, also where nobody has taken note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
