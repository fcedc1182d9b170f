"""How a program of paver's own comes to a machine: as source text, so that both sides are always of one version."""

from __future__ import annotations

import functools
from pathlib import Path

_BOOT = "import sys;s=sys.stdin.buffer;exec(compile(s.read(int(s.readline())),'{name}','exec'),{{'__name__':'__main__'}})"

NOT_ITS_ANSWER = "something on the machine writes between what paver's own program says there"


def as_source(program: Path) -> tuple[tuple[str, ...], bytes]:
    """Returns a Python's first arguments, and what it reads first, to become the module in the file `program`.

    What comes after that on standard input is the module's own; it needs nothing but the standard library.
    """
    return ("-I", "-c", _BOOT.format(name=program.stem)), _framed(program)


@functools.cache
def _framed(program: Path) -> bytes:
    source = program.read_bytes()
    return b"%d\n" % len(source) + source


def instead(python: str) -> str:
    """Returns what to do where something else answers than the program that was sent to `python`."""
    return f"look what `{python}` runs there by itself (sitecustomize, a wrapper)"
