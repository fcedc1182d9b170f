"""Which certificate of a host or vCenter is trusted: one that is pinned, or one that a known root issued.

A host starts with a certificate of its own making, known by its fingerprint. Adding it to vCenter replaces that by
one that VMCA issued; the pin no longer holds then, and VMCA's root does. So a host may have both, and whichever
proves the certificate that the server shows is taken for the whole session.
"""

from __future__ import annotations

import ssl
from typing import Protocol

from paver.errors import Unobservable
from paver.transport import tls
from paver.transport.context import Wire
from paver.transport.dial import Proxy


class Trusting(Protocol):
    """The settings that decide."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def pins(self) -> tuple[str, ...]: ...
    @property
    def shown(self) -> tuple[str, ...]: ...
    @property
    def roots(self) -> tuple[str, ...]: ...
    @property
    def server_name(self) -> str | None: ...


def trusted_context(
    settings: Trusting, context: Wire, proxy: Proxy | None
) -> tuple[ssl.SSLContext, str | None]:
    """Returns the context that every connection of the session uses, and the name that is asked for.

    Raises:
        Unobservable: if nothing answers.
        TrustError: if neither a pin nor a root is known, or none holds.
    """
    roots = context.pem(settings.roots)
    seen_before = [context.anchor(name) for name in settings.shown]
    pins = (*settings.pins, *(tls.fingerprint(pem) for pem in seen_before if pem is not None))
    if not pins:
        if not roots:
            raise tls.TrustError(
                f"{settings.name}: nothing is known that its certificate could be checked against",
                why="neither a fingerprint nor a root stands in the site file or the sealed store",
                do="`paver preflight --show-pins` prints what it sees; compare it with the host's console",
            )
        return tls.ca_context(roots), settings.server_name
    try:
        pem = tls.fetch_certificate(
            settings.address, settings.port, proxy=proxy, timeout=context.timeouts.connect
        )
    except OSError as error:
        raise Unobservable(
            f"{settings.name} ({settings.address}:{settings.port}) does not answer",
            why=str(error) or type(error).__name__,
            do="check that it is powered on and that the port is open from here (`paver ports`)",
        ) from error
    if any(tls.matches(pem, pin) for pin in pins):
        return tls.pinned_context(pem), None
    expected, seen = " or ".join(pins), tls.fingerprint(pem)
    if roots:
        return tls.ca_context(roots, unpinned=(expected, seen)), settings.server_name
    raise tls.mismatch(f"{settings.name} ({settings.address})", expected=expected, seen=seen)
