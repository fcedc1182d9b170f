"""The SOAP of vCenter's single sign-on: asking its token service for a token, and the envelopes of its admin API.

Pure: text in, text out. A bearer token is asked for by name and password (WS-Trust 1.3) and stands, as it came,
in the header of the admin API's `Login`; it is signed, so not a byte of it may change.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

ISSUE = f"{_TRUST}/RST/Issue"
ADMIN = "urn:sso/version2"
"""SOAP actions of the token service and of the admin API."""

_TOKEN = re.compile(
    r"<(?:[\w-]+:)?RequestedSecurityToken\b[^>]*>\s*(<.*?>)\s*</(?:[\w-]+:)?RequestedSecurityToken>",
    re.DOTALL,
)
_LIFETIME = dt.timedelta(minutes=5)
_VALID = dt.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A refusal: its class as far as the server names it, and its words."""

    name: str
    text: str


@dataclasses.dataclass(frozen=True)
class Reference:
    """A managed object of the admin API."""

    type_name: str
    id: str


def issue(user: str, password: str, now: dt.datetime) -> str:
    """Returns the request for a bearer token."""
    who = (
        f"<wsse:UsernameToken><wsse:Username>{escape(user)}</wsse:Username>"
        f"<wsse:Password>{escape(password)}</wsse:Password></wsse:UsernameToken>"
    )
    body = (
        f'<RequestSecurityToken xmlns="{_TRUST}"><TokenType>{_SAML}</TokenType>'
        f"<RequestType>{_TRUST}/Issue</RequestType>"
        f'<Lifetime><wsu:Created xmlns:wsu="{_UTILITY}">{_time(now)}</wsu:Created>'
        f'<wsu:Expires xmlns:wsu="{_UTILITY}">{_time(now + _LIFETIME)}</wsu:Expires></Lifetime>'
        '<Renewing Allow="false" OK="false"></Renewing><Delegatable>false</Delegatable>'
        f"<KeyType>{_TRUST}/Bearer</KeyType><SignatureAlgorithm>{_RSA_SHA256}</SignatureAlgorithm>"
        "</RequestSecurityToken>"
    )
    return _envelope(body, _secured(who, now))


def token_in(answer: str) -> str | None:
    """Returns the token in an answer, byte for byte, None if there is none."""
    found = _TOKEN.search(answer)
    return found[1] if found else None


def login(manager: Reference, token: str, now: dt.datetime) -> str:
    """Returns the admin API's login with a token."""
    return _envelope(_call(manager, "Login", {}), _secured(token, now))


def call(managed: Reference, method: str, arguments: Mapping[str, Any]) -> str:
    """Returns a call of the admin API; arguments are text, or maps of text."""
    return _envelope(_call(managed, method, arguments))


def result(answer: str) -> Any:
    """Returns the element of an answer's body, without its namespaces."""
    from defusedxml import ElementTree  # noqa: PLC0415 - only where the API is asked

    root = ElementTree.fromstring(answer)
    body = next((child for child in root if _local(child.tag) == "Body"), None)
    return None if body is None else next(iter(body), None)


def fault_in(answer: str) -> Fault | None:
    """Returns the fault in an answer, None if it is none; an answer that is no SOAP is one."""
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415 - only where the API is asked

    try:
        element = result(answer)
    except ParseError:
        return Fault("NoSoap", " ".join(answer.split())[:200])
    if element is None or _local(element.tag) != "Fault":
        return None
    code, text, detail = (
        text_of(element, "faultcode"),
        text_of(element, "faultstring"),
        child(element, "detail"),
    )
    inner = next(iter(detail), None) if detail is not None else None
    name = _local(inner.tag) if inner is not None else code.rpartition(":")[2]
    return Fault(re.sub(r"(?:Fault)+\Z", "", name) or name, text)


def children(element: Any, name: str) -> Iterator[Any]:
    """Yields the children of that local name."""
    yield from (one for one in element if _local(one.tag) == name)


def child(element: Any, name: str) -> Any:
    """Returns the first child of that local name, None if there is none."""
    return next(children(element, name), None)


def text_of(element: Any, *path: str) -> str:
    """Returns the text at a path of local names, empty if there is none."""
    for name in path:
        element = child(element, name)
        if element is None:
            return ""
    return (element.text or "").strip()


def reference(element: Any, name: str) -> Reference:
    """Returns the managed object that a child names."""
    found = child(element, name)
    return Reference(found.get("type", ""), (found.text or "").strip())


def _call(managed: Reference, method: str, arguments: Mapping[str, Any]) -> str:
    this = f"<_this type={quoteattr(managed.type_name)}>{escape(managed.id)}</_this>"
    return f'<{method} xmlns="urn:sso">{this}{_fields(arguments)}</{method}>'


def _fields(arguments: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_fields(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"
        for name, value in arguments.items()
    )


def _secured(inner: str, now: dt.datetime) -> str:
    stamp = (
        f'<wsu:Timestamp wsu:Id="_{uuid.uuid4()}"><wsu:Created>{_time(now)}</wsu:Created>'
        f"<wsu:Expires>{_time(now + _VALID)}</wsu:Expires></wsu:Timestamp>"
    )
    return f'<wsse:Security xmlns:wsse="{_SECURITY}" xmlns:wsu="{_UTILITY}">{stamp}{inner}</wsse:Security>'


def _envelope(body: str, header: str = "") -> str:
    head = f"<soap:Header>{header}</soap:Header>" if header else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soap:Envelope xmlns:soap="{_ENVELOPE}">{head}<soap:Body>{body}</soap:Body></soap:Envelope>'
    )


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
