"""`paver` as a program of its own, over the memory driver alone, for scripts that call it by its name.

What `tests.support.command` patches in its own process, it patches in this one.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import MappingProxyType

from paver.cli import entry
from paver.driver import Paved
from paver.foundation import paving
from paver.runs import compose
from paver.sitefile.site import Site
from paver.trust import authority
from tests.support.memory import memory

ROOT = Path(__file__).parents[2]


def put(folder: Path) -> Path:
    """Puts such a `paver` into a folder, to be found in PATH, and returns the folder."""
    folder.mkdir()
    program = folder / "paver"
    root, python = shlex.quote(str(ROOT)), shlex.quote(sys.executable)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -P -m {__name__} "$@"\n')
    program.chmod(0o755)
    return folder


def _nothing(site: Site, under: Paved) -> Paved:
    del site, under
    return Paved()


if __name__ == "__main__":
    drivers = MappingProxyType({"memory": memory.DRIVER})
    compose.drivers = lambda: drivers
    authority.RSA_BITS = {"rsa": 1024}
    paving.pave = _nothing
    sys.exit(entry.main(sys.argv[1:]))
