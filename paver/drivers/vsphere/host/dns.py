"""Name and name servers of a host. ESXi doesn't fall through after NXDOMAIN: only authoritative servers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, Writer
from paver.drivers.vsphere.host import reading
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared
from paver.transport.vsphere import new


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnsFacts(Facts):
    """What a host is called and whom it asks."""

    servers: tuple[str, ...]
    hostname: str
    domain: str
    dhcp: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dns(HostSetting[DnsFacts]):
    """A host's name and name servers.

    Attributes:
        servers: addresses, in order.
        hostname: without the domain.
        domain: the zone.
        dhcp: whether DHCP may say otherwise.
    """

    kind = "vsphere.dns"
    calls = declared("UpdateDnsConfig")
    extra = frozenset({"nic", "nic6"})

    servers: tuple[str, ...]
    hostname: str
    domain: str
    dhcp: bool = False

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> DnsFacts:
        """Returns the facts of what `look` saw."""
        return DnsFacts(address=address, mark=mark, **values)

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns the configuration as it is; `nic` is the card whose DHCP gave it, `nic6` that of IPv6, if another."""
        del address
        config = reading.of(session, reading.DNS)
        return {
            "servers": tuple(config.address or ()),
            "hostname": config.hostName or "",
            "domain": config.domainName or "",
            "dhcp": bool(config.dhcp),
            "nic": config.virtualNicDevice or "",
            "nic6": config.ipv6VirtualNicDevice or "",
        }

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Sets the configuration; the list of search domains stays as it is."""
        session = world.writing(at)
        now = cls.look(session, address)
        wanted = {**now, **values}
        if wanted == now:
            return
        config = new(
            "HostDnsConfig",
            dhcp=wanted["dhcp"],
            hostName=wanted["hostname"],
            domainName=wanted["domain"],
            address=list(wanted["servers"]),
            searchDomain=list(reading.of(session, reading.DNS).searchDomain or ()),
        )
        if wanted["dhcp"]:
            config.virtualNicDevice = wanted["nic"] or None
            config.ipv6VirtualNicDevice = wanted["nic6"] or None
        session.call(reading.manager(session, "networkSystem"), "UpdateDnsConfig", config=config)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.hostname}.{self.domain}, asks {', '.join(self.servers)}"
