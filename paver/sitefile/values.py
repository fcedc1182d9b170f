"""The kinds of value that stand in a site file: parsed, frozen, each with words for what is wrong.

Each is an annotated type for pydantic models: text comes in from YAML, a typed value stands in the model, and
the canonical text goes out again, into digests. `x-paver-type` is what the reference calls the type.
"""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, WrapSerializer
from pydantic_core import PydanticCustomError

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


def wrong(message: str, advice: str = "") -> PydanticCustomError:
    """Returns what a validator raises: what is wrong, and what would be right. Neither may hold a secret."""
    return PydanticCustomError("paver", "{message}", {"message": message, "advice": advice})


def shown(value: object) -> str:
    """Returns a value of the site file as messages quote it: printable, and cut if it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text if len(text) <= 60 else text[:57] + "…"


def kind_of(value: object) -> str:
    """Returns a value with what YAML takes it for, where the two could be mistaken: `the text 20`."""
    if isinstance(value, bool) or value is None or isinstance(value, Mapping | list | tuple):
        return shown(value)
    if isinstance(value, int):
        return f"the number {value}"
    return f"the text {shown(value)}"


def text_of(value: object, what: str, advice: str) -> str:
    """Returns a value that must be text, or raises that it is not `what`."""
    if isinstance(value, bool | int):
        raise wrong(f"{kind_of(value)} is not {what}", f'If you mean it, put it in quotes: "{shown(value)}".')
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is not {what}", advice)
    return value


def _reads(parse: Callable[[str], object], text: str) -> bool:
    """Tells whether quotes would be enough for a number to be taken."""
    try:
        parse(text)
    except PydanticCustomError:
        return False
    return True


def written(
    parse: Callable[[str], T], kind: type[T], what: str, advice: str, pattern: str | None = None
) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    """Returns the annotations of a value that is written as text."""

    def validate(value: object) -> T:
        if isinstance(value, kind) and not isinstance(value, str):
            return value
        if isinstance(value, int) and not _reads(parse, shown(value)):
            raise wrong(f"{kind_of(value)} is not {what}", advice)
        return parse(text_of(value, what, advice))

    schema: dict[str, Any] = {"type": "string", "x-paver-type": what.removeprefix("a ").removeprefix("an ")}
    if pattern:
        schema["pattern"] = pattern
    return BeforeValidator(validate), PlainSerializer(str), WithJsonSchema(schema)


def _frozen(value: Mapping[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(value))


Map = Annotated[
    Mapping[K, V], AfterValidator(_frozen), WrapSerializer(lambda value, handler: handler(dict(value)))
]
"""A map that cannot be changed."""

List = Annotated[tuple[V, ...], Field(strict=False)]
"""A YAML list, as a tuple."""

Unordered = Annotated[
    tuple[V, ...],
    Field(strict=False),
    WrapSerializer(lambda value, handler: handler(tuple(sorted(value)))),
]
"""A YAML list whose order means nothing: digests are over the sorted one, positions stay those of the file."""


_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
LABEL_ADVICE = (
    "A name has 1 to 63 lower-case letters, digits and hyphens, and neither starts nor ends with a hyphen."
)


def is_label(text: str) -> bool:
    """Tells whether `text` is a DNS label in lower case."""
    return bool(_LABEL.match(text))


def _label(text: str) -> str:
    if not is_label(text):
        raise wrong(f"{shown(text)} is not a name", f"{_meant(text, is_label)}{LABEL_ADVICE}")
    return text


def _meant(text: str, good: Callable[[str], bool]) -> str:
    """Returns a question after the name that was meant, where capitals or underscores are all that is wrong with it."""
    meant = text.lower().replace("_", "-")
    return f"Did you mean {meant}? " if good(meant) else ""


Label = Annotated[
    str,
    *written(_label, str, "a name", LABEL_ADVICE, r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
]
"""A DNS label (RFC 1123, section 2.1): names that paver gives to machines, sites, networks, zones."""

_FQDN_ADVICE = (
    "A domain name has at least two labels of lower-case letters, digits and hyphens, joined by dots."
)


def fqdn(text: str) -> str:
    """Returns a domain name without a final dot, or raises what is wrong with it."""
    text = text.removesuffix(".")
    if not _is_fqdn(text):
        raise wrong(f"{shown(text)} is not a domain name", f"{_meant(text, _is_fqdn)}{_FQDN_ADVICE}")
    return text


def _is_fqdn(text: str) -> bool:
    labels = text.split(".")
    good = len(text) <= 253 and len(labels) >= 2 and all(_LABEL.match(label) for label in labels)
    return good and not labels[-1].isdigit()


DomainName = Annotated[str, *written(fqdn, str, "a domain name", _FQDN_ADVICE)]

_NAME_ADVICE = "Names of objects in vSphere have 1 to 80 printable characters, without `/`, `\\` and `%`."


def _object_name(text: str) -> str:
    if not 1 <= len(text) <= 80 or not text.isprintable() or set(text) & set("/\\%") or text != text.strip():
        raise wrong(f"{shown(text)} is not an object's name", _NAME_ADVICE)
    return text


ObjectName = Annotated[str, *written(_object_name, str, "an object's name", _NAME_ADVICE)]
"""The name of an object in the IaaS's own inventory: a datastore, a switch, a port group, a folder."""

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_PATH_ADVICE = "A path is relative to the site file's folder, or starts with `/`."


def path_of(text: str) -> str:
    """Returns a text that is a path, or raises what it is instead."""
    if "://" in text:
        raise wrong(
            "this is a URL, not a path", "Fetch it first: nothing is downloaded while paving. " + _PATH_ADVICE
        )
    if _DRIVE.match(text):
        raise wrong(f"{shown(text)} is a path of Windows", _PATH_ADVICE)
    if not text or not text.isprintable():
        raise wrong(f"{shown(text) or 'empty text'} is not a path", _PATH_ADVICE)
    return text


PathText = Annotated[str, *written(path_of, str, "a path", _PATH_ADVICE)]
"""A file's path as the user wrote it; `Site.path` makes it absolute."""


_URL_ADVICE = "A URL with the host and, if it isn't 443, the port: https://s3.corp.example:9000."


def _url(text: str) -> str:
    parts = urllib.parse.urlsplit(text) if text.isprintable() and " " not in text else None
    try:
        good = parts is not None and parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if parts is not None and parts.scheme == "http":
        raise wrong("the URL is not https", "Nothing is sent without TLS.")
    if not good or parts is None or parts.query or parts.fragment:
        raise wrong("this is not an https URL", _URL_ADVICE)
    if parts.username is not None or parts.password is not None:
        raise wrong("the URL holds a login", "Put it in `login`, as a reference to a secret.")
    return text.rstrip("/")


Url = Annotated[str, *written(_url, str, "an https URL", _URL_ADVICE, r"^https://")]


_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdwy])\Z")
_DURATION_ADVICE = "A number and a unit: 30m, 3h, 30d, 4w, 1y (of 365 days)."


def _duration(text: str) -> dt.timedelta:
    found = _DURATION.match(text)
    if not found:
        raise wrong(f"{shown(text)} is not a duration", _DURATION_ADVICE)
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > 100 * _UNITS["y"]:
        raise wrong(f"{shown(text)} is longer than 100 years", _DURATION_ADVICE)
    return dt.timedelta(seconds=seconds)


def duration_text(value: dt.timedelta) -> str:
    """Returns a duration as the site file writes it, in the largest unit that fits."""
    seconds = value.days * 86400 + value.seconds
    unit = next(unit for unit in "ydhm" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[
    dt.timedelta,
    written(_duration, dt.timedelta, "a duration", _DURATION_ADVICE, r"^[1-9][0-9]*[mhdwy]$")[0],
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*[mhdwy]$", "x-paver-type": "duration"}),
]
