"""What `--json` prints, as plain data: frozen dataclasses become objects of JSON, key by field. Pure.

A property that belongs into the document too is named in the class's `ALSO`. The schema of a document
(`paver.report.document_schema`) comes from the same fields and properties, so that neither is written twice.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def named(schema: str, value: object) -> dict[str, Any]:
    """Returns a document with its format's name; `value` is a dataclass that has the format's keys."""
    return {"schema": schema, **plain(value)}


def plain(value: object) -> Any:
    """Returns `value` as JSON's own types; what belongs into no document is refused by whoever prints it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in keys(type(value))}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def keys(kind: type) -> tuple[str, ...]:
    """Returns the keys of a dataclass's object: its fields, and the properties that it names in `ALSO`."""
    return (*(field.name for field in dataclasses.fields(kind)), *getattr(kind, "ALSO", ()))
