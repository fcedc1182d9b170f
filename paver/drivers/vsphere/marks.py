"""The mark on a VM: one value of its extraConfig, there from its birth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
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


def spec(settings: Mapping[str, str]) -> Any:
    """Returns the specification that sets a VM's extraConfig."""
    return new("VirtualMachineConfigSpec", extraConfig=options(settings))


def leaving(session: Any, vm: Any, mark: Mark) -> None:
    """Has a VM say that it is leaving (call `ReconfigVM_Task`), before it is switched off: nobody may be sent there."""
    session.task(vm, "ReconfigVM_Task", spec=spec({KEY: dumps(dataclasses.replace(mark, complete=False))}))


def marked(
    session: Any, paths: tuple[str, ...], *, site: str, kind: str
) -> Iterator[tuple[Any, dict[str, Any], dict[str, str], Mark]]:
    """Yields VM, properties, extraConfig and mark of each VM that bears the site's mark for a resource of `kind`.

    Args:
        session: of a host or a vCenter.
        paths: the properties to read; `config.extraConfig` is one of them.
        site: whose marks count.
        kind: of the resources.
    """
    for vm, found in session.objects("VirtualMachine", paths):
        extra = values(found["config.extraConfig"])
        mark = loads(extra.get(KEY))
        if mark is not None and mark.site == site and mark.id.startswith(f"{kind}:"):
            yield vm, found, extra, mark
