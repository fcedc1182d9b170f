"""Programs that others wrote and tests judge by: this machine's, or unpacked into the lab's cache where they are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

from paver.lab import cache, debian, system


def program(name: str, package: str) -> Path:
    """Returns where the program `name` of Debian's `package` is."""
    found = shutil.which(name, path=system.search_path())
    if found is None:
        debian.unpack(debian.resolve([package], cache.root()), [name], cache.root())
        found = shutil.which(name, path=system.search_path())
    assert found is not None, f"{name} is not in {package}"
    return Path(found)
