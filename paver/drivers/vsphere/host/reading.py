"""What is read of a host, once for all of its resources, and where its managers are."""

from __future__ import annotations

from typing import Any

from paver.driver import Unobservable
from paver.drivers.vsphere.host.datastore import called

ADAPTERS = "config.network.pnic"
AUTOSTART = "config.autoStart"
DNS = "config.network.dnsConfig"
INTERFACES = "config.network.vnic"
MANAGER = "summary.managementServerIp"
NTP = "config.dateTimeInfo"
PORT_GROUPS = "config.network.portgroup"
RULESETS = "config.firewall.ruleset"
SERVICES = "config.service.service"
SWITCHES = "config.network.vswitch"

_MANAGERS = tuple(
    f"configManager.{name}"
    for name in ("autoStartManager", "dateTimeSystem", "firewallSystem", "networkSystem", "serviceSystem")
)
"""Asked for along with everything else: whoever reads before an act needs one for the act."""

AT_FIRST = (AUTOSTART, DNS, ADAPTERS, PORT_GROUPS, INTERFACES, SWITCHES, *_MANAGERS)
"""What the one call fetches that reads a host; the others follow where somebody asks for them."""


def of(session: Any, path: str) -> Any:
    """Returns one property of the host, from the snapshot.

    Raises:
        Unobservable: if the session's endpoint has no host.
    """
    found = session.one("HostSystem", (path, *_MANAGERS))
    if found is None:
        raise Unobservable(f"{session.name} does not show its host", do="check the rights of the account")
    return found[1][path]


def items(session: Any, path: str) -> list[Any]:
    """Returns one list of the host, empty where it is unset."""
    return list(of(session, path) or ())


def named(session: Any, path: str, key: str, *, field: str = "key") -> Any:
    """Returns the element of a list whose `field` (dotted) is `key`, None if there is none."""
    for item in items(session, path):
        value = item
        for part in field.split("."):
            value = getattr(value, part)
        if value == key:
            return item
    return None


def manager(session: Any, name: str) -> Any:
    """Returns the reference of one of the host's managers, as `networkSystem`.

    Raises:
        Unobservable: if the host does not have it.
    """
    found = of(session, f"configManager.{name}")
    if found is None:
        raise Unobservable(f"{session.name} has no {name}", do="check the rights of the account")
    return found


def datastore(session: Any, name: str) -> str | None:
    """Returns what a host calls its datastore `name` by now, None if it has none; see `called`."""
    return called(name, [values["name"] for _, values in session.objects("Datastore", ("name",))])
