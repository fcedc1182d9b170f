"""Signs that only look like others: what a web page, a chat or a word processor puts where a site file wants a blank, a quote or a hyphen."""

from __future__ import annotations

import re
import unicodedata

# What is no blank to YAML, and what takes no room at all.
_BLANKS = "\u00a0\u00ad\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"
_HYPHENS = "\u2010-\u2015\u2212"
_QUOTES = "\u2018-\u201f"
_LOOKS = ((_BLANKS, "blank"), (_HYPHENS, "hyphen"), (_QUOTES, "quote"))
_ANY = re.compile(f"[{_BLANKS}{_HYPHENS}{_QUOTES}]")
_FIRST = re.compile(f"(?:^|[:,{{\\[-])[ \\t]*([{_BLANKS}{_QUOTES}])")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def within(text: str, start: int, end: int) -> str:
    """Returns advice on a sign in a part of a line that only looks like another one; empty where there is none."""
    found = _ANY.search(text, start, end)
    return f"{_told(found[0])}, in column {found.start() + 1}: type it anew." if found else ""


def in_the_way(line: str) -> int | None:
    """Returns the column, counted from 0, of a sign that keeps a line from being read as YAML; None where there is none.

    That is one in the indentation, or where a value begins. Within a text and in a comment it is in nobody's way.
    """
    found = _FIRST.search(_COMMENT.sub("", line))
    return found.start(1) if found else None


def _told(sign: str) -> str:
    name = unicodedata.name(sign, "unnamed").lower()
    other = next(word for signs, word in _LOOKS if re.match(f"[{signs}]", sign))
    return f"U+{ord(sign):04X} ({name}) only looks like a {other}"
