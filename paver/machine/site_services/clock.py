"""The jumpbox's own clock, which follows the site's time servers by chrony.

Tokens of vCenter's, certificates and an object store's signatures go by it, and so do the times of the journal. Without this
it would be its host's clock as that was at the first boot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import MARK_KEY, Check, Endpoint, Facts, Mark, Reader, Resource, Verb, Writer
from paver.machine.site_services import daemon, probe

FILE = "/etc/chrony/sources.d/paver.sources"
BY_HAND = "/etc/chrony/sources.d/paver-console.sources"
"""What the console's form names: chrony follows those too."""
SERVICE = "chrony"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClockFacts(Facts):
    """What chrony follows, as the file says it.

    Attributes:
        servers: in their order.
        extra: lines that are none of paver's.
        running: whether chrony runs.
    """

    servers: tuple[str, ...]
    extra: tuple[str, ...]
    running: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClockFollows(Resource[ClockFacts]):
    """The jumpbox's clock.

    Attributes:
        servers: time servers, by address or name.
    """

    kind = "site.clock"
    dies_with_parent = True
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: daemon.CALLS,
        Verb.UPDATE: daemon.CALLS,
        Verb.DELETE: daemon.CALLS,
    }

    servers: tuple[str, ...]
    extra: tuple[str, ...] = ()
    running: bool = True

    def read(self, world: Reader) -> ClockFacts | None:
        """Returns what it follows, None if there is no file."""
        return _facts(world.session(self.at))

    def create(self, world: Writer) -> None:
        """Names the servers to chrony, starts it, and waits until the clock goes as one of theirs."""
        session = world.writing(self.at)
        daemon.put(session, FILE, self.text(world.mark(complete=False)))
        daemon.start(session, SERVICE)
        probe.settle(world, lambda: probe.apart(session, self.servers), "the jumpbox's clock")
        daemon.put(session, FILE, self.text(world.mark(complete=True)))

    def update(self, world: Writer, facts: ClockFacts, fields: frozenset[str]) -> None:
        """Names the servers anew."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: ClockFacts) -> Iterable[Check]:
        """Yields that the clock goes as that of one of its servers."""
        del facts
        wrong = probe.apart(world.session(self.at), self.servers)
        yield Check("the jumpbox's clock goes as a time server's", not wrong, "; ".join(wrong))

    def text(self, mark: Mark) -> str:
        """Returns the file's text."""
        lines = [
            "# Written by paver from the site file: what is changed here is taken back.",
            f"# {MARK_KEY} {mark.dumps()}",
            *(f"server {server} iburst" for server in self.servers),
        ]
        return "\n".join(lines) + "\n"

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"follows {', '.join(self.servers)}"

    def estimate(self) -> int:
        """Returns about how many seconds it takes."""
        return 10

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[ClockFacts]:
        """Yields what the machine's clock follows, if this site named it."""
        facts = _facts(world.session(at))
        if facts is not None and facts.mark is not None and facts.mark.site == world.site:
            yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: ClockFacts) -> None:
        """Removes the file; without servers that the console's form named, chrony is stopped."""
        del facts
        session = world.writing(at)
        if session.read_file(BY_HAND):
            session.remove(FILE)
            session.service(SERVICE, "restart")
        else:
            daemon.stop(session, SERVICE)
            session.remove(FILE)


def _facts(session: Any) -> ClockFacts | None:
    data = session.read_file(FILE)
    if data is None:
        return None
    return parse(data.decode("utf-8", "replace"), running=daemon.runs(session, SERVICE))


def parse(text: str, *, running: bool) -> ClockFacts:
    """Returns what a file of sources says."""
    servers, extra = [], []
    for line in daemon.settings_of(text):
        match line.split():
            case ["server", server, "iburst"]:
                servers.append(server)
            case _:
                extra.append(line)
    return ClockFacts(
        address={"file": FILE},
        mark=daemon.mark_of(text),
        servers=tuple(servers),
        extra=tuple(extra),
        running=running,
    )
