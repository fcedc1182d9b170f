"""YAML for tools of others: what BOSH, Concourse and BUCC read, and what they and users have written for them.

libyaml's parser does the reading, the data are built here from its events: PyYAML's own building goes as deep as the text
wants (libyaml's ends the process there) and expands every alias. Scalars are what Go's YAML makes of them, by which bosh,
fly and Concourse read: a time of day and a date are text, `1e3` is a number. Numbers with a fraction are decimals, as
they were written. Keys are text.

The site file has a parser of its own, which knows where everything stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

MAX_DEPTH = 100
MAX_NODES = 100_000
"""Aliases counted as what they repeat. BUCC's credentials have some 400, a large pipeline some thousands."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_WHOLE = re.compile(
    r"[-+]?(?:0|[1-9][0-9_]{0,300}|0b[01_]{1,63}|0o?[0-7_]{1,20}|0x[0-9a-fA-F_]{1,15})", re.ASCII
)
_FRACTION = re.compile(
    r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,2})?", re.ASCII
)
_LIKE_A_NUMBER = re.compile(r"[-+.]?(?![0-9]+\.[0-9]+\.)[0-9][0-9a-fA-FxobeE_:.+-]*|[yYnN]")
"""What a reader of another version of YAML may take for a number or a truth: it is written in quotes."""
_PLAIN = ("str", "int", "float", "bool", "null", "map", "seq")
_TAGS = frozenset({None, "!", *(f"tag:yaml.org,2002:{name}" for name in _PLAIN)})
_TEXT = frozenset({"!", "tag:yaml.org,2002:str"})


def dumps(value: object, *, sort_keys: bool = True) -> str:
    """Returns plain data as YAML that readers of YAML 1.1 and 1.2 take for the same."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=sort_keys))


def loads(text: str | bytes, *, unique: bool = False) -> Any:
    """Returns the plain data of a YAML text, None of an empty one.

    Args:
        text: one document.
        unique: whether a key that stands twice in a map is an error; else the last one counts, as BOSH has it.

    Raises:
        yaml.YAMLError: it is none, makes anything but plain data, or is more than `MAX_DEPTH` deep or `MAX_NODES` large.
    """
    try:
        events = yaml.parse(text, Loader=_LOADER)
        return _Builder(events, unique=unique).document()
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error


class _Dumper(_DUMPER):  # type: ignore[misc]
    """PyYAML's, with decimals, and with quotes where readers disagree."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: Any, value: str) -> Any:
    style = "'" if _LIKE_A_NUMBER.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _number(dumper: Any, value: Decimal) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:float", str(value))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _number)


def exact(value: Any) -> Any:
    """Returns JSON's data with its fractions as the decimals that `loads` makes of the same text."""
    if isinstance(value, float):
        return _decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return value


class _Builder:
    """Builds the data of one document from YAML's events."""

    def __init__(self, events: Iterator[yaml.Event], *, unique: bool) -> None:
        self._events = events
        self._unique = unique
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._node(next(self._events), 1)
        next(self._events)
        if not isinstance(last := next(self._events), yaml.StreamEndEvent):
            raise _wrong("a second document", last)
        return value

    def _node(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _wrong(f"nested more than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        _no_tag(event)
        before = self._nodes
        self._count(1, event)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(depth)
        else:
            value = self._map(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _wrong(f"more than {MAX_NODES} values, aliases counted as what they repeat", event)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _wrong(f"the alias *{event.anchor[:60]} of nothing that stands before it", event)
        value, nodes = self._anchors[event.anchor]
        self._count(nodes, event)
        return value

    def _list(self, depth: int) -> list[Any]:
        values = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._node(event, depth + 1))
        return values

    def _map(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            name = self._key(key)
            value = self._node(next(self._events), depth + 1)
            if name is None:
                for one in value if isinstance(value, list) else [value]:
                    if not isinstance(one, dict):
                        raise _wrong("`<<` merges maps only", key)
                    merged = {**one, **merged}
            elif self._unique and name in found:
                raise _wrong(f"the key {name[:60]} stands twice", key)
            else:
                found[name] = value
        return {**merged, **found}

    def _key(self, event: yaml.Event) -> str | None:
        """Returns a key, None for the one that merges."""
        if isinstance(event, yaml.AliasEvent):
            value = self._alias(event)
            if isinstance(value, str):
                return value
        elif isinstance(event, yaml.ScalarEvent):
            _no_tag(event)
            self._count(1, event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (event.value, 1)
            return None if event.value == "<<" and event.implicit[0] else str(event.value)
        raise _wrong("a key that is no text", event)


def _no_tag(event: Any) -> None:
    if event.tag not in _TAGS:
        raise _wrong(f"the tag {event.tag[:60]}", event)


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if event.tag in _TEXT or (event.tag is None and not event.implicit[0]):
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _WHOLE.fullmatch(text):
        return _whole(text.replace("_", ""))
    if _FRACTION.fullmatch(text) and not text.lstrip("+-").isdigit():
        return _decimal(text)
    # What is left of digits alone, as `089`, is a name to some and a number to others.
    return text


def _whole(text: str) -> int:
    digits = text.lstrip("+-")
    if digits.startswith("0") and digits[1:].isdigit():
        text = text.replace("0", "0o", 1)
    return int(text, 0)


def _decimal(text: str) -> Decimal:
    written = format(Decimal(text), "f")
    return Decimal(written if "." in written else f"{written}.0")


def _wrong(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
