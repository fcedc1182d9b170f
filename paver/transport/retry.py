"""What may be tried again, for how long, and who is told.

Only what changes nothing when it's done twice: reads, and what says itself that it did not begin. Any other write whose answer was lost is never repeated here: the
engine reads what became of it. A certificate that's refused, a wrong password and a 404 don't get better by asking
again.

Each repetition is told before it's waited for, so that the journal has it; the time is bounded, and the last error
is the one that's raised.
"""

from __future__ import annotations

import dataclasses
import errno
import http.client
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from paver.errors import PaverError
from paver.transport import dial
from paver.transport.tls import TrustError

T = TypeVar("T")

SECONDS = 20.0
"""How long reads are repeated where the caller says nothing else: a service that restarts is back by then."""

_FIRST, _MOST = 0.25, 4.0

_CUT = (
    ConnectionError,
    TimeoutError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    http.client.IncompleteRead,
    http.client.BadStatusLine,
)
_TUNNELLED = "Tunnel connection failed: 502"
"""How `http.client` tells that paver's own tunnel reached nobody: without a number of the system's."""
_BUSY = frozenset({429, 502, 503, 504})


@dataclasses.dataclass(frozen=True)
class Retry:
    """One repeated attempt, as it is journalled.

    Attributes:
        endpoint: the name that the user gave the endpoint.
        doing: the call that is repeated.
        attempt: the attempt that failed, counted from 1.
        error: the failure, in one line, without secrets.
        wait: seconds until the next attempt.
    """

    endpoint: str
    doing: str
    attempt: int
    error: str
    wait: float


def reading(
    do: Callable[[], T],
    *,
    endpoint: str,
    doing: str,
    tell: Callable[[Retry], None],
    seconds: float = SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    passes: Callable[[BaseException], bool] | None = None,
) -> T:
    """Returns what `do` returns, repeating it while the connection fails or the server is busy.

    Args:
        do: reads; may be called several times.
        endpoint: what the user calls the endpoint.
        doing: what is repeated, for the journal.
        tell: is told of each repetition.
        seconds: no repetition begins later than this.
        sleep: waits; an event's `wait` where a run should be able to stop it.
        clock: tells the time in seconds.
        passes: tells whether what failed is tried again, if it is more than a read: `passing` does for those.

    Raises:
        Exception: what `do` raised last, or first if it's nothing that passes.
    """
    end = clock() + seconds
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - tenacity decides on it; most calls never need it, and it takes its time
        failed = [error]

    def go_on() -> T:
        if failed:
            raise failed.pop()
        return do()

    def told(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.upcoming_sleep
        tell(Retry(endpoint, doing, state.attempt_number, _line(error), round(wait, 3)))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passes or passing),
        wait=tenacity.wait_exponential(multiplier=_FIRST, max=_MOST) + tenacity.wait_random(0, _FIRST),
        stop=lambda state: clock() + state.upcoming_sleep >= end,
        before_sleep=told,
        sleep=sleep,
        reraise=True,
    )
    return retrying(go_on)


def passing(error: BaseException) -> bool:
    """Tells whether a failed read may succeed a moment later, by the error or by what caused it."""
    causes = list(dial.behind(error))
    if any(isinstance(cause, TrustError | ssl.SSLCertVerificationError) for cause in causes):
        return False
    return any(_passes(cause) for cause in causes)


def _passes(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, _CUT) or getattr(error, "status", None) in _BUSY:
        return True
    # As a machine that boots: nobody says yet who has its address (no `ConnectionError`, to Python).
    if isinstance(error, OSError) and (
        error.errno == errno.EHOSTUNREACH or str(error).startswith(_TUNNELLED)
    ):
        return True
    if type(error).__module__.partition(".")[0] == "httpx":
        # Imported here: whoever raised it has paid for it already.
        import httpx  # noqa: PLC0415

        return isinstance(error, httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)
    return False


def _line(error: BaseException | None) -> str:
    """Returns an error in one line. Of foreign errors only the kind and the system's words: the rest may hold secrets."""
    if isinstance(error, PaverError):
        return " ".join(f"{error.what}: {error.why}".rstrip(": ").split())
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
