"""Pydantic's findings as diagnostics: our words, the file's positions. No input is ever quoted for a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from paver.errors import nearest
from paver.sitefile import shape, tree
from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.source import Source
from paver.sitefile.values import kind_of, shown

MISSING = "this key is missing"

# What a field wants, by the type of pydantic's error.
_WANTED = {
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "tuple_type": "a list",
    "list_type": "a list",
}


def diagnostics(
    error: ValidationError, source: Source, model: type[BaseModel], prefix: tree.Path = ()
) -> Iterator[Diagnostic]:
    """Yields a diagnostic for each finding of a validation.

    Args:
        error: what `model` refused.
        source: the file, `like` already resolved.
        model: the model that was validated.
        prefix: where in the file the model's map stands.
    """
    root = source.root
    if root is None:
        return
    for found in error.errors(include_url=False, include_input=True):
        if found["type"] == "too_short" and found["input"]:
            continue  # its items are wrong, and a finding about each of them is there
        path, key = _path(root, prefix, found["loc"], missing=found["type"] == "missing")
        below = path[len(prefix) :]
        message, advice = _words(found, model, below, source, path)
        at_key = key or found["type"] in ("extra_forbidden", "missing")
        yield source.at(path, message, advice, key=at_key)


def _path(
    root: tree.Node, prefix: tree.Path, loc: tuple[int | str, ...], *, missing: bool
) -> tuple[tree.Path, bool]:
    """Returns the path of a finding, and whether it is about the key.

    Pydantic's `loc` also has steps that no file has: `[key]`, the tag of a union, a field that a validator made
    up from a scalar. Steps that the tree lacks are left out, except for the key that is missing.
    """
    path = prefix
    for index, step in enumerate(loc):
        _, _, depth = tree.find(root, (*path, step))
        if depth == len(path) + 1 or (missing and index == len(loc) - 1):
            path = (*path, step)
        elif step == "[key]":
            return path, True
    return path, False


def _words(
    found: Any, model: type[BaseModel], below: tree.Path, source: Source, path: tree.Path
) -> tuple[str, str]:
    """Returns message and advice for one of pydantic's errors."""
    kind: str = found["type"]
    context: Mapping[str, Any] = found.get("ctx", {})
    value = found["input"]
    field = shape.field_at(model, below)
    described = (field.description or "") if field else ""
    if kind == "paver":
        return context["message"], context["advice"]
    if kind == "missing":
        return MISSING, described
    if kind == "extra_forbidden":
        return _unknown(model, below, source, path)
    if source.hides(path):
        return "this value is not right here", f"{described} Secrets stand in the sealed store only.".strip()
    if kind in _WANTED:
        return _other_type(value, _WANTED[kind], described)
    if kind == "literal_error":
        return _other_word(value, context["expected"], described)
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} has another form than {context['pattern']}", described
    if kind in ("greater_than_equal", "less_than_equal"):
        word = "less than" if kind == "greater_than_equal" else "more than"
        return f"{shown(value)} is {word} {context.get('ge', context.get('le'))}", described
    if kind in ("too_short", "string_too_short"):
        return "this is empty", described
    if kind == "string_too_long":
        return f"this is longer than {context['max_length']} characters", described
    return f"{shown(value)} is not right", described


def _other_type(value: object, wanted: str, described: str) -> tuple[str, str]:
    given = kind_of(value)
    if isinstance(value, bool):
        given += ", which YAML reads as true or false"
    advice = described
    if wanted == "text" and isinstance(value, bool | int):
        advice = f'Put it in quotes: "{shown(value)}".'
    if wanted == "a list" and isinstance(value, str):
        advice = f"{described} A list stands in brackets, also one of one thing: [a], [a, b].".strip()
    if wanted == "true or false" and isinstance(value, str):
        advice = "Write true or false; yes, no, on, off are text in YAML 1.2."
    if wanted == "a whole number" and isinstance(value, str) and value.strip("+-0123456789._xo") == "":
        advice = "Write it in decimal digits, without quotes, leading zeros or a point."
    return f"{wanted} is wanted here, not {given}", advice


def _other_word(value: object, expected: str, described: str) -> tuple[str, str]:
    """Returns the words for a value that is none of a few; `expected` is pydantic's list, 'a', 'b' or 'c'."""
    words = [word.strip(" '") for part in expected.split(", ") for word in part.split(" or ")]
    if len(words) == 1:
        if shown(value) == words[0]:
            return f"{kind_of(value)} is not {words[0]}", f"Write it without quotes. {described}".strip()
        return f"{shown(value)} is not {words[0]}", described
    near = nearest(str(value), words)
    hint = f"Did you mean {near}? " if near else ""
    return f"{shown(value)} is not known here", f"{hint}Known: {', '.join(words)}."


def _unknown(model: type[BaseModel], below: tree.Path, source: Source, path: tree.Path) -> tuple[str, str]:
    key = str(path[-1]) if path else ""
    above = shape.model_at(model, below[:-1])
    known = list(above.model_fields) if above else []
    near = nearest(key, known)
    node, _, _ = tree.find(source.root, path[:-1]) if source.root else (None, None, 0)
    if near:
        taken = isinstance(node, tree.MapNode) and near in node.entries
        hint = f"Did you mean {near}? That key is here too." if taken else f"Did you mean {near}?"
    else:
        hint = f"Known here: {', '.join(known)}." if known else ""
    return "unknown key", hint
