"""A YAML document as a tree that remembers where each part stands. Data only; `parse` builds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]
Scalar: TypeAlias = str | int | bool | None


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of the file: first and last position, lines and columns counted from 0, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclasses.dataclass(frozen=True)
class ScalarNode:
    """One value."""

    value: Scalar
    span: Span


@dataclasses.dataclass(frozen=True)
class ListNode:
    """A YAML sequence."""

    items: tuple[Node, ...]
    span: Span


@dataclasses.dataclass(frozen=True)
class MapNode:
    """A YAML mapping; `keys` holds the spans of its keys."""

    entries: Mapping[str, Node]
    keys: Mapping[str, Span]
    span: Span


Node: TypeAlias = ScalarNode | ListNode | MapNode


def plain(node: Node) -> object:
    """Returns the node as dicts, lists and scalars."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def dotted(path: Sequence[Key]) -> str:
    """Returns a path as messages show it: `iaas.hosts.esx-01.port_groups`, `jumpbox.ssh_keys[0]`."""
    shown = ""
    for key in path:
        if isinstance(key, int):
            shown += f"[{key}]"
        else:
            text = key if key and not set(key) & set(".[]: ") and key.isprintable() else repr(key)
            shown += f".{text}" if shown else text
    return shown


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Yields every node with its path, parents first."""
    yield path, node
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))
    elif isinstance(node, MapNode):
        for key, value in node.entries.items():
            yield from walk(value, (*path, key))


def find(node: Node, path: Sequence[Key]) -> tuple[Node, Span | None, int]:
    """Returns the deepest node on `path`, the span of its key, and how many steps of the path exist."""
    key_span: Span | None = None
    for depth, key in enumerate(path):
        if isinstance(node, MapNode) and isinstance(key, str) and key in node.entries:
            key_span = node.keys[key]
            node = node.entries[key]
        elif isinstance(node, ListNode) and isinstance(key, int) and 0 <= key < len(node.items):
            node, key_span = node.items[key], None
        else:
            return node, key_span, depth
    return node, key_span, len(path)
