"""The mark on a VM: one value of its extraConfig, there from its birth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import MARK_KEY, Mark
from paver.transport.vsphere import new


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
    session.task(
        vm, "ReconfigVM_Task", spec=spec({MARK_KEY: dataclasses.replace(mark, complete=False).dumps()})
    )


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
        mark = Mark.loads(extra.get(MARK_KEY))
        if mark is not None and mark.site == site and mark.id.startswith(f"{kind}:"):
            yield vm, found, extra, mark
