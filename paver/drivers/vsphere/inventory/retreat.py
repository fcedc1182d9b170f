"""Clusters put agent VMs of their own (vCLS) onto their hosts. Retreat mode takes them away while hosts leave.

Without it the agents would stay on the hosts as VMs that belong to nobody. The switch is an advanced setting of
vCenter, one for each cluster (Broadcom KB 316514), and stays as it was left. Up to 8.0 DRS does nothing as long as it is
on, also where it is enabled ("vSphere Cluster Services", vSphere Resource Management).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from paver.driver import Writer
from paver.drivers.vsphere.inventory import versions
from paver.transport.faults import VsphereFault
from paver.transport.vsphere import describe, new

CALLS = frozenset({"UpdateOptions"})
_AGENT = "vCLS"
_PATIENCE = 600.0
_AGAIN = 30.0
"""Seconds after which it is switched on anew: another host that left at the same time has switched it off since."""
_WITHOUT_AGENTS = 9
"""The version of the API from which on DRS works in retreat as well."""


@contextlib.contextmanager
def retreated(world: Writer, session: Any, host: Any, cluster: Any, *, connected: bool) -> Iterator[None]:
    """Has a cluster take its agents away while a host is disconnected that carries one; begins once they are gone.

    It ends before the host is taken out: as long as that is not done, a run that was killed comes by here again, and ends
    what it finds. A cluster that was left in retreat would be another one than was planned. The agents on a host that is
    lost are not waited for: they go with it out of the inventory, nobody could delete them.

    Raises:
        PaverError: if they do not go.
    """
    agents = _on(session, host) if connected else set()
    try:
        if agents:
            world.report("the cluster takes its agents away")
            _wait(session, host, cluster, agents)
        yield
    finally:
        if agents or stops_drs(session, cluster):
            switch(session, cluster, on=False)


def _on(session: Any, host: Any) -> set[str]:
    return {
        describe(ref)
        for ref, values in session.objects("VirtualMachine", ("name", "runtime.host"))
        if str(values["name"]).startswith(_AGENT) and _is(values["runtime.host"], host)
    }


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
    """Switches retreat mode of a cluster on or off."""
    option = new("OptionValue", key=_key(cluster), value="false" if on else "true")
    session.call(session.content.setting, "UpdateOptions", changedValue=[option])


def stops_drs(session: Any, cluster: Any) -> bool:
    """Tells whether DRS of a cluster does nothing, since the cluster is in retreat."""
    if versions.reaches(str(session.content.about.apiVersion), _WITHOUT_AGENTS):
        return False
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
