"""What a director holds a manifest's and a config's properties to: there, and of their kind, else in its words.

Source: bosh 283.1.6, director/validation_helper.rb, dns/canonicalizer.rb. An object is shown as Ruby shows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from paver.lab.standins.director_tasks import TaskError

REQUIRED = object()
_KINDS = {str: "String", list: "Array", dict: "Hash", int: "Integer", bool: "boolean"}


def prop(document: Any, name: str, kind: type | None, *, default: Any = REQUIRED) -> Any:
    """Returns a property of a YAML mapping, or `default` where it is not there.

    A number passes for a text. What is there and null is of no kind, not left out.

    Raises:
        TaskError: if the property is missing and has no default, or is of another kind.
    """
    if document is not None and not isinstance(document, Mapping):
        raise TaskError(40000, f"Object ({shown(document)}) did not match the required type 'Hash'")
    if document is None or name not in document:
        if default is REQUIRED:
            raise TaskError(
                40001, f"Required property '{name}' was not specified in object ({shown(document)})"
            )
        return default
    value = document[name]
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return shown(value)
    if kind is not None and not _is(value, kind):
        raise TaskError(
            40000,
            f"Property '{name}' value ({shown(value)}) did not match the required type '{_KINDS[kind]}'",
        )
    return value


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def shown(value: Any) -> str:
    """Returns a value as Ruby's `inspect` does, from 3.4 on."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{shown(key)} => {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return "nil" if value is None else str(value).lower()
    return str(value)


def canonical(name: str) -> str:
    """Returns a name as it stands in the DNS; two that are the same there may not stand side by side."""
    found = re.sub(r"[^a-z0-9-]", "", name.lower().replace("_", "-"))
    for place, wrong in (("start", found.startswith("-")), ("end", found.endswith("-"))):
        if wrong:
            raise TaskError(420001, f"Invalid DNS canonical name '{found}', cannot {place} with a hyphen")
    return found
