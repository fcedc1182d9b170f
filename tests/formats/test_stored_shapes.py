"""What programs rely on in the documents that paver prints: no key of `printed-1` goes away, or becomes something else.

A shape is stored when its document is new, and has lines added where a key is: none of its lines is ever changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paver.cli import documents

SHAPES = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "printed-1").iterdir()}


def shape(node: dict[str, Any], path: str = "$") -> Iterator[tuple[str, list[str]]]:
    """Yields what stands at each place of a document: types, or the words that may stand there."""
    choices = node.get("anyOf", [node])
    yield path, sorted(word for choice in choices for word in words(choice))
    for choice in choices:
        for key, value in choice.get("properties", {}).items():
            yield from shape(value, f"{path}.{key}")
        for name in ("items", "additionalProperties"):
            if isinstance(choice.get(name), dict):
                yield from shape(choice[name], f"{path}.*")


def words(node: dict[str, Any]) -> list[str]:
    found: list[str] = node.get("enum") or [node.get("const") or node.get("type", "any JSON")]
    return found


def test_every_document_has_a_stored_shape() -> None:
    assert set(SHAPES) == set(documents.DOCUMENTS)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_document_keeps_every_key_with_its_type(name: str) -> None:
    now = dict(shape(documents.schema(name)))
    stored: dict[str, list[str]] = SHAPES[name]
    assert sorted(set(stored) - set(now)) == [], "a key is gone: that is another format"
    for path, was in stored.items():
        types = {"array", "boolean", "integer", "null", "object", "string", "any JSON"}
        if set(was) & types:
            assert now[path] == was, path
        else:
            assert set(was) <= set(now[path]), path
    assert sorted(set(now) - set(stored)) == [], "a new key: add its line to the stored shape"


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_every_key_of_a_document_is_always_there(name: str) -> None:
    def optional(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from set(node["properties"]) - set(node["required"]) if "required" in node else ()
            for value in node.values():
                yield from optional(value)
        for value in node if isinstance(node, list) else ():
            yield from optional(value)

    assert list(optional(documents.schema(name))) == []
