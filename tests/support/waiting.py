"""Waits for what comes about by itself, in another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(ask: Callable[[], Any], what: str = "what was waited for", seconds: float = 60.0) -> Any:
    """Waits until `ask` returns something true, and returns it.

    The limit, in seconds, is for what never comes: a machine that does other things too may be slow by tens of them.
    """
    end = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < end, f"still not after {seconds} s: {what}"
        time.sleep(0.01)
    return found
