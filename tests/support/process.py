"""What became of processes, and of whoever listens to what they tell."""

from __future__ import annotations

from pathlib import Path


def gone(pid: int) -> bool:
    """Returns whether a process has ended, also where nobody has taken note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Unheard:
    """Takes what a command prints, its own processes' numbers, and gives up after the first line, by `KeyError`.

    Attributes:
        told: what it printed until then.
    """

    def __init__(self) -> None:
        self.told = b""

    def __call__(self, piece: bytes) -> None:
        self.told += piece
        if self.told.endswith(b"\n"):
            self.give_up()

    def give_up(self) -> None:
        """Ends the listening."""
        raise KeyError

    @property
    def pids(self) -> list[int]:
        """The processes that it was told."""
        return [int(pid) for pid in self.told.split()]
