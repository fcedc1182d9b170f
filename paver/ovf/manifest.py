"""Reading an OVF manifest (`.mf`): which digest each file must have."""

from __future__ import annotations

import dataclasses
import re

from paver.errors import BadInput
from paver.ovf.names import member_name

LONGEST = 2**20
_LINE = re.compile(r"(SHA1|SHA256|SHA512) ?\((.+)\) ?= ?([0-9A-Fa-f]+)[ \t]*")
_DIGITS = {"sha1": 40, "sha256": 64, "sha512": 128}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """The digest that a file must have: `algorithm` as hashlib calls it, `digest` in lower-case hex."""

    name: str
    algorithm: str
    digest: str


def parse(data: bytes, *, where: str) -> dict[str, Entry]:
    """Reads a manifest into entries by file name.

    Args:
        data: the manifest's bytes.
        where: how errors call it.

    Raises:
        BadInput: a line isn't `SHA256(name)= hex` (or SHA1, SHA512), or a file is named twice.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{where} is not text", do="fetch or export it again") from error
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match or len(match[3]) != _DIGITS[match[1].lower()]:
            raise BadInput(
                f"{where}: line {number} is not a digest",
                seen=repr(line[:120]),
                why="a line reads 'SHA256(name)= hex', or SHA1 or SHA512",
                do="fetch or export it again",
            )
        name = member_name(match[2], where=where)
        if name in entries:
            raise BadInput(
                f"{where}: line {number} names {name} a second time", do="fetch or export it again"
            )
        entries[name] = Entry(name=name, algorithm=match[1].lower(), digest=match[3].lower())
    if not entries:
        raise BadInput(f"{where} is empty", do="fetch or export it again")
    return entries
