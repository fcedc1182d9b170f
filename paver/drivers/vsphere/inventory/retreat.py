"""Clusters put agent VMs of their own (vCLS) onto their hosts. Retreat mode takes them away before hosts leave.

Without it the agents would stay on the hosts as VMs that belong to nobody. The switch is an advanced setting of
vCenter, one for each cluster (Broadcom KB 316514).
"""

from __future__ import annotations

from typing import Any

from paver.driver import Writer
from paver.transport.vsphere import describe, new

CALLS = frozenset({"UpdateOptions"})
_AGENT = "vCLS"
_PATIENCE = 600.0


def retreat(world: Writer, session: Any, host: Any, cluster: Any) -> None:
    """Has a cluster take its agents away, if the host carries one, and waits until they are gone.

    Raises:
        PaverError: if they do not go.
    """
    agents = {
        describe(ref)
        for ref, values in session.objects("VirtualMachine", ("name", "runtime.host"))
        if str(values["name"]).startswith(_AGENT) and _is(values["runtime.host"], host)
    }
    if not agents:
        return
    world.report("the cluster takes its agents away")
    key = f"config.vcls.clusters.{describe(cluster).partition(':')[2]}.enabled"
    option = new("OptionValue", key=key, value="false")
    session.call(session.content.setting, "UpdateOptions", changedValue=[option])
    session.wait(
        host,
        ("vm",),
        lambda seen: not agents & {describe(one) for one in seen["vm"] or ()},
        timeout=_PATIENCE,
        doing="the end of the cluster's agents",
    )


def _is(one: Any, other: Any) -> bool:
    return one is not None and describe(one) == describe(other)
