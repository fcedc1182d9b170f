"""What a run hands to every connector: where paver runs, how secrets are opened, and how far endpoints are reached.

Nothing here opens a socket. The shapes below repeat protocols of the engine on purpose: transport is its
sibling and fits them by structure alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from paver.errors import Unobservable
from paver.transport.logins import Logins

if TYPE_CHECKING:
    from paver.transport.retry import Retry

T = TypeVar("T")
Station = Literal["outside", "jumpbox"]


class SecretRef(Protocol):
    """A reference into the sealed store; never the value."""

    @property
    def name(self) -> str: ...


class Gate(Protocol):
    """Every write passes it before a byte leaves; it raises `Refused` for what is not declared or not begun."""

    def __call__(self, call: str, target: str = "", detail: Mapping[str, Any] | None = None) -> None: ...


class Progress(Protocol):
    """Is told how much of a transfer is done, in bytes."""

    def __call__(self, done: int, total: int) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds after which waiting ends in an error.

    Attributes:
        connect: until a connection stands, TLS or SSH handshake included.
        answer: until a request is answered.
        command: until a command on a machine ends, where the caller names no limit.
        patience: how long reads are repeated while a connection breaks or a server is busy; 0 is not at all.
    """

    connect: float = 15.0
    answer: float = 120.0
    command: float = 600.0
    patience: float = 5.0


def no_proxy(via: str | None) -> tuple[str, int] | None:
    """Reaches everything directly; raises where an endpoint lies behind something."""
    if via is None:
        return None
    raise Unobservable(f"no tunnel through {via} is open", do=f"check that {via} stands and answers")


def no_anchor(name: str) -> str | None:
    """Knows no root."""
    del name
    return None


def no_secrets(secret: SecretRef) -> str:
    """Reveals nothing."""
    raise Unobservable(f"secret:{secret.name} cannot be opened here: no sealed store is at hand")


def quiet(retry: Retry) -> None:
    """Listens to retries and tells nobody."""
    del retry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wire:
    """What the run hands to connectors.

    Attributes:
        station: where this process runs; the machine whose connector names that station is this very one.
        reveal: opens a secret, for the moment of use.
        proxy: the loopback CONNECT proxy that leads through the machine named `via`; None for None.
        anchor: the PEM of a certificate that the sealed store's public part holds (as `vmca`), None if unknown.
        on_retry: is told of every repeated attempt.
        timeouts: see there.
        logins: which logins were refused; what belongs to one run shares them.
    """

    station: Station = "outside"
    reveal: Callable[[SecretRef], str] = no_secrets
    proxy: Callable[[str | None], tuple[str, int] | None] = no_proxy
    anchor: Callable[[str], str | None] = no_anchor
    on_retry: Callable[[Retry], None] = quiet
    timeouts: Timeouts = dataclasses.field(default_factory=Timeouts)
    logins: Logins = dataclasses.field(default_factory=Logins, compare=False)

    def route(self, via: str | None) -> tuple[str, int] | None:
        """Returns the proxy to what lies behind `via`: none on the jumpbox, which is there already."""
        return None if self.station == "jumpbox" else self.proxy(via)

    def repeated(
        self,
        endpoint: str,
        doing: str,
        read: Callable[[], T],
        passes: Callable[[BaseException], bool] | None = None,
    ) -> T:
        """Returns what `read` returns, repeating it while what failed may pass (`retry.reading`); each repetition is told."""
        if not self.timeouts.patience:
            return read()
        from paver.transport import retry  # noqa: PLC0415 - tenacity takes its time to load, and most calls need it never

        return retry.reading(
            read,
            endpoint=endpoint,
            doing=doing,
            tell=self.on_retry,
            seconds=self.timeouts.patience,
            passes=passes,
        )

    def pem(self, roots: Iterable[str]) -> str:
        """Returns one PEM bundle of `roots`, each a PEM text or the name of an anchor; unknown anchors are left out."""
        found = (root if "-----BEGIN" in root else self.anchor(root) for root in roots)
        return "".join(pem if pem.endswith("\n") else pem + "\n" for pem in found if pem)
