"""How things are called where a person reads: kinds, amounts, times."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping

from paver.engine.values import kind_of

_PREFIXES = {
    "bosh": "BOSH ",
    "concourse": "Concourse ",
    "credhub": "CredHub ",
    "proof": "proof of ",
    "s3": "S3 ",
}
_WHOLE = {"bucc.artefact": "unpacked artefact", "contract.document": "contract"}
_COMMAND = re.compile(r"`[^`]+`")
_HELD = "\0"
"""Stands for a blank at which no line is broken; no text has one that went through `plain`."""
_UNITS = ("B", "KB", "MB", "GB", "TB")


def kind(name: str) -> str:
    """Returns a kind in words: `vsphere.port-group` is a port group, `credhub.entry` a CredHub entry."""
    if name in _WHOLE:
        return _WHOLE[name]
    family, dot, rest = name.partition(".")
    if not dot:
        return name.replace("-", " ")
    return _PREFIXES.get(family, "") + rest.replace("-", " ")


def thing(resource: str, endpoint: str = "") -> str:
    """Returns a resource in words, without the place that `place` tells: `port group bosh`."""
    key = resource.partition(":")[2]
    where = place(resource, endpoint)
    key = "" if key == where else key.removeprefix(f"{where}/")
    return f"{kind(kind_of(resource))} {key}".rstrip()


def place(resource: str, endpoint: str) -> str:
    """Returns where a resource is by the user's name: a host, or whatever its own key begins with; else nothing."""
    family, _, name = endpoint.partition(":")
    key = resource.partition(":")[2]
    return name if name and (family == "host" or key == name or key.startswith(f"{name}/")) else ""


def plural(number: int, word: str) -> str:
    """Returns a number of things: `1 host`, `3 hosts`, `2 entries`."""
    if number == 1:
        return f"1 {word}"
    if word.endswith("y") and not word.endswith(("ay", "ey", "oy")):
        return f"{number} {word[:-1]}ies"
    return f"{number} {word}{'es' if word.endswith(('s', 'ch', 'x')) else 's'}"


def wrapped(text: str, width: int | None, indent: str) -> Iterator[str]:
    """Yields a text in lines that fit, broken at blanks only; as it is, where nothing has to fit (None)."""
    if width is None or len(text) <= width:
        yield text
        return
    yield from textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def around_commands(text: str, width: int | None, indent: str) -> Iterator[str]:
    """Yields a text in lines that fit, as `wrapped`; a command in it, between backticks, stays whole, however long it is.

    It is copied: a terminal puts the two halves of a line that it breaks itself together again, and no others.
    """
    held = _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), text)
    for line in wrapped(held, width, indent):
        yield line.replace(_HELD, " ")


def span(seconds: float) -> str:
    """Returns a time that something takes, as short as it is still true."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest:02d} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def expected(seconds: float) -> str:
    """Returns a time that something is expected to take: never more exact than it is known."""
    if seconds < 2:
        return ""
    return f"≈ {seconds:.0f} s" if seconds < 120 else f"≈ {round(seconds / 60)} min"


def size(number: float) -> str:
    """Returns an amount of bytes: `612 MB`."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number /= 1000
        unit += 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_UNITS[unit]}"


def part(done: int, total: int, unit: str) -> str:
    """Returns how much of something is done: `412/612 MB`, `61 %`, `3/8`."""
    if unit == "B":
        shown = size(total) if total else size(done)
        if not total:
            return shown
        name = shown.partition(" ")[2]
        scaled = done / 1000 ** _UNITS.index(name)
        digits = 0 if total / 1000 ** _UNITS.index(name) >= 100 else 1
        return f"{scaled:.{digits}f}/{shown}"
    if unit == "%":
        return f"{done} %"
    return f"{done}/{total}" if total else ""


def digests(opaque: Mapping[str, object]) -> dict[str, str]:
    """Returns what a plan says of the program of a tool and of all that the tool is told: digests, as far as known."""
    later = "known once what it comes from stands"
    found = {}
    for name, unset in (("program", "not pinned: it is what stands on the machine"), ("inputs", later)):
        if name in opaque:
            value = opaque[name]
            found[name] = f"sha256 {value}" if isinstance(value, str) else unset if value is None else later
    return found
