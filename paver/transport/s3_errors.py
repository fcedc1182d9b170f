"""What an object store answers when it refuses, and when it does not answer."""

from __future__ import annotations

from paver.errors import PaverError, Unobservable
from paver.transport import dial, tls

_WRONG_KEY = (
    "the account is not known there, or its secret is another one",
    "check the account and its secret; the sealed store's may be newer than the store's, or the other way round",
)
_HINTS = {
    "SignatureDoesNotMatch": _WRONG_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "AccessDenied": (
        "the account may not do that",
        "give it the right in the store, or name another account",
    ),
    "RequestTimeTooSkewed": ("this machine's clock and the store's differ", "check the time on both"),
}


class S3Error(PaverError):
    """The store refused.

    Attributes:
        code: the store's own word, as in `NoSuchBucket`.
        status: the HTTP status.
    """

    def __init__(self, name: str, call: str, code: str, status: int, message: str) -> None:
        hint = _HINTS.get(code, _HINTS["AccessDenied"] if status == 403 else ("", ""))
        super().__init__(
            f"{name}: {call} was refused with {code} ({status})", seen=message[:400], why=hint[0], do=hint[1]
        )
        self.code = code
        self.status = status


def unanswered(error: Exception, name: str, endpoint: str) -> PaverError:
    """Returns what to raise where a store could not be asked: its certificate was refused, or nobody answered."""
    called = f"{name} ({endpoint})"
    refused = dial.refused_certificate(error)
    if refused is not None:
        return tls.explain(refused, called)
    return Unobservable(
        f"{called} does not answer",
        why=type(error).__name__,
        do="check that it runs and can be reached from here (`paver ports`)",
    )
