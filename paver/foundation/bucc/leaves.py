"""The certificates that `bucc up` has the bosh CLI make from the seeded authorities, and until when they hold. Pure.

The CLI makes each once, for 365 days unless a variable says otherwise, and never anew as long as it stands in `creds.yml`
(BUCC's vars-store). What is taken out there is made anew by the next `bucc up`, and the director's machine with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any


def span(creds: Mapping[str, Any]) -> dict[str, str]:
    """Returns from when to when the one of them holds that ends first, `begins` and `ends` in ISO 8601; empty if there is none."""
    first = min((leaf for _, leaf in _leaves(creds)), key=lambda leaf: leaf.not_valid_after_utc, default=None)
    if first is None:
        return {}
    return {"begins": first.not_valid_before_utc.isoformat(), "ends": first.not_valid_after_utc.isoformat()}


def fresh(span: Mapping[str, Any], days: int) -> bool:
    """Tells whether what `span` returned ends in more than `days`; what is not known counts as fresh."""
    try:
        begins, ends = (dt.datetime.fromisoformat(str(span[key])) for key in ("begins", "ends"))
    except (KeyError, ValueError):
        return True
    return not _ending(begins, ends, days)


def held(creds: Mapping[str, Any], seeds: Mapping[str, Any], days: int) -> dict[str, Any]:
    """Returns `creds` without the certificates that end within `days`, or that a former authority of the name issued."""
    authorities = {one.subject: one for one in map(_loaded, seeds.values()) if one is not None}
    stale = {
        name
        for name, leaf in _leaves(creds)
        if _ending(leaf.not_valid_before_utc, leaf.not_valid_after_utc, days)
        or (leaf.issuer in authorities and not _issued(leaf, authorities[leaf.issuer]))
    }
    return {name: value for name, value in creds.items() if name not in stale}


def _issued(leaf: Any, authority: Any) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _ending(begins: dt.datetime, ends: dt.datetime, days: int) -> bool:
    # Of short ones the last third at most: whoever asked for more would have them made anew each time.
    return ends - min(dt.timedelta(days=days), (ends - begins) / 3) <= now()


def now() -> dt.datetime:
    """Returns the time."""
    return dt.datetime.now(dt.UTC)


def _leaves(creds: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields name and certificate of all that may issue none themselves."""
    from cryptography import x509  # noqa: PLC0415 - only where BUCC runs

    for name, value in creds.items():
        found = _loaded(value)
        if found is None:
            continue
        try:
            authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            authority = False
        if not authority:
            yield name, found


def _loaded(value: object) -> Any:
    from cryptography import x509  # noqa: PLC0415

    pem = value.get("certificate") if isinstance(value, Mapping) else None
    if not isinstance(pem, str) or "BEGIN CERTIFICATE" not in pem:
        return None
    return x509.load_pem_x509_certificate(pem.encode())
