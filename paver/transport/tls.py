"""Which TLS servers are trusted: one certificate that is pinned, or all that known roots issued.

pyVmomi's own pinning is not used: it looks at the thumbprint only after a chain was refused, so that on an unverified
context a wrong one connects. Here the certificate is fetched first, compared by whoever knows the pin, and becomes
the only one that the session's context accepts, for SOAP, uploads and files alike. Nothing is sent over the
connection that fetches it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl

from paver.errors import BadInput, Refused, Unobservable
from paver.transport import dial
from paver.transport.dial import Proxy

_HEX = re.compile(r"[0-9a-f]+")
_ALGORITHMS = {40: "sha1", 64: "sha256"}

# OpenSSL's X509_V_ERR_*: what `SSLCertVerificationError.verify_code` says.
_NOT_YET_VALID = 9
_EXPIRED = 10
_NAMES = frozenset({62, 64})
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})


class TrustError(Refused):
    """A server's certificate is not the one, or not one of those, that is trusted."""


class _PinnedContext(ssl.SSLContext):
    """Remembers what it pins, and what was seen instead, so that a refusal can say what was expected."""

    pin: str = ""
    seen: str = ""


def fetch_certificate(
    host: str,
    port: int = 443,
    *,
    proxy: Proxy | None = None,
    timeout: float = 15.0,
    server_name: str | None = None,
) -> str:
    """Returns the certificate that a server shows, in PEM. **Nothing is proven by it**: compare its fingerprint.

    Args:
        host: the address to dial.
        port: its port.
        proxy: a CONNECT proxy in between.
        timeout: seconds for the connection and for each step of the handshake.
        server_name: the name to ask for, where one address serves several.

    Raises:
        OSError: nothing answers, or it doesn't speak TLS (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        dial.tcp(host, port, proxy, timeout) as raw,
        context.wrap_socket(raw, server_hostname=server_name) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
    if shown is None:
        raise ssl.SSLError(f"{host}:{port} shows no certificate")
    return ssl.DER_cert_to_PEM_cert(shown)


def pinned_context(pem: str) -> ssl.SSLContext:
    """Returns a context that connects only to a server with the key of this very certificate, whatever its name.

    Raises:
        BadInput: `pem` is not one certificate.
    """
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # PARTIAL_CHAIN makes the certificate its own anchor; without it one that a CA issued would need that CA.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_der(pem))
    except ssl.SSLError:
        raise BadInput("this is not one certificate in PEM") from None
    context.pin = fingerprint(pem)
    return context


def ca_context(roots_pem: str, *, unpinned: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Returns a context that connects to servers whose certificate one of the roots issued for the name dialled.

    The system's own roots are not trusted. An issuing CA without its root is an anchor too.

    Args:
        roots_pem: the roots.
        unpinned: the fingerprints that are pinned, and the one that the server shows instead: whose certificate no root
            issued either is told by those.

    Raises:
        TrustError: no root is given: it would trust nobody, and must never fall back to trusting anybody.
        BadInput: a root is not a certificate.
    """
    if "-----BEGIN CERTIFICATE-----" not in roots_pem:
        raise TrustError(
            "no root is known that a certificate could be checked against",
            why="the sealed store has none, and the site file's trust.extra_roots names none",
            do="run the phase `trust` first, or name the root's file in trust.extra_roots",
        )
    if unpinned is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.pin, context.seen = unpinned
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=roots_pem)
    except (ssl.SSLError, ValueError) as error:
        raise BadInput("a root that should be trusted is not a certificate in PEM", why=str(error)) from None
    return context


def handshake(
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    name: str = "",
    server_name: str | None = None,
    timeout: float = 15.0,
) -> str:
    """Connects, verifies, hangs up, and returns the certificate that was trusted, in PEM.

    Args:
        host: the address to dial.
        port: its port.
        context: from `pinned_context` or `ca_context`.
        name: what the user calls the server.
        server_name: the name that its certificate must bear, if it's not `host`.
        timeout: seconds for the connection and for each step of the handshake.

    Raises:
        TrustError: the certificate is not trusted; says why.
        Unobservable: nothing answers, or it doesn't speak TLS.
    """
    called = name or f"{host}:{port}"
    try:
        with (
            dial.tcp(host, port, None, timeout) as raw,
            context.wrap_socket(raw, server_hostname=server_name or host) as tls,
        ):
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        seen = fetch_certificate(host, port, timeout=timeout, server_name=server_name)
        raise explain(error, called, seen=seen, context=context) from error
    except OSError as error:
        raise Unobservable(
            f"{called} ({host}:{port}) does not answer",
            why=str(error) or type(error).__name__,
            do="check that it runs and that the port is open from here (`paver ports`)",
        ) from error


def explain(
    error: ssl.SSLCertVerificationError, name: str, *, seen: str = "", context: ssl.SSLContext | None = None
) -> TrustError:
    """Returns a refused certificate as an error that says what was expected and what was seen.

    Args:
        error: OpenSSL's refusal.
        name: what the user calls the server.
        seen: the certificate that it shows, in PEM, if it's known.
        context: the context that refused it; if it pins a certificate, that one is named.
    """
    shown = _shown(seen)
    if error.verify_code == _EXPIRED:
        return TrustError(
            f"{name}: its certificate has expired",
            why="the certificate's last day is over, or this machine's clock is wrong",
            do="check the clock of this machine first; then renew the server's certificate",
            seen=shown,
        )
    if error.verify_code == _NOT_YET_VALID:
        return TrustError(
            f"{name}: its certificate is not valid yet",
            why="a clock is wrong: this machine's, or the one of whoever made the certificate",
            do="check both clocks",
            seen=shown,
        )
    if error.verify_code in _NAMES:
        return TrustError(
            f"{name}: its certificate is for another name",
            why=str(error.verify_message).rstrip("."),
            do="dial it by a name that its certificate bears, or have it issued for this one",
            seen=shown,
        )
    if isinstance(context, _PinnedContext):
        return mismatch(name, expected=context.pin, seen=fingerprint(seen) if seen else context.seen)
    if error.verify_code in _UNKNOWN_ISSUER:
        return TrustError(
            f"{name}: its certificate was not issued by a root that is trusted here",
            why="it is self-signed, another CA issued it, or somebody stands in between",
            do="if it's right, add its root to trust.extra_roots",
            seen=shown,
        )
    return TrustError(f"{name}: its certificate is refused", why=str(error.verify_message), seen=shown)


def mismatch(name: str, *, expected: str, seen: str) -> TrustError:
    """Returns the error for a server that shows another certificate than the one that is pinned."""
    if expected and not expected.removeprefix("sha256:").strip("0:"):
        return TrustError(
            f"{name} is not pinned yet: its fingerprint in the site file is a placeholder",
            seen=seen,
            why="nobody said yet which certificate is the right one, so none is believed",
            do="compare it with the fingerprint on the server's own console, then write it into the site file;"
            " `paver preflight --show-pins` prints those of all hosts",
        )
    return TrustError(
        f"{name} shows another certificate than the one that is pinned",
        seen=f"{seen or 'another certificate'}\nexpected {expected}",
        why="the site was paved from elsewhere since, so that the sealed store here is behind and lacks the certificate that "
        "the server has got; or the server was installed anew, its certificate was replaced, or somebody stands in between",
        do="compare it with the fingerprint on the server's own console before you change anything. If it is the server's own,"
        " and the site was paved from elsewhere: put the newest sealed store in the place of this one (of the folder that it"
        " was paved from, or /var/lib/paver/sites/<site>/site.sealed on the jumpbox). If the server was installed anew: write"
        " the fingerprint into the site file",
    )


def fingerprint(pem: str) -> str:
    """Returns a certificate's SHA-256 as the site file writes it: `sha256:9f:3c:…`."""
    return "sha256:" + _colons(hashlib.sha256(_der(pem)).hexdigest())


def thumbprint(pem: str) -> str:
    """Returns a certificate's SHA-1 as ESXi's console and vSphere's API write it: `9F:3C:…`."""
    return _colons(hashlib.sha1(_der(pem), usedforsecurity=False).hexdigest()).upper()


def matches(pem: str, printed: str) -> bool:
    """Tells whether `printed` is this certificate's SHA-256 or SHA-1, with or without colons and `sha256:`.

    Raises:
        BadInput: `printed` is neither.
    """
    plain = re.sub(r"^sha-?(1|256)[:=]", "", printed.strip().lower()).replace(":", "").replace(" ", "")
    algorithm = _ALGORITHMS.get(len(plain))
    if algorithm is None or not _HEX.fullmatch(plain):
        raise BadInput(
            f"{printed[:120]!r} is not a certificate's fingerprint",
            do="write sha256: and 64 hex digits, as the host's console shows them",
        )
    return hmac.compare_digest(hashlib.new(algorithm, _der(pem), usedforsecurity=False).hexdigest(), plain)


def check_thumbprint(pem: str, printed: str, name: str) -> None:
    """Does nothing if `printed` is this certificate's fingerprint, SHA-256 or SHA-1.

    Raises:
        TrustError: it is another one's.
        BadInput: it is no fingerprint.
    """
    if not matches(pem, printed):
        seen = fingerprint(pem) if len(printed.replace(":", "")) >= 64 else thumbprint(pem)
        raise mismatch(name, expected=printed.strip(), seen=seen)


def _shown(pem: str) -> str:
    if not pem:
        return ""
    # Imported here: only an error needs it.
    from cryptography import x509  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        called = ", ".join(str(name.value) for name in names)
    except (x509.ExtensionNotFound, ValueError):
        called = certificate.subject.rfc4514_string()
    return (
        f"{fingerprint(pem)}\nfor {called}, until {certificate.not_valid_after_utc:%Y-%m-%d}, "
        f"issued by {certificate.issuer.rfc4514_string()}"
    )


def _der(pem: str) -> bytes:
    try:
        if pem.count("-----BEGIN ") != 1:
            raise ValueError("not one")  # noqa: TRY301  # Python decodes several as if they were one
        return ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")
    except ValueError:
        raise BadInput("this is not one certificate in PEM") from None


def _colons(digits: str) -> str:
    return ":".join(digits[index : index + 2] for index in range(0, len(digits), 2))
