"""Starting, stopping and keeping a host's services, for every setting that has one."""

from __future__ import annotations

from typing import Any

from paver.driver import PaverError
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import Values

CALLS = ("UpdateServicePolicy", "StartService", "StopService", "RestartService")


def look(session: Any, key: str) -> dict[str, Any]:
    """Returns policy and state of a service.

    Raises:
        PaverError: if the host does not have it.
    """
    service = reading.named(session, reading.SERVICES, key)
    if service is None:
        known = ", ".join(sorted(item.key for item in reading.items(session, reading.SERVICES)))
        raise PaverError(f"{session.name} has no service {key}", seen=known)
    return {"policy": str(service.policy), "running": bool(service.running)}


def set_(session: Any, key: str, values: Values, *, restart: bool = False) -> None:
    """Sets policy and state of a service; a running one is restarted if `restart` says so."""
    system = reading.manager(session, "serviceSystem")
    now = look(session, key)
    policy = values.get("policy", now["policy"])
    running = values.get("running", now["running"])
    if policy != now["policy"]:
        session.call(system, "UpdateServicePolicy", id=key, policy=policy)
    if running != now["running"]:
        session.call(system, "StartService" if running else "StopService", id=key)
    elif running and restart:
        session.call(system, "RestartService", id=key)
