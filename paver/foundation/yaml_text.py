"""YAML for tools of others, by libyaml: BUCC's credentials take thirty times as long in Python.

The site file has a parser of its own, which knows where everything stands.
"""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def dumps(value: object, *, sort_keys: bool = True) -> str:
    """Returns plain data as YAML."""
    return str(yaml.dump(value, Dumper=_DUMPER, sort_keys=sort_keys))


def loads(text: str | bytes) -> Any:
    """Returns the plain data of a YAML text, None of an empty one.

    Raises:
        yaml.YAMLError: it is none, or makes anything but plain data.
    """
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 (both loaders are safe ones)
