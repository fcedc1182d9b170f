"""What a Go program says that it was built from: the modules that the linker wrote into it.

The layout is that of Go's `debug/buildinfo`: a magic of 14 bytes on a 16-byte boundary, flags, and since Go 1.18 two
strings with their lengths: the compiler's version, and the modules, a line each, between two marks of 16 bytes.
"""

from __future__ import annotations

import dataclasses
import mmap
from pathlib import Path

from paver.errors import BadInput

_MAGIC = b"\xff Go buildinf:"
_HEADER, _MARK = 32, 16
_INLINE = 0x2
_LONGEST = 2**22


@dataclasses.dataclass(frozen=True, order=True)
class Module:
    """A module: its path, version, and its sum as go.sum has it (empty for the program's own)."""

    path: str
    version: str
    sum: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """How a program was built: by which Go, the package's path, and out of which modules."""

    go: str
    package: str
    modules: tuple[Module, ...]

    @property
    def version(self) -> str:
        """Returns the version of the module that the package is of; empty where it was built in its own tree."""
        of = [each for each in self.modules if f"{self.package}/".startswith(f"{each.path}/")]
        version = max(of, key=lambda each: len(each.path)).version if of else ""
        return "" if version == "(devel)" else version


def read(file: Path) -> Program:
    """Returns how the program in `file` was built.

    Raises:
        BadInput: it is no Go program, or one of before Go 1.18.
    """
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_MAGIC)
        while at >= 0 and at % 16:
            at = data.find(_MAGIC, at + 1)
        if at < 0 or len(data) < at + _HEADER or not data[at + 15] & _INLINE:
            raise BadInput(
                f"{file.name} does not say how it was built",
                why="it is no program that Go 1.18 or newer made",
            )
        go, at = _string(data, at + _HEADER, file.name)
        text, _ = _string(data, at, file.name)
    return _parsed(go, text[_MARK:-_MARK], file.name)


def _parsed(go: bytes, text: bytes, name: str) -> Program:
    package, modules = "", []
    for line in text.decode(errors="replace").splitlines():
        kind, _, rest = line.partition("\t")
        fields = [*rest.split("\t"), "", ""]
        if kind == "path":
            package = fields[0]
        elif kind in {"mod", "dep"}:
            modules.append(Module(fields[0], fields[1], fields[2]))
        elif kind == "=>" and modules:
            # What was built is what stands in place of it.
            modules[-1] = Module(fields[0], fields[1], fields[2])
    if not package or not modules:
        raise BadInput(f"{name} does not name its modules")
    return Program(go=go.decode(errors="replace"), package=package, modules=tuple(sorted(modules)))


def _string(data: mmap.mmap, at: int, name: str) -> tuple[bytes, int]:
    size = shift = 0
    while True:
        byte = data[at : at + 1]
        if not byte or shift > 28:
            raise BadInput(f"{name} says how it was built in a way that cannot be read")
        at += 1
        size |= (byte[0] & 0x7F) << shift
        shift += 7
        if not byte[0] & 0x80:
            break
    if size > _LONGEST or at + size > len(data):
        raise BadInput(f"{name} says how it was built in a way that cannot be read")
    return data[at : at + size], at + size
