"""The JSON Schema of a document, from the types of its fields and from what its docstrings say of them. Pure.

Pydantic makes schemas of models; of plain dataclasses it knows neither a docstring's `Attributes:` nor a property, and it
follows the alias of any JSON without end.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from paver.report.document import keys

Schema: TypeAlias = dict[str, Any]

BASE = "https://iaas-paver.example"
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
_PLAIN: Mapping[object, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    Path: {"type": "string"},
    dt.datetime: {"type": "string", "format": "date-time"},
    type(None): {"type": "null"},
}


def schema(name: str, kind: type, *, named: bool = True) -> Schema:
    """Returns the JSON Schema (2020-12) of a document.

    Keys that it does not name are let pass: a later paver of the same format may add some.

    Args:
        name: of its format: `paver.status/1`.
        kind: its dataclass.
        named: whether the document bears the format's name itself, under `schema`.
    """
    whole = _object(kind)
    if named:
        bearing = {"const": name, "description": "The document's format."}
        whole["properties"] = {"schema": bearing} | whole["properties"]
        whole["required"] = ["schema", *whole["required"]]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}/{name.removeprefix('paver.')}",
        "title": name,
    }
    return head | whole


def about(kind: type) -> tuple[str, Mapping[str, str]]:
    """Returns what a class's docstring says of it, and of its attributes, those of the classes that it extends included."""
    first, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:\n")
    described: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        attributes = inspect.cleandoc(one.__doc__ or "").partition("\nAttributes:\n")[2]
        described |= {name: _line(text) for name, text in _ATTRIBUTE.findall(attributes)}
    for name in getattr(kind, "ALSO", ()):
        described[name] = _line((getattr(kind, name).__doc__ or "").partition("\n\n")[0])
    return _line(first), {name: f"{text[:1].upper()}{text[1:]}" for name, text in described.items()}


def _object(kind: type) -> Schema:
    said, described = about(kind)
    hints = typing.get_type_hints(kind)
    properties = {}
    for name in keys(kind):
        told = _of(hints[name] if name in hints else _returned(kind, name))
        properties[name] = {"description": described[name]} | told if name in described else told
    return {"type": "object", "description": said, "properties": properties, "required": list(properties)}


def _returned(kind: type, name: str) -> Any:
    found: Any = inspect.getattr_static(kind, name)
    return typing.get_type_hints(getattr(found, "fget", None) or found.func)["return"]


def _of(hint: Any) -> Schema:
    """Returns the schema of values of a type."""
    hint = getattr(hint, "__supertype__", hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in {typing.Union, types.UnionType}:
        return _choice(arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return {
            "type": "array",
            "prefixItems": [_of(one) for one in arguments],
            "items": False,
            "minItems": len(arguments),
        }
    if origin in {tuple, list}:
        return {"type": "array", "items": _of(arguments[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return {"type": "string", "enum": [one.value for one in hint]}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint)
    if hint in {Any, object}:
        return {}
    msg = f"{hint} has no place in a document"
    raise TypeError(msg)


def _choice(arguments: Iterable[Any]) -> Schema:
    origins = {typing.get_origin(one) for one in arguments}
    if {list, dict} <= origins:
        return {}  # Any JSON, whose alias names itself.
    return {"anyOf": [_of(one) for one in arguments]}


def _line(text: str) -> str:
    return " ".join(text.split())
