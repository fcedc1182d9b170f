"""What a command printed as JSON, held to the schema that `paver schema --of` prints of it."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema

from paver.cli import documents


@functools.cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Returns what holds a document to its schema, closed: a key that the schema lacks is an error here."""
    return jsonschema.Draft202012Validator(closed(documents.schema(name)))


def closed(node: Any) -> Any:
    """Returns a schema whose objects have the keys that it names, and no other."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    shut = {"additionalProperties": False} if isinstance(node.get("properties"), dict) else {}
    return {key: closed(value) for key, value in node.items()} | shut


def held(document: Any) -> Any:
    """Returns a document that is as its format's schema has it; what bears no format of a verb's output is returned as it is."""
    schema = document.get("schema", "") if isinstance(document, dict) else ""
    name = schema.removeprefix("paver.").removesuffix("/1")
    if name in documents.DOCUMENTS:
        validator(name).validate(document)
    return document
