"""What a driver may offer beside its wish, each hook of it optional; the foundation offers ports and doors, too.

    preflight(site, wire) -> Iterable[Finding]   what stands in the way, seen by looking only
    ports(site) -> Iterable[Port]                who opens connections to whom
    doors(site) -> Iterable[Door]                how a person or a tool gets in

These are values: rendering and exit codes are the command line's.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from paver.engine.values import Secret


class Grade(enum.StrEnum):
    """How bad a finding is; each has the exit code that `paver preflight` ends with if nothing is worse."""

    OK = "ok"
    WARNING = "warning"
    """It works, but somebody should look."""
    INPUT = "input"
    """What the user gave is wrong: a pin, a password, a file."""
    REFUSED = "refused"
    """The thing itself does not allow it: a licence, a version, something foreign, no room."""
    UNREACHABLE = "unreachable"
    """It does not answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what, by the user's name: `esx-01`.
        check: which side of it: `certificate`, `login`, `licence`.
        grade: how bad.
        seen: what is there; never a secret.
        wanted: what should be there, where that says more.
        why: the cause, where it is known.
        do: the next step, where there is one.
    """

    subject: str
    check: str
    grade: Grade = Grade.OK
    seen: str = ""
    wanted: str = ""
    why: str = ""
    do: str = ""


@dataclasses.dataclass(frozen=True, order=True)
class Port:
    """One permission for the firewall: who opens a connection to whom, and what for.

    Attributes:
        source: who opens the connection.
        source_address: its address or network; `any` where the site doesn't fix it.
        target: who listens.
        target_address: its address or name.
        port: the port that it listens on.
        protocol: `tcp` or `udp`.
        why: what for.
    """

    source: str
    source_address: str
    target: str
    target_address: str
    port: int
    protocol: str
    why: str


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a connection: its name, and its address, network or `any`."""

    name: str
    address: str

    def to(self, target: End, port: int, why: str, protocol: str = "tcp") -> Port:
        """Returns the permission to open connections from here to `target`."""
        return Port(self.name, self.address, target.name, target.address, port, protocol, why)


@dataclasses.dataclass(frozen=True)
class Root:
    """The certificate of an entry of the sealed store, as a file for a tool; several are put together."""

    entries: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Quoted:
    """A secret inside of a URL."""

    secret: Secret


Part = str | Secret | Quoted | Root
Export = tuple[Part, ...]
"""The value of a shell variable, in parts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Door:
    """A way in.

    Attributes:
        name: to what: `vCenter`.
        at: a URL or a command.
        user: as whom.
        secret: the name of its password in the sealed store; empty where a key or nothing opens it.
        endpoint: the name of the endpoint that it leads to: as long as nobody brought that into being, there is no way in. Empty
            where it leads to what was there before.
        last_resort: it works when all that paver made is down.
    """

    name: str
    at: str
    user: str = ""
    secret: str = ""
    endpoint: str = ""
    last_resort: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToolDoor(Door):
    """A way in that a tool takes, too.

    Attributes:
        tool: the program whose variables `exports` are.
        exports: shell variables by name.
        proxy: the shell variable in which the program looks for a SOCKS proxy.
    """

    tool: str
    exports: Mapping[str, Export]
    proxy: str = "HTTPS_PROXY"

    def for_people(self) -> Door:
        """Returns the way in alone."""
        return Door(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Door)})
