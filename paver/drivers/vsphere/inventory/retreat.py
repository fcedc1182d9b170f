"""Clusters put agent VMs of their own (vCLS) onto their hosts. Retreat mode takes them away while hosts leave.

Without it the agents would stay on the hosts as VMs that belong to nobody. The switch is an advanced setting of
vCenter, one for each cluster (Broadcom KB 316514), and stays as it was left; since 8.0.2 the cluster's own configuration
has it too, which is what vCenter's client sets (vim25 ClusterSystemVMsConfigInfo.deploymentMode). Up to 8.0 DRS does
nothing as long as it is on, also where it is enabled ("vSphere Cluster Services", vSphere Resource Management).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from paver.driver import PaverError, Writer
from paver.drivers.vsphere.inventory import versions
from paver.transport.vsphere import describe, new
from paver.transport.vsphere.faults import VsphereFault

CONNECTED, DISCONNECTED = "connected", "disconnected"
CALLS = frozenset({"UpdateOptions"})
"""What ends a retreat, besides the cluster's own configuration."""
LEAVING = frozenset({*CALLS, "DisconnectHost_Task", "ReconnectHost_Task"})
_AGENT = "vCLS"
_ABSENT, _PRESENT = "ABSENT", "SYSTEM_MANAGED"
_PATIENCE = 600.0
_AGAIN = 30.0
"""Seconds after which it is switched on anew: another host that left at the same time has switched it off since."""
_TRIES = 5
_WITHOUT_AGENTS = 9
"""The version of the API from which on DRS works in retreat as well."""


def disconnect(world: Writer, session: Any, host: Any, cluster: Any, state: str) -> None:
    """Disconnects a host so that no agent of its cluster stays on it, and ends the cluster's retreat.

    Agents come whenever vCenter likes, also back onto the hosts that leave next, so it looks once more when the host is
    disconnected, and takes it back if there is one. The retreat ends before the host is taken out: as long as that is not
    done, a run that was killed comes by here again, and ends what it finds. A cluster that was left in retreat would be
    another one than was planned. The agents on a host that is lost are not waited for: they go with it out of the
    inventory, nobody could delete them.

    Raises:
        PaverError: if they do not go.
    """
    retreats = False
    try:
        for _ in range(_TRIES):
            agents = _on(session, host) if state in {CONNECTED, DISCONNECTED} else set()
            if state == DISCONNECTED and not (agents and _reconnected(session, host)):
                return
            if agents:
                retreats = True
                world.report("the cluster takes its agents away")
                _wait(session, host, cluster, agents)
            session.task(host, "DisconnectHost_Task")
            if state not in {CONNECTED, DISCONNECTED}:
                return
            state = DISCONNECTED
        raise PaverError(
            "the agents of the cluster come back onto the host that leaves it",
            why="something else ends the cluster's retreat mode, or vCenter's agent manager does not heed it",
            do="see in vCenter who changes vSphere Cluster Services of the cluster, then run the same command again",
        )
    finally:
        if retreats or (_needs_agents(session) and _switched(session, cluster)):
            switch(session, cluster, on=False)


def _on(session: Any, host: Any) -> set[str]:
    session.forget()
    return {
        describe(ref)
        for ref, values in session.objects("VirtualMachine", ("name", "runtime.host"))
        if str(values["name"]).startswith(_AGENT) and _is(values["runtime.host"], host)
    }


def _reconnected(session: Any, host: Any) -> bool:
    try:
        session.task(host, "ReconnectHost_Task")
    except VsphereFault:
        # It is lost, or lets vCenter in no more: its agents go as those of a lost host.
        return False
    return True


def _wait(session: Any, host: Any, cluster: Any, agents: set[str]) -> None:
    switched = 0.0

    def again(_: Mapping[str, Any]) -> None:
        nonlocal switched
        if not switched or time.monotonic() - switched > _AGAIN:
            switch(session, cluster, on=True)
            switched = time.monotonic()

    session.wait(
        host,
        ("vm",),
        lambda seen: not agents & {describe(one) for one in seen["vm"] or ()},
        timeout=_PATIENCE,
        doing="the end of the cluster's agents",
        on_look=again,
    )


def switch(session: Any, cluster: Any, *, on: bool) -> None:
    """Switches retreat mode of a cluster on or off, by vCenter's setting."""
    option = new("OptionValue", key=_key(cluster), value="false" if on else "true")
    session.call(session.content.setting, "UpdateOptions", changedValue=[option])


def stops_drs(session: Any, cluster: Any) -> bool:
    """Tells whether DRS of a cluster does nothing, since the cluster is in retreat."""
    return _needs_agents(session) and (_absent(session, cluster) or _switched(session, cluster))


def end(session: Any, cluster: Any) -> None:
    """Ends the retreat of a cluster, whichever way it was put into it."""
    if _switched(session, cluster):
        switch(session, cluster, on=False)
    if _absent(session, cluster):
        mode = new("ClusterSystemVMsConfigSpec", deploymentMode=_PRESENT)
        spec = new("ClusterConfigSpecEx", systemVMsConfig=mode)
        session.task(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True)


def _needs_agents(session: Any) -> bool:
    """Tells whether DRS needs the agents; where it does not, a cluster may well do without them for good."""
    return not versions.reaches(str(session.content.about.apiVersion), _WITHOUT_AGENTS)


def _absent(session: Any, cluster: Any) -> bool:
    config = getattr(session.value(cluster, "configurationEx"), "systemVMsConfig", None)
    return getattr(config, "deploymentMode", None) == _ABSENT


def _switched(session: Any, cluster: Any) -> bool:
    try:
        options = session.query(session.content.setting, "QueryOptions", name=_key(cluster))
    except VsphereFault as fault:
        # Nobody has ever set it.
        if not fault.is_a("InvalidName"):
            raise
        return False
    return any(str(option.value).lower() == "false" for option in options or ())


def _key(cluster: Any) -> str:
    return f"config.vcls.clusters.{describe(cluster).partition(':')[2]}.enabled"


def _is(one: Any, other: Any) -> bool:
    return one is not None and describe(one) == describe(other)
