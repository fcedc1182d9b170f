"""`like`: an entry of a map takes over another entry's values, on the tree, so that every value keeps its place.

Maps are merged key by key; anything else that the entry gives stands instead of what the other one has.
"""

from __future__ import annotations

import dataclasses

from pydantic import BaseModel

from paver.errors import nearest
from paver.sitefile import tree
from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.section import Alike
from paver.sitefile.source import Source

LIKE = "like"


def expand(
    source: Source, path: tree.Path, model: type[BaseModel]
) -> tuple[Source, list[Diagnostic], list[str]]:
    """Returns the source with every `like` below `path` resolved, what was wrong with some, and the entries that lack values by it.

    Only fields of `model` (the one of the map at `path`) that are marked as `Alike` are looked at.
    """
    found: list[Diagnostic] = []
    lacking: list[str] = []
    root = source.root
    if root is None:
        return source, found, lacking
    for name, field in model.model_fields.items():
        if any(isinstance(mark, Alike) for mark in field.metadata):
            at = (*path, name)
            node, _, depth = tree.find(root, at)
            if depth == len(at) and isinstance(node, tree.MapNode):
                entries = _Entries(source, at, node)
                root = _replaced(root, at, entries.resolved())
                found += entries.found
                lacking += [tree.dotted((*at, entry)) for entry in entries.lacking]
    return dataclasses.replace(source, root=root), found, lacking


class _Entries:
    def __init__(self, source: Source, path: tree.Path, node: tree.MapNode) -> None:
        self.found: list[Diagnostic] = []
        self.lacking: set[str] = set()
        self._source = source
        self._path = path
        self._node = node
        self._done: dict[str, tree.Node] = {}

    def resolved(self) -> tree.MapNode:
        entries = {name: self._entry(name, ()) for name in self._node.entries}
        return dataclasses.replace(self._node, entries=entries)

    def _entry(self, name: str, above: tuple[str, ...]) -> tree.Node:
        if name in self._done:
            return self._done[name]
        node = self._node.entries[name]
        if isinstance(node, tree.MapNode) and LIKE in node.entries:
            base = self._base(name, node, (*above, name))
            other = node.entries[LIKE]
            if base is None or (isinstance(other, tree.ScalarNode) and other.value in self.lacking):
                self.lacking.add(name)
            node = _without_like(node)
            if isinstance(base, tree.MapNode):
                node = _merged(base, node)
        self._done[name] = node
        return node

    def _base(self, name: str, node: tree.MapNode, chain: tuple[str, ...]) -> tree.Node | None:
        like = node.entries[LIKE]
        other = like.value if isinstance(like, tree.ScalarNode) else None
        path = (*self._path, name, LIKE)
        if not isinstance(other, str) or other not in self._node.entries:
            others = [entry for entry in self._node.entries if entry != name]
            near = nearest(str(other), others)
            advice = f"There are: {', '.join(others)}." if others else "There is no other one."
            if near:
                advice = f"Did you mean {near}?"
            text = other if isinstance(other, str) and other.isprintable() else "this"
            self.found.append(self._source.at(path, f"{text} is not in {tree.dotted(self._path)}", advice))
            return None
        if other in chain:
            circle = " → ".join((*chain[chain.index(other) :], other))
            self.found.append(
                self._source.at(path, f"in a circle: {circle}", "One of them must stand alone.")
            )
            return None
        return self._entry(other, chain)


def _without_like(node: tree.MapNode) -> tree.MapNode:
    return dataclasses.replace(node, entries={k: v for k, v in node.entries.items() if k != LIKE})


def _merged(base: tree.MapNode, over: tree.MapNode) -> tree.MapNode:
    entries, keys = dict(base.entries), dict(base.keys) | dict(over.keys)
    for key, value in over.entries.items():
        below = entries.get(key)
        both = isinstance(below, tree.MapNode) and isinstance(value, tree.MapNode)
        entries[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return tree.MapNode(entries, keys, over.span)


def _replaced(root: tree.Node, path: tree.Path, node: tree.Node) -> tree.Node:
    if not path:
        return node
    assert isinstance(root, tree.MapNode)  # noqa: S101  `find` has just walked this path
    key = str(path[0])
    return dataclasses.replace(
        root, entries=dict(root.entries) | {key: _replaced(root.entries[key], path[1:], node)}
    )
