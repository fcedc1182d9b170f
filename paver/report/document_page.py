"""What a document has in it, as Markdown, from its schema. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from paver.report.document_schema import Schema

_WORDS = {
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "object": "object",
    "string": "text",
}


def table(schema: Schema) -> Iterator[str]:
    """Yields a table of all keys of a document; `[]` stands for each thing of a list, `.<name>` for each of a map."""
    yield "| key | type | |"
    yield "| --- | --- | --- |"
    yield from _rows(schema, "")


def _rows(node: Schema, path: str) -> Iterator[str]:
    for key, value in node.get("properties", {}).items():
        here = f"{path}.{key}".removeprefix(".")
        said = value.get("description", "").replace("|", "\\|")
        yield f"| `{here}` | {_words(value)} | {said} |"
        yield from _below(value, here)


def _below(node: Schema, path: str) -> Iterator[str]:
    """Yields the rows of objects that lie in a value."""
    for choice in node.get("anyOf", ()):
        yield from _below(choice, path)
    yield from _rows(node, path)
    if isinstance(node.get("items"), dict):
        yield from _below(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from _below(node["additionalProperties"], f"{path}.<name>")


def _words(node: Schema) -> str:
    """Returns what a value is called: `list: text`, `whole number or null`."""
    if "anyOf" in node:
        return " or ".join(map(_words, node["anyOf"]))
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return "one of " + ", ".join(f"`{word}`" for word in node["enum"])
    if "prefixItems" in node:
        kinds = dict.fromkeys(map(_words, node["prefixItems"]))
        return f"list of {len(node['prefixItems'])}: {' or '.join(kinds)}"
    if "items" in node:
        return f"list: {_words(node['items'])}"
    if isinstance(node.get("additionalProperties"), dict):
        return f"map: {_words(node['additionalProperties'])}"
    types = node.get("type", "")
    return " or ".join(_WORDS.get(one, "any JSON") for one in ([types] if isinstance(types, str) else types))
