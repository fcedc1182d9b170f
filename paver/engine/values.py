"""How values flow: outputs of other resources, references to secrets, and their canonical encoding.

A field of a wish may hold an `Output` (a fact of another resource, known once that one stands) or a
`Secret` (a reference; the value never enters a plan, a journal or a digest, only its random version does).
"""

from __future__ import annotations

import dataclasses
import decimal
import enum
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NewType, TypeVar, cast

from paver.signing import canonical

ResourceId = NewType("ResourceId", str)
"""`kind:key`, as in `vsphere.port-group:esx-01/mgmt`; the key is made of the site file's keys."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Output:
    """A fact of another resource, to be put in before any method of the resource that holds it runs."""

    of: ResourceId
    fact: str


@dataclasses.dataclass(frozen=True)
class Secret:
    """A reference into the sealed store; `made_by` is the resource that makes it, if paver makes it."""

    name: str
    made_by: ResourceId | None = None


@dataclasses.dataclass(frozen=True)
class InUse:
    """A secret as its consumer has it: what to log in with while a newer version is still to be brought there.

    Attributes:
        secret: the reference.
        versions: the fact of the consumer that says which versions stand there, by `key`.
        key: of this secret among them.
    """

    secret: Secret
    versions: Any
    key: str

    @property
    def name(self) -> str:
        """The name in the sealed store."""
        return self.secret.name

    @property
    def version(self) -> str | None:
        """The version that stands at the consumer, None where it does not say."""
        found = self.versions.get(self.key) if isinstance(self.versions, Mapping) else None
        return found if isinstance(found, str) else None


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A value that the plan cannot know yet; it may only become known."""

    source: str

    def __str__(self) -> str:
        return "(known later)"


def output(of: ResourceId, fact: str, type_: type[T]) -> T:
    """Returns a placeholder that type-checks as the fact it stands for."""
    del type_
    return cast("T", Output(of, fact))


def resource_id(kind: str, key: str) -> ResourceId:
    """Returns the id of the resource of `kind` with `key`."""
    return ResourceId(f"{kind}:{key}")


def kind_of(id_: str) -> str:
    """Returns the kind that an id names."""
    return id_.partition(":")[0]


def settled(value: object) -> bool:
    """Tells whether `value` holds no placeholder, no secret and no unknown."""
    if isinstance(value, Output | Secret | Unknown):
        return False
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(settled(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(settled(item) for item in value.values())
    if isinstance(value, tuple | list | set | frozenset):
        return all(settled(item) for item in value)
    return True


def references(value: object) -> Iterator[Output | Secret]:
    """Yields every output and secret inside of `value` (dataclasses, mappings and sequences are entered)."""
    yield from _inside(value, (Output, Secret))


def in_use(value: object) -> Iterator[InUse]:
    """Yields every secret inside of `value` that is taken as its consumer has it."""
    yield from _inside(value, (InUse,))


def _inside(value: object, wanted: tuple[type, ...]) -> Iterator[Any]:
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, wanted):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _inside(getattr(value, field.name), wanted)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _inside(item, wanted)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _inside(item, wanted)


def substitute(value: Any, known: Callable[[Output], Any]) -> Any:
    """Returns `value` with each `Output` replaced by what `known` returns for it (it may return `Unknown`)."""
    if isinstance(value, Output):
        return known(value)
    if value is None or isinstance(value, str | int | Secret | type):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: new
            for field in dataclasses.fields(value)
            if field.init and (new := substitute(old := getattr(value, field.name), known)) is not old
        }
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        new_map = {key: substitute(item, known) for key, item in value.items()}
        return new_map if any(new_map[key] is not value[key] for key in new_map) else value
    if isinstance(value, tuple | list):
        new_items = [substitute(item, known) for item in value]
        if all(new is old for new, old in zip(new_items, value, strict=True)):
            return value
        return type(value)(new_items)
    return value


def encode(value: object, version: Callable[[Secret], str | None] | None = None) -> canonical.Json:
    """Returns `value` as canonical JSON's types.

    Sets become sorted lists, dataclasses and mappings objects, addresses and enums strings. A secret
    becomes `{"secret": name}` and, with `version`, the version that stands in the sealed store, a decimal
    `{"number": text}`: canonical JSON has whole numbers only.

    Raises:
        TypeError: for anything that has no canonical form (floats among them).
    """
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return encode(value.value, version)
    if isinstance(value, decimal.Decimal):
        return {"number": str(value)}
    if isinstance(value, Output):
        return {"output": [value.of, value.fact]}
    if isinstance(value, Unknown):
        return {"unknown": value.source}
    if isinstance(value, Secret):
        if version is None:
            return {"secret": value.name}
        return version(value) or {"unknown": f"secret {value.name}"}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name), version) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): encode(item, version) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((encode(item, version) for item in value), key=canonical.dumps)
    if isinstance(value, tuple | list):
        return [encode(item, version) for item in value]
    if isinstance(
        value,
        ipaddress.IPv4Address | ipaddress.IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network,
    ):
        return str(value)
    msg = f"{type(value).__name__} has no canonical form"
    raise TypeError(msg)


def has_unknown(encoded: canonical.Json) -> bool:
    """Tells whether an encoded value holds an unknown or an output that is not put in."""
    if isinstance(encoded, dict):
        if len(encoded) == 1 and ("unknown" in encoded or "output" in encoded):
            return True
        return any(has_unknown(item) for item in encoded.values())
    if isinstance(encoded, list):
        return any(has_unknown(item) for item in encoded)
    return False
