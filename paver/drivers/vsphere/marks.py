"""The mark on a VM: one value of its extraConfig, there from its birth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from paver.driver import Mark, ResourceId
from paver.signing import canonical
from paver.transport.vsphere import new

KEY = "paver.mark"


def dumps(mark: Mark) -> str:
    """Returns a mark as it stands on a thing."""
    document = {"action": mark.action, "complete": mark.complete, "id": mark.id, "site": mark.site}
    return canonical.dumps(document).decode()


def loads(text: str | None) -> Mark | None:
    """Reads a mark; what is none of paver's is None: then the thing is foreign."""
    try:
        found: Any = json.loads(text or "")
        return Mark(found["site"], ResourceId(found["id"]), found["action"], found["complete"] is True)
    except (ValueError, KeyError, TypeError):
        return None


def values(extra: Any) -> dict[str, str]:
    """Returns a VM's `config.extraConfig` as a map."""
    return {option.key: str(option.value) for option in extra or ()}


def options(settings: Mapping[str, str]) -> list[Any]:
    """Returns a map as what a VM's specification takes; an empty value removes a key."""
    return [new("OptionValue", key=key, value=value) for key, value in sorted(settings.items())]
