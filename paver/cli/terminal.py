"""How wide a terminal is. It loads next to nothing, since `paver --help` asks it too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

USUAL = 80
"""Columns of a terminal that does not say how many it has."""


def width(stream: TextIO) -> int | None:
    """Returns the width of the terminal that a stream goes to; None where it is none: nothing is wrapped for a file.

    Of this stream: standard output may be a file where errors go to a terminal. COLUMNS goes before.
    """
    if not stream.isatty():
        return None
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except OSError:
        return USUAL
