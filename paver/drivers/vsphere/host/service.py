"""A service of a host that is to run, or not to: SSH, the shell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, Writer
from paver.drivers.vsphere.host import services
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceFacts(Facts):
    """How a service stands."""

    policy: str
    running: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service(HostSetting[ServiceFacts]):
    """A service.

    Attributes:
        service: its key on the host, as in `TSM-SSH`.
        policy: `on`, `off` or `automatic`: whether the host starts it.
        running: whether it runs now.
    """

    kind = "vsphere.service"
    calls = declared(*services.CALLS)
    unmanaged = frozenset({"ledger_on", "service"})

    service: str
    policy: str
    running: bool

    def address(self) -> Mapping[str, str]:
        """Returns the service's key."""
        return {"service": self.service}

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> ServiceFacts:
        """Returns the facts of what `look` saw."""
        return ServiceFacts(address=address, mark=mark, **values)

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns policy and state as they are."""
        return services.look(session, address["service"])

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Sets policy and state."""
        services.set_(world.writing(at), address["service"], values)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.service} {'runs' if self.running else 'stopped'}, policy {self.policy}"
