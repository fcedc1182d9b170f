"""What a model's fields are at a path: for messages about keys that are missing or unknown."""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from paver.sitefile import tree


def model_at(model: type[BaseModel], path: tree.Path) -> type[BaseModel] | None:
    """Returns the model of the map at `path`, or None if there is none that is known."""
    found: Any = model
    for key in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(key))
            found = _inner(field.annotation) if field else None
        elif typing.get_origin(found) in (collections.abc.Mapping, dict):
            found = _inner(typing.get_args(found)[1])
        elif typing.get_origin(found) is tuple:
            found = _inner(typing.get_args(found)[0])
        else:
            return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def field_at(model: type[BaseModel], path: tree.Path) -> FieldInfo | None:
    """Returns the field at `path`, or None."""
    above = model_at(model, path[:-1]) if path else None
    return above.model_fields.get(str(path[-1])) if above else None


def _inner(annotation: Any) -> Any:
    """Strips `Annotated` and `| None`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    arguments = [part for part in typing.get_args(annotation) if part is not type(None)]
    if type(None) in typing.get_args(annotation) and len(arguments) == 1:
        return _inner(arguments[0])
    return annotation
