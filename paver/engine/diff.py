"""What differs between wish and facts: same-named fields, compared by what they mean.

Sets compare without order, addresses and networks by value, everything else by its canonical form: True is no 1, and
upper case is not lower case. A vendor that takes two spellings for one does so by a rule of its own, which its kind knows:
it reads such a name as the wish spells it. A wished field without a fact of the same name is a fault of the kind, found by the conformance suite.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paver.engine.resource import Facts, Resource
from paver.engine.values import Secret, encode, has_unknown
from paver.signing import canonical
from paver.signing.canonical import Json

_LONGEST = 80


@dataclasses.dataclass(frozen=True)
class Change:
    """One field that differs.

    Attributes:
        field: its name.
        before: what is there.
        after: what is wished.
        unknown: that `after` is not known yet.
    """

    field: str
    before: Json
    after: Json
    unknown: bool = False


def same(wished: Json, found: Json) -> bool:
    """Tells whether two encoded values mean the same."""
    if isinstance(wished, str) and isinstance(found, str):
        return wished == found or (_address(wished) is not None and _address(wished) == _address(found))
    if isinstance(wished, list) and isinstance(found, list):
        return len(wished) == len(found) and all(same(a, b) for a, b in zip(wished, found, strict=True))
    if isinstance(wished, dict) and isinstance(found, dict):
        return wished.keys() == found.keys() and all(same(wished[key], found[key]) for key in wished)
    # Nothing else has more than one canonical form, but to Python True equals 1.
    return type(wished) is type(found) and wished == found


def changes(
    resource: Resource[Any], facts: Facts, version: Callable[[Secret], str | None]
) -> tuple[Change, ...]:
    """Returns the managed fields in which `facts` differ from the wish, by name."""
    found = []
    for name, wished in sorted(resource.wish().items()):
        if name in resource.unmanaged:
            continue
        after = encode(wished, version)
        before = encode(getattr(facts, name))
        if isinstance(wished, frozenset | set) and isinstance(before, list):
            before = encode(frozenset(getattr(facts, name)))
        if has_unknown(after):
            found.append(Change(name, before, after, unknown=True))
        elif not same(after, before):
            found.append(Change(name, before, after))
    return tuple(found)


def put_back(facts: Facts, former: Mapping[str, Any]) -> tuple[Change, ...]:
    """Returns the fields in which `facts` differ from the former values that deleting a setting puts back."""
    named = {field.name for field in dataclasses.fields(facts)}
    found = [
        Change(name, encode(getattr(facts, name)), encode(value))
        for name, value in sorted(former.items())
        if name in named
    ]
    return tuple(change for change in found if not same(change.after, change.before))


def since(
    resource: Resource[Any] | None,
    facts: Facts | None,
    planned: Iterable[Change] | None,
    version: Callable[[Secret], str | None],
    site: str,
) -> str:
    """Returns what changed since a plan was made, in words.

    Args:
        resource: the wish, None where nobody wishes for it any more.
        facts: as they are now.
        planned: what differed then, None where it was absent.
        version: of secrets.
        site: whose plan it is.
    """
    if facts is None:
        return "it is gone"
    if facts.mark is not None and facts.mark.site != site:
        return f"it belongs to the site {facts.mark.site}"
    whose = "" if facts.mark is not None else ", without a mark of paver's"
    if planned is None:
        return f"it was absent, and stands there now{whose}"
    # Without a wish, `planned` says to what it goes back: nothing of what it was.
    then = {change.field: change for change in planned if resource is not None}
    now = (
        {change.field: change for change in changes(resource, facts, version)} if resource is not None else {}
    )
    told = []
    for name in sorted({*then, *now}):
        is_now = _shown(now[name].before) if name in now else "as wished"
        was = _shown(then[name].before) if name in then else "as wished"
        if is_now != was:
            told.append(f"{name} is {is_now}, and was {was}")
    return "; ".join(told) or f"what was read of it then is not what it is now{whose}"


def _shown(value: Json) -> str:
    text = canonical.dumps(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def managed(facts: Facts | None) -> Json:
    """Returns the facts as they enter a digest: all fields but the mark's action, which changes by acting."""
    if facts is None:
        return None
    encoded = encode(facts)
    if not isinstance(encoded, dict):
        raise TypeError(type(facts).__name__)
    if facts.mark is not None:
        mark = facts.mark
        encoded["mark"] = {"complete": mark.complete, "id": mark.was or mark.id, "site": mark.site}
    return encoded


def fingerprint(facts: Facts | None) -> str | None:
    """Returns the digest of managed facts, None for absent."""
    return None if facts is None else canonical.digest(managed(facts))


def wish_digest(resource: Resource[Any]) -> str:
    """Returns the digest of a wish as the driver wrote it, placeholders in place."""
    return canonical.digest({"id": resource.id, "wish": encode(resource.wish())})


def _address(text: str) -> object:
    for parse in (ipaddress.ip_address, ipaddress.ip_network):
        try:
            return parse(text)
        except ValueError:
            continue
    return None
