"""Documents that servers keep: as the writers of YAML and JSON take them, and as they come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from paver.errors import Unobservable
from paver.foundation import yaml_text


def plain(value: Any) -> Any:
    """Returns `value` with mappings as dicts and tuples and sets as lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return value


def kept(text: str, what: str) -> Any:
    """Returns the plain data of a YAML text that a server keeps; somebody else may have put it there.

    Args:
        text: as the server gave it.
        what: what it is, for messages.

    Raises:
        Unobservable: it is no plain data, or too large to be told.
    """
    try:
        return yaml_text.loads(text) or {}
    except yaml.YAMLError as error:
        raise Unobservable(
            f"{what} can't be read",
            why=str(getattr(error, "problem", "") or "it is no YAML"),
            do="see who put it there; with a text that can be read in its place, the plan tells the difference",
        ) from error
