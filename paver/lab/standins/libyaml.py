"""YAML by libyaml, as Ruby's own reads it: a director parses manifests of some thousands of lines with each question."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def loads(text: str | bytes) -> Any:
    """Returns the plain data of a YAML text.

    Raises:
        yaml.YAMLError: it is none, or makes anything else.
    """
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, whichever it is
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        # What is no text at all, has half of a character, or looks like a date, a number or a truth and is none.
        raise yaml.YAMLError(str(error)) from error


def dumps(value: object, *, explicit_start: bool = False) -> str:
    """Returns plain data as YAML, keys in their order."""
    return str(yaml.dump(value, Dumper=_DUMPER, sort_keys=False, explicit_start=explicit_start))
