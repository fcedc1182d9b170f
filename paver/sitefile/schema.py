"""The site file's JSON Schema, for editors; what `reference` and `init` are made from.

It says what a document may look like. What needs two sections is left to `load`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import DictSchema

from paver.sitefile.document import Document
from paver.sitefile.load import SettingsProvider
from paver.sitefile.values import duration_text

Schema: TypeAlias = dict[str, Any]

ID = "https://iaas-paver.example/site-file/1"


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with defaults as a site file writes them."""

    def encode_default(self, dft: Any) -> Any:
        """Returns a default as text, number, list or map."""
        return _written(dft)

    def sort(self, value: Schema, parent_key: str | None = None) -> Schema:  # noqa: ARG002  pydantic's signature
        """Returns the schema in the order of the models, which is that of a site file."""
        return value

    def dict_schema(self, schema: DictSchema) -> Schema:
        """Returns a map's schema in one form, whether its keys have a pattern or not."""
        found = super().dict_schema(schema)
        for pattern, value in found.pop("patternProperties", {}).items():
            found |= {"additionalProperties": value, "propertyNames": {"pattern": pattern}}
        return found


def schema(drivers: Mapping[str, SettingsProvider]) -> Schema:
    """Returns the JSON Schema (2020-12) of a site file for the installed drivers."""
    whole = _of(Document)
    definitions: Schema = whole.pop("$defs", {})
    choices = []
    for name in sorted(drivers):
        iaas = _of(drivers[name].settings)
        inner: Schema = iaas.pop("$defs", {})
        renamed = {key: f"{name}.{key}" for key in inner}
        definitions |= {renamed[key]: _renamed(value, renamed) for key, value in inner.items()}
        iaas = _renamed(iaas, renamed)
        driver = {"const": name, "description": "The driver of the IaaS."}
        iaas["properties"] = {"driver": driver} | iaas["properties"]
        iaas["required"] = ["driver", *iaas.get("required", [])]
        definitions[name] = iaas
        choices.append({"$ref": f"#/$defs/{name}"})
    described = whole["properties"]["iaas"]["description"]
    whole["properties"]["iaas"] = {"description": described, "oneOf": choices}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, "title": "paver site file"}
    return head | whole | {"$defs": dict(sorted(definitions.items()))}


def resolved(node: Schema, root: Schema) -> Schema:
    """Returns a node with its reference followed, and without `null` as a choice."""
    while True:
        choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
        if "$ref" in node:
            node = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        elif len(choices) == 1:
            node = choices[0]
        else:
            return node


def properties(node: Schema) -> Schema:
    """Returns the keys of a section's schema, or nothing for other nodes."""
    found: Schema = node.get("properties", {})
    return found


def description(node: Schema, root: Schema) -> str:
    """Returns what a key is for; a section whose key says nothing of its own speaks for itself."""
    found = node.get("description") or resolved(node, root).get("description", "")
    return " ".join(found.split())


def entry(node: Schema, root: Schema) -> Schema | None:
    """Returns the schema of a map's entries, or None if the node is no map by name; `like` forms left out."""
    inner = node.get("additionalProperties")
    if not isinstance(inner, dict):
        return None
    return resolved(inner["anyOf"][0], root) if "anyOf" in inner else resolved(inner, root)


def type_name(node: Schema, root: Schema) -> str:
    """Returns what a node is called in words: `list of IPv4 addresses`, `whole number, 1 to 64`."""
    node = resolved(node, root)
    if "x-paver-type" in node:
        return str(node["x-paver-type"])
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return "one of " + ", ".join(f"`{word}`" for word in node["enum"])
    if "oneOf" in node or "anyOf" in node:
        choices = node.get("oneOf") or node["anyOf"]
        return " or ".join(type_name(choice, root) for choice in choices)
    if node.get("type") == "array":
        return f"list: {type_name(node['items'], root)}"
    if node.get("type") == "object":
        inner = entry(node, root)
        return "section" if inner is None else f"map by name: {type_name(inner, root)}"
    if node.get("type") == "integer" and "minimum" in node:
        return f"whole number, {node['minimum']} to {node['maximum']}"
    return {"integer": "whole number", "boolean": "true or false"}.get(node.get("type", ""), "text")


def _of(model: type[BaseModel]) -> Schema:
    return {
        key: value
        for key, value in _untitled(model.model_json_schema(schema_generator=_Generator)).items()
        if key != "title"
    }


def _written(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, dt.timedelta):
        return duration_text(value)
    if isinstance(value, tuple | list):
        return [_written(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else str(value)


def _untitled(node: Schema) -> Schema:
    """Drops the titles that pydantic makes of field names, and says `minProperties` where it says `minLength`."""
    if node.get("type") == "object" and "minLength" in node:
        node = {"minProperties" if key == "minLength" else key: value for key, value in node.items()}
    kept = {key: value for key, value in node.items() if key != "title" or not isinstance(value, str)}
    return {key: _deep(value) for key, value in kept.items()}


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return _untitled(value)
    return [_deep(item) for item in value] if isinstance(value, list) else value


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """Returns a copy whose references lead to the new names of definitions."""
    if isinstance(node, dict):
        return {
            key: _reference(value, names) if key == "$ref" else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(item, names) for item in node] if isinstance(node, list) else node


def _reference(value: str, names: Mapping[str, str]) -> str:
    name = value.removeprefix("#/$defs/")
    return f"#/$defs/{names.get(name, name)}"


def sections(node: Schema, root: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yields every section below `node` with its path, `<name>` standing for the keys of maps; parents first."""
    node = resolved(node, root)
    inner = entry(node, root)
    choices = node.get("oneOf") or (node.get("anyOf") if not properties(node) else None)
    if choices:
        for choice in choices:
            yield from sections(choice, root, path)
    elif inner is not None:
        yield from sections(inner, root, f"{path}.<name>")
    elif node.get("type") == "array":
        yield from sections(node["items"], root, f"{path}[]")
    elif properties(node):
        yield path, node
        for key, value in properties(node).items():
            yield from sections(value, root, f"{path}.{key}".removeprefix("."))
