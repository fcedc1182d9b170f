"""Canonical JSON (RFC 8785), narrowed to what never differs between two writers.

Everything that is signed, hashed or compared by its bytes goes through here. Floats do not exist in it: their
printed form is where implementations disagree. Integers stay within ±(2^53 - 1), which every JSON reader keeps
exactly (RFC 8785, appendix B and RFC 7493, section 2.2). Errors name the place and the type, never the value,
since values may be secrets.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import NoReturn, TypeAlias

from paver.errors import BadInput

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
MAX_BYTES = 64 * 1024 * 1024

_EXACT = frozenset({str, int, bool, type(None), list, tuple, dict})


class CanonicalError(BadInput):
    """A value or a text that has no canonical form; `what` names the place in it."""


def dumps(value: object) -> bytes:
    """Returns the one canonical encoding of `value`.

    Types are exact: dict (with str keys), list, tuple (as a list), str, int, bool, None. No subclass passes, so
    that an enum or a secret's wrapper is never written by accident.

    Raises:
        CanonicalError: a type, an integer, a string or a depth that has no canonical form.
    """
    if _is_plain(value, 0):
        return _SORTING.encode(value).encode()
    return _KEEPING.encode(_ordered(value, "$", 0)).encode()


def loads(data: bytes | str, *, max_bytes: int = MAX_BYTES) -> Json:
    """Returns the value in a JSON text, which need not be canonical itself.

    Raises:
        CanonicalError: not JSON, not UTF-8, a key given twice, a float, an integer or depth or size beyond the
            limits, a lone surrogate.
    """
    return _ordered(_parsed(data, max_bytes), "$", 0)


def loads_exact(data: bytes) -> Json:
    """Returns the value in `data`, whose bytes must be its canonical encoding.

    Raises:
        CanonicalError: as `loads`, or the bytes differ from the canonical ones.
    """
    value = loads(data)
    if dumps(value) != data:
        raise CanonicalError(
            "this JSON is not in its canonical form",
            why="white space, the order of keys or escapes differ",
            do="take the file as paver wrote it, unedited",
        )
    return value


def digest(value: object) -> str:
    """Returns the SHA-256 of the canonical encoding, in lower-case hex."""
    return hashlib.sha256(dumps(value)).hexdigest()


def _is_plain(value: object, depth: int) -> bool:
    """Tells at a glance whether `value` is sound and has ASCII keys only: nearly everything, many times a second."""
    if type(value) is str:
        return value.isascii() or _is_encodable(value)
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if type(value) is dict:
        if depth == MAX_DEPTH:
            return False
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(item, depth + 1):
                return False
        return True
    if type(value) is list or type(value) is tuple:
        if depth == MAX_DEPTH:
            return False
        for item in value:  # noqa: SIM110 - a generator costs as much as what it looks at
            if not _is_plain(item, depth + 1):
                return False
        return True
    return value is None or type(value) is bool


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ordered(value: object, place: str, depth: int) -> Json:
    """Returns `value` with every object's keys in canonical order, having checked all of it."""
    if depth > MAX_DEPTH:
        raise CanonicalError(f"{place[:200]}: nested deeper than {MAX_DEPTH} levels")
    if type(value) not in _EXACT:
        raise CanonicalError(f"{place}: a {type(value).__name__} has no canonical JSON form")
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value, place)
    if isinstance(value, list | tuple):
        return [_ordered(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return _object(value, place, depth)
    return value if isinstance(value, bool) else None


def _object(value: dict[object, object], place: str, depth: int) -> Json:
    keys: list[str] = []
    for key in value:
        if type(key) is not str:
            raise CanonicalError(f"{place}: a key is a {type(key).__name__}, not a str")
        keys.append(_text(key, place))
    # RFC 8785, 3.2.3: keys are sorted by UTF-16 code units, which differs from code points beyond U+FFFF.
    keys.sort(key=None if all(key.isascii() for key in keys) else _utf16)
    return {key: _ordered(value[key], f"{place}.{key}", depth + 1) for key in keys}


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _text(value: str, place: str) -> str:
    # Told apart from the codec's error, which carries the whole string: that may be a secret.
    if not value.isascii() and not _is_encodable(value):
        raise CanonicalError(f"{place}: a string has a lone surrogate")
    return value


def _integer(value: int, place: str) -> int:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise CanonicalError(
            f"{place}: an integer beyond ±(2^53 - 1)",
            why="JSON readers would round it",
            do="write it as a string",
        )
    return value


def _parsed(data: bytes | str, max_bytes: int) -> object:
    if len(data) > max_bytes:
        raise CanonicalError(f"this JSON has {len(data)} bytes, more than the {max_bytes} allowed")
    try:
        text = data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(f"this JSON is not UTF-8 (byte {error.start})") from None
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # `from None`: the decoder's error keeps the document, secrets included.
        raise CanonicalError(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise CanonicalError(f"this JSON is nested deeper than {MAX_DEPTH} levels") from None
    return value


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise CanonicalError(f"the key {key[:80]!r} is given twice")
            seen.add(key)
    return read


def _no_float(_: str) -> NoReturn:
    raise CanonicalError("floats are not used in paver's formats", do="write an integer or a string")


def _no_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not JSON")


def _bounded(digits: str) -> int:
    if len(digits) > 17:  # "-9007199254740991"
        raise CanonicalError("an integer beyond ±(2^53 - 1)", do="write it as a string")
    return int(digits)


_encoder = functools.partial(
    json.JSONEncoder, ensure_ascii=False, separators=(",", ":"), check_circular=False
)
_KEEPING = _encoder()
# By code points: of keys that are all ASCII that is the order by UTF-16 code units too.
_SORTING = _encoder(sort_keys=True)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_no_float, parse_constant=_no_constant, parse_int=_bounded
)
