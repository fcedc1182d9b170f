"""Loads libraries without what only their command lines need: each such part takes as long as the rest of the library.

paramiko brings invoke, which it uses for `Match exec` in a user's own SSH configuration, and paver reads none; httpx
brings click and rich for a command. Both are written to do without.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SPARED: Mapping[str, str] = MappingProxyType({"paramiko": "invoke", "httpx": "httpx._main"})
"""What is left out, by library."""

_turn = threading.Lock()


def load(library: str) -> None:
    """Imports `library` without what it is spared; does nothing if that was done.

    Raises:
        KeyError: if nothing is spared of it: import it as ever.
    """
    spared = SPARED[library]
    with _turn:
        modules: dict[str, Any] = sys.modules
        if library in modules or spared in modules:
            return
        # None says to Python that there is no such module.
        modules[spared] = None
        try:
            importlib.import_module(library)
        finally:
            del modules[spared]
