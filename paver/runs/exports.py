"""What tools need to reach a site: shell variables, and the roots that they trust, as files."""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from paver import own_files
from paver.driver import Door, Quoted, Root, Secret, ToolDoor
from paver.errors import PaverError
from paver.sealed.index import Index


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variable:
    """One shell variable.

    Attributes:
        tool: the program that reads it.
        name: of the variable.
        value: None where it holds a secret that was not asked for.
        secret: whether it holds one.
    """

    tool: str
    name: str
    value: str | None
    secret: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exports:
    """What was found: variables, and tools whose secrets or roots are not in the store yet."""

    variables: tuple[Variable, ...]
    missing: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Environment:
    """What a shell needs for the site's tools.

    Attributes:
        variables: shell variables by name; null where one holds a secret that was not asked for.
        missing: tools that cannot be used yet, and why, in words.
    """

    variables: Mapping[str, str | None]
    missing: Mapping[str, str]


def exports(
    doors: Iterable[Door],
    index: Index | None,
    reveal: Callable[[Secret], str] | None,
    folder: Path,
    tools: frozenset[str] = frozenset(),
) -> Exports:
    """Returns the variables of all tools, or of `tools`.

    Args:
        doors: the ways in.
        index: of the sealed store.
        reveal: opens a secret; None leaves secrets out.
        folder: where roots are written, 0600.
        tools: programs; empty means all.
    """
    variables: list[Variable] = []
    missing: dict[str, str] = {}
    for door in doors:
        if not isinstance(door, ToolDoor) or (tools and door.tool not in tools):
            continue
        lacks = sorted(name for name in _names(door) if index is None or name not in index.entries)
        if lacks:
            missing[door.tool] = f"{', '.join(lacks)} not in the sealed store yet"
            continue
        variables += _variables(door, index, reveal, folder)
    return Exports(variables=tuple(variables), missing=missing)


def _names(door: ToolDoor) -> Iterator[str]:
    for parts in door.exports.values():
        for part in parts:
            if isinstance(part, Secret):
                yield part.name
            elif isinstance(part, Quoted):
                yield part.secret.name
            elif isinstance(part, Root):
                yield from part.entries


def _variables(
    door: ToolDoor, index: Index | None, reveal: Callable[[Secret], str] | None, folder: Path
) -> Iterator[Variable]:
    for name, parts in door.exports.items():
        secret = any(isinstance(part, Secret | Quoted) for part in parts)
        if secret and reveal is None:
            yield Variable(tool=door.tool, name=name, value=None, secret=True)
            continue
        value = ""
        for part in parts:
            if isinstance(part, str):
                value += part
            elif isinstance(part, Root):
                value += str(root_file(folder / f"{door.tool}.pem", index, part))
            elif reveal is not None:
                value += _revealed(part, reveal)
        yield Variable(tool=door.tool, name=name, value=value, secret=secret)


def _revealed(part: Secret | Quoted, reveal: Callable[[Secret], str]) -> str:
    if isinstance(part, Quoted):
        return urllib.parse.quote(reveal(part.secret), safe="")
    return reveal(part)


def root_file(path: Path, index: Index | None, root: Root) -> Path:
    """Writes certificates of the sealed store's public part to `path` (0600) and returns it."""
    pems = [index.entries[name].public.get("pem") for name in root.entries] if index is not None else []
    return pem_file(path, "".join(str(pem).rstrip("\n") + "\n" for pem in pems if pem))


def pem_file(path: Path, text: str) -> Path:
    """Writes certificates to `path` (0600) and returns it.

    Raises:
        PaverError: if that is not possible there.
    """
    try:
        own_files.folder(path.parent)
        # Two shells may ask at once.
        own_files.put(path, text.encode("ascii"), 0o600, draft=str(os.getpid()))
    except OSError as error:
        raise PaverError(f"{path} can't be written", why=error.strerror or "") from error
    return path
