"""Programs of paver's own for a machine: sent as source text, so that both sides are always of one version."""

from __future__ import annotations

import functools
from pathlib import Path

_BOOT = "import sys;s=sys.stdin.buffer;exec(compile(s.read(int(s.readline())),'{name}','exec'),{{'__name__':'__main__'}})"


@functools.cache
def booting(program: Path) -> tuple[str, bytes]:
    """Returns what a Python is to run by `-c`, and what it reads first, to become the module in the file `program`.

    What comes after that on standard input is the module's own; it needs nothing but the standard library.
    """
    source = program.read_bytes()
    return _BOOT.format(name=program.stem), b"%d\n" % len(source) + source
