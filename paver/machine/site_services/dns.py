"""DNS of the site, served by dnsmasq on the jumpbox: every machine of the site forward and backward."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from paver.driver import MARK_KEY, Check, Endpoint, Facts, Mark, Reader, Resource, Verb, Writer
from paver.machine.site_services import daemon, probe
from paver.machine.site_services.probe import Record

FILE = "/etc/dnsmasq.d/paver.conf"
SERVICE = "dnsmasq"
_FIXED = ("no-resolv", "no-hosts", "bind-dynamic")
"""It listens at its address alone, and takes it up when it comes: at a boot the daemon may be there first (dnsmasq(8))."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnsFacts(Facts):
    """The configuration as it stands in the file.

    Attributes:
        records: names and addresses.
        extra: lines that are none of paver's.
        running: whether the daemon runs.
    """

    zone: str | None
    listens: str | None
    records: tuple[Record, ...]
    forwarders: tuple[str, ...]
    extra: tuple[str, ...]
    running: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteDns(Resource[DnsFacts]):
    """The zone.

    Attributes:
        zone: for which it is authoritative: what is not in it does not exist.
        listens: its address.
        records: names and addresses, sorted; each is served forward and backward.
        forwarders: whom it asks for everything else; nobody: it refuses.
    """

    kind = "site.dns"
    dies_with_parent = True
    calls = {  # noqa: RUF012 (the engine's declaration is a class variable)
        Verb.CREATE: daemon.CALLS,
        Verb.UPDATE: daemon.CALLS,
        Verb.DELETE: daemon.CALLS,
    }

    zone: str
    listens: str
    records: tuple[Record, ...]
    forwarders: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    running: bool = True

    def read(self, world: Reader) -> DnsFacts | None:
        """Returns the configuration, None if there is no file."""
        return _facts(world.session(self.at))

    def create(self, world: Writer) -> None:
        """Writes the configuration, starts the daemon, and waits until it answers."""
        session = world.writing(self.at)
        daemon.put(session, FILE, self.text(world.mark(complete=False)))
        daemon.start(session, SERVICE)
        probe.settle(world, lambda: probe.wrong_names(session, self.listens, self.records), "the site's DNS")
        daemon.put(session, FILE, self.text(world.mark(complete=True)))

    def update(self, world: Writer, facts: DnsFacts, fields: frozenset[str]) -> None:
        """Writes the configuration anew."""
        del facts, fields
        self.create(world)

    def checks(self, world: Reader, facts: DnsFacts) -> Iterable[Check]:
        """Yields that every name is known, forward and backward."""
        del facts
        wrong = probe.wrong_names(world.session(self.at), self.listens, self.records)
        yield Check("every name is known forward and backward", not wrong, "; ".join(wrong))

    def text(self, mark: Mark) -> str:
        """Returns the file's text."""
        lines = [
            "# Written by paver from the site file: what is changed here is taken back.",
            f"# {MARK_KEY} {mark.dumps()}",
            *_FIXED,
            f"listen-address={self.listens}",
            f"local=/{self.zone}/",
            *(f"host-record={name},{address}" for name, address in self.records),
            *(f"server={address}" for address in self.forwarders),
        ]
        return "\n".join(lines) + "\n"

    def says(self) -> str:
        """Returns what a plan shows."""
        return f"{self.zone}, {len(self.records)} names, forward and reverse"

    def estimate(self) -> int:
        """Returns about how many seconds it takes."""
        return 3

    @classmethod
    def discover(cls, world: Reader, at: Endpoint[Any, Any]) -> Iterable[DnsFacts]:
        """Yields the zone on the machine, if it is this site's."""
        facts = _facts(world.session(at))
        if facts is not None and facts.mark is not None and facts.mark.site == world.site:
            yield facts

    @classmethod
    def delete(cls, world: Writer, at: Endpoint[Any, Any], facts: DnsFacts) -> None:
        """Stops the daemon and removes the file."""
        del facts
        session = world.writing(at)
        daemon.stop(session, SERVICE)
        session.remove(FILE)


def _facts(session: Any) -> DnsFacts | None:
    data = session.read_file(FILE)
    return (
        parse(data.decode("utf-8", "replace"), running=daemon.runs(session, SERVICE))
        if data is not None
        else None
    )


def parse(text: str, *, running: bool) -> DnsFacts:
    """Returns what a configuration says."""
    settings: dict[str, list[str]] = {"listen-address": [], "local": [], "host-record": [], "server": []}
    extra = []
    for line in daemon.settings_of(text):
        key, _, value = line.partition("=")
        if key in settings and value:
            settings[key].append(value)
        elif line not in _FIXED:
            extra.append(line)
    extra += [f"{line} is missing" for line in _FIXED if line not in text.splitlines()]
    records = [tuple(value.split(",", 1)) for value in settings["host-record"]]
    return DnsFacts(
        address={"file": FILE},
        mark=daemon.mark_of(text),
        zone=",".join(value.strip("/") for value in settings["local"]) or None,
        listens=",".join(settings["listen-address"]) or None,
        records=tuple(
            (name, address) for name, address in sorted(record for record in records if len(record) == 2)
        ),
        forwarders=tuple(settings["server"]),
        extra=tuple(extra),
        running=running,
    )
