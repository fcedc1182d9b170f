"""Time of a host: its servers, the daemon that asks them, and the hole in the firewall that it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paver.driver import Endpoint, Facts, Mark, Writer
from paver.drivers.vsphere.host import reading, services
from paver.drivers.vsphere.host.setting import HostSetting, Values, declared
from paver.transport.vsphere import new

DAEMON = "ntpd"
RULESET = "ntpClient"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NtpFacts(Facts):
    """How a host keeps its time."""

    servers: tuple[str, ...]
    policy: str
    running: bool
    open: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ntp(HostSetting[NtpFacts]):
    """A host's time.

    Attributes:
        servers: names or addresses, in order.
        policy: `on` starts the daemon with the host.
        running: whether the daemon runs.
        open: whether the firewall lets it ask.
    """

    kind = "vsphere.ntp"
    calls = declared("UpdateDateTimeConfig", "EnableRuleset", "DisableRuleset", *services.CALLS)

    servers: tuple[str, ...]
    policy: str = "on"
    running: bool = True
    open: bool = True

    @classmethod
    def facts(cls, values: Values, address: Mapping[str, str], mark: Mark | None) -> NtpFacts:
        """Returns the facts of what `look` saw."""
        return NtpFacts(address=address, mark=mark, **values)

    @classmethod
    def look(cls, session: Any, address: Mapping[str, str]) -> Values:
        """Returns servers, daemon and firewall as they are."""
        del address
        session.snapshot({"HostSystem": (reading.NTP, reading.RULESETS, reading.SERVICES)})
        info = reading.of(session, reading.NTP)
        servers = (
            tuple(info.ntpConfig.server or ()) if info is not None and info.ntpConfig is not None else ()
        )
        rule = reading.named(session, reading.RULESETS, RULESET)
        return {
            "servers": servers,
            "open": bool(rule is not None and rule.enabled),
            **services.look(session, DAEMON),
        }

    @classmethod
    def set(cls, world: Writer, at: Endpoint[Any, Any], address: Mapping[str, str], values: Values) -> None:
        """Sets what differs; servers before the daemon starts, so that it starts with them."""
        session = world.writing(at)
        now = cls.look(session, address)
        opens = values.get("open", now["open"])
        if opens != now["open"] and _by_hand(session):
            call = "EnableRuleset" if opens else "DisableRuleset"
            session.call(reading.manager(session, "firewallSystem"), call, id=RULESET)
        changed = values.get("servers", now["servers"]) != now["servers"]
        if changed:
            config = new("HostDateTimeConfig", ntpConfig=new("HostNtpConfig", server=list(values["servers"])))
            session.call(reading.manager(session, "dateTimeSystem"), "UpdateDateTimeConfig", config=config)
        services.set_(session, DAEMON, values, restart=changed)

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"ntp servers {', '.join(self.servers)}"


def _by_hand(session: Any) -> bool:
    """Tells whether the hole is opened and closed by itself; from ESXi 8.0.2 on some go with their service only."""
    rule = reading.named(session, reading.RULESETS, RULESET)
    return getattr(rule, "userControllable", None) is not False
