"""Time of the site, served by chrony on the jumpbox: its own clock, at a stratum that a better one outdoes.

The file is the distribution's own, so that is kept beside, and put back at the end: a file without paver's mark
counts as none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import MARK_KEY, Check, Endpoint, Facts, Mark, Reader, Resource, Verb, Writer
from paver.machine.site_services import daemon, probe

FILE = "/etc/chrony/chrony.conf"
KEPT = "/etc/chrony/chrony.conf.before-paver"
SERVICE = "chrony"
STRATUM = 10
_FIXED = ("driftfile /var/lib/chrony/drift", "makestep 1 3", "rtcsync")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NtpFacts(Facts):
    """The configuration as it stands in the file.

    Attributes:
        allowed: networks that may ask.
        stratum: of the machine's own clock, None if it is not served.
        extra: lines that are none of paver's.
        running: whether the daemon runs.
    """

    allowed: tuple[str, ...]
    stratum: int | None
    extra: tuple[str, ...]
    running: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteNtp(Resource[NtpFacts]):
    """The time server.

    Attributes:
        listens: its address, for the proof.
        allowed: networks that may ask, sorted.
        stratum: of its own clock.
    """

    kind = "site.ntp"
    dies_with_parent = True
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: daemon.CALLS,
        Verb.UPDATE: daemon.CALLS,
        Verb.DELETE: daemon.CALLS,
    }
    unmanaged = frozenset({"listens"})

    listens: str
    allowed: tuple[str, ...]
    stratum: int = STRATUM
    extra: tuple[str, ...] = ()
    running: bool = True

    def read(self, world: Reader) -> NtpFacts | None:
        """Returns paver's configuration, None while the distribution's own stands there."""
        return _facts(world.session(self.at))

    def create(self, world: Writer) -> None:
        """Keeps the distribution's configuration, writes paver's, and waits until the time is told."""
        session = world.writing(self.at)
        before = session.read_file(FILE)
        if before is not None and daemon.mark_of(before.decode("utf-8", "replace")) is None:
            session.write_file(KEPT, before, 0o644)
        daemon.put(session, FILE, self.text(world.mark(complete=False)))
        daemon.start(session, SERVICE)
        probe.settle(world, lambda: probe.wrong_times(session, [self.listens]), "the site's time server")
        daemon.put(session, FILE, self.text(world.mark(complete=True)))

    def update(self, world: Writer, facts: NtpFacts, fields: frozenset[str]) -> None:
        """Writes the configuration anew."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: NtpFacts) -> Iterable[Check]:
        """Yields that the time is told."""
        del facts
        wrong = probe.wrong_times(world.session(self.at), [self.listens])
        yield Check("the jumpbox tells the time", not wrong, "; ".join(wrong))

    def text(self, mark: Mark) -> str:
        """Returns the file's text."""
        lines = [
            "# Written by paver from the site file: what is changed here is taken back.",
            f"# {MARK_KEY} {mark.dumps()}",
            *_FIXED,
            f"local stratum {self.stratum}",
            *(f"allow {network}" for network in self.allowed),
        ]
        return "\n".join(lines) + "\n"

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"time for {', '.join(self.allowed)}"

    def estimate(self) -> int:
        """Returns about how many seconds it takes."""
        return 3

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[NtpFacts]:
        """Yields the time server on the machine, if it is this site's."""
        facts = _facts(world.session(at))
        if facts is not None and facts.mark is not None and facts.mark.site == world.site:
            yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: NtpFacts) -> None:
        """Puts the distribution's configuration back; without one the daemon is stopped."""
        del facts
        session = world.writing(at)
        before = session.read_file(KEPT)
        if before is None:
            daemon.stop(session, SERVICE)
            session.remove(FILE)
        else:
            session.write_file(FILE, before, 0o644)
            session.service(SERVICE, "restart")
            session.remove(KEPT)


def _facts(session: Any) -> NtpFacts | None:
    data = session.read_file(FILE)
    text = (data or b"").decode("utf-8", "replace")
    return parse(text, running=daemon.runs(session, SERVICE)) if daemon.mark_of(text) is not None else None


def parse(text: str, *, running: bool) -> NtpFacts:
    """Returns what a configuration says."""
    allowed, extra, stratum = [], [], None
    for line in daemon.settings_of(text):
        word, _, rest = line.partition(" ")
        if word == "allow" and rest:
            allowed.append(rest.strip())
        elif line.startswith("local stratum ") and line.split()[-1].isdigit():
            stratum = int(line.split()[-1])
        elif line not in _FIXED:
            extra.append(line)
    extra += [f"{line} is missing" for line in _FIXED if line not in text.splitlines()]
    return NtpFacts(
        address={"file": FILE},
        mark=daemon.mark_of(text),
        allowed=tuple(sorted(allowed)),
        stratum=stratum,
        extra=tuple(extra),
        running=running,
    )
