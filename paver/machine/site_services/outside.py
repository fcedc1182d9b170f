"""DNS and time that the site has already: paver asks them, and changes nothing.

What they do not know would fail vCenter's installer after twenty minutes, so it is told before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from paver.driver import Endpoint, Facts, PaverError, Reader, Refused, Resource, Writer
from paver.machine.site_services import probe
from paver.machine.site_services.probe import Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnswersFacts(Facts):
    """That the servers answer as they must; there is nothing else to know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked(Resource[AnswersFacts]):
    """Servers that are to answer; a setting without anything to set."""

    setting = True

    def look(self, session: Any) -> tuple[str, ...]:
        """Returns what is wrong, in words."""
        raise NotImplementedError

    def advice(self) -> str:
        """Returns what the user can do about it."""
        raise NotImplementedError

    def read(self, world: Reader) -> AnswersFacts | None:
        """Returns that all is well, None if it is not."""
        return None if self.look(world.session(self.at)) else AnswersFacts()

    def create(self, world: Writer) -> None:
        """Refuses: what is wrong here paver cannot mend.

        Raises:
            Refused: unless all is well by now.
        """
        wrong = self.look(world.session(self.at))
        if wrong:
            raise Refused(f"{self.says()}: not as it must be", seen="\n".join(wrong), do=self.advice())

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: AnswersFacts) -> None:
        """Is never called: nothing of this bears paver's mark."""
        del world, facts
        raise PaverError(f"{at.name}: paver removes no servers of the site")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamesKnown(_Asked):
    """Name servers that must know every machine of the site, forward and backward."""

    kind = "site.names"
    unmanaged = frozenset({"servers", "records"})

    servers: tuple[str, ...]
    records: tuple[Record, ...]

    def look(self, session: Any) -> tuple[str, ...]:
        """Returns every name that a server does not know."""
        return tuple(
            wrong for server in self.servers for wrong in probe.wrong_names(session, server, self.records)
        )

    def advice(self) -> str:
        """Returns what the user can do about it."""
        return "have A and PTR records made for every name, on every server, or let the jumpbox serve: site_services.dns"

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{len(self.records)} names at {', '.join(self.servers)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeTold(_Asked):
    """Time servers that must tell the time."""

    kind = "site.time"
    unmanaged = frozenset({"servers"})

    servers: tuple[str, ...]

    def look(self, session: Any) -> tuple[str, ...]:
        """Returns every server that does not tell the time."""
        return probe.wrong_times(session, self.servers)

    def advice(self) -> str:
        """Returns what the user can do about it."""
        return (
            "open UDP 123 from the jumpbox, name other servers, or let the jumpbox serve: site_services.ntp"
        )

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"time from {', '.join(self.servers)}"
