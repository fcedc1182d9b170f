"""((variables)) in manifests and configs: finding them, and putting values in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from paver.lab.standins.director_tasks import TaskError

_VARIABLE = re.compile(r"\(\(([-/.\w!]+)\)\)")


def variables_in(content: Any) -> set[str]:
    """The names of all ((variables)) in a document, without the field behind a dot."""
    if isinstance(content, str):
        return {match.split(".")[0].lstrip("!") for match in _VARIABLE.findall(content)}
    if isinstance(content, Mapping):
        return {name for value in content.values() for name in variables_in(value)}
    if isinstance(content, list):
        return {name for value in content for name in variables_in(value)}
    return set()


def interpolate(content: Any, values: Mapping[str, Any], later: frozenset[str] = frozenset()) -> Any:
    """Returns the document with its ((variables)) replaced; one that stands alone keeps its type.

    What stands under a key of `later` stays as it is: a director shows what it refuses, and must not show secrets.
    """
    if isinstance(content, Mapping):
        return {
            key: value if key in later else interpolate(value, values, later)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [interpolate(value, values, later) for value in content]
    if not isinstance(content, str):
        return content
    whole = _VARIABLE.fullmatch(content)
    if whole:
        return _value(whole.group(1), values)
    return _VARIABLE.sub(lambda match: str(_value(match.group(1), values)), content)


def _value(reference: str, values: Mapping[str, Any]) -> Any:
    name, *fields = reference.lstrip("!").split(".")
    value = values[name]
    for field in fields:
        if not isinstance(value, Mapping) or field not in value:
            raise TaskError(
                540001,
                f"Failed to fetch variable '{name}' from config server: Expected variable '{reference}' to have field '{field}'",
            )
        value = value[field]
    return value
