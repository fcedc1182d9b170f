"""Takes known secrets out of text that other tools wrote: logs, traces, support bundles.

It is the second line: the first is that no secret is handed to what writes logs. A secret is found as it is, and as
JSON, XML, URL, shell and base64 write it, base64 also inside of a longer encoded text (`user:password` in an
Authorization header, a whole file in guestinfo); a text of several lines also line by line.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final
from xml.sax import saxutils

from paver.sealed.secret import SecretValue

REDACTED: Final = "[redacted]"
MINIMUM = 6
_LINE_MINIMUM = 16


class Redactor:
    """Replaces every form of the given values by `[redacted]`.

    Values shorter than 6 characters are left alone: taking them out would take apart every text, and no policy of
    ours makes such a secret.
    """

    def __init__(self, values: Iterable[SecretValue | str]) -> None:
        forms: set[str] = set()
        for value in values:
            forms.update(_forms(value.reveal() if isinstance(value, SecretValue) else value))
        # By their first characters, longest first: one look-up a place decides whether a form may begin there.
        self._forms: dict[str, list[str]] = {}
        for form in sorted(forms, key=len, reverse=True):
            self._forms.setdefault(form[:MINIMUM], []).append(form)
        self._beginnings = {start[:length] for start in self._forms for length in range(1, MINIMUM)}
        self._longest = max(map(len, forms), default=0)

    def __repr__(self) -> str:
        return "Redactor()"

    def redact(self, text: str) -> str:
        """Returns `text` without the secrets."""
        return self._shown(text, len(text))[0]

    def stream(self) -> RedactedStream:
        """Returns a stream for text that comes in pieces, which may cut a secret in two."""
        return RedactedStream(self)

    def lines(self, source: Iterable[str]) -> Iterator[str]:
        """Yields the pieces of `source` without the secrets, also those that span pieces."""
        stream = self.stream()
        for piece in source:
            if ready := stream.feed(piece):
                yield ready
        if rest := stream.flush():
            yield rest

    def _ready(self, text: str) -> tuple[str, str]:
        """Returns what of `text` can be shown now, redacted, and what has to wait for more."""
        shown, rest = self._shown(text, self._held(text, 0))
        return shown, text[rest:]

    def _shown(self, text: str, end: int) -> tuple[str, int]:
        """Returns `text` redacted up to `end`, or to the end of a secret that reaches beyond, and that place."""
        shown, place = [], 0
        for start in [at for at in range(len(text) - MINIMUM + 1) if text[at : at + MINIMUM] in self._forms]:
            if start >= end:
                break
            found = self._form_at(text, start) if start >= place else 0
            if found:
                shown += [text[place:start], REDACTED]
                place = start + found
                if place > end:
                    # What lay in the secret was no beginning of another one.
                    end = self._held(text, place)
        shown.append(text[place:end])
        return "".join(shown), max(place, end)

    def _form_at(self, text: str, start: int) -> int:
        """Returns the length of the longest form that stands at `start`, or 0."""
        for form in self._forms[text[start : start + MINIMUM]]:
            if text.startswith(form, start):
                return len(form)
        return 0

    def _held(self, text: str, start: int) -> int:
        """Returns from where on `text` may be the beginning of a secret whose rest is still to come."""
        for place in range(max(start, len(text) - self._longest + 1), len(text)):
            begun = text[place : place + MINIMUM]
            if len(begun) < MINIMUM:
                if begun in self._beginnings:
                    return place
            elif begun in self._forms:
                tail = text[place:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms[begun]):
                    return place
        return len(text)


class RedactedStream:
    """Text in pieces in, redacted text out; holds back only what may be the beginning of a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._waiting = ""

    def feed(self, text: str) -> str:
        """Returns what can be shown after `text` came."""
        shown, self._waiting = self._redactor._ready(self._waiting + text)  # noqa: SLF001  # one thought, two classes
        return shown

    def flush(self) -> str:
        """Returns what was held back; nothing more will come."""
        rest, self._waiting = self._redactor.redact(self._waiting), ""
        return rest


def _forms(value: str) -> Iterator[str]:
    pieces = {value, value.strip()}
    if "\n" in value:
        pieces |= {
            line for line in value.splitlines() if len(line) >= _LINE_MINIMUM and not line.startswith("-----")
        }
    for piece in sorted(pieces):
        if len(piece) >= MINIMUM:
            yield from (form for form in _written(piece) if len(form) >= MINIMUM)


def _written(piece: str) -> Iterator[str]:
    yield piece
    for ascii_only in (True, False):
        yield json.dumps(piece, ensure_ascii=ascii_only)[1:-1]
    yield json.dumps(piece)[1:-1].replace("/", "\\/")
    # Python, Go and HTML tools differ in how they write < > & in JSON and quotes in XML.
    yield "".join(f"\\u{ord(c):04x}" if c in "<>&" else c for c in json.dumps(piece)[1:-1])
    yield saxutils.escape(piece)
    yield saxutils.escape(piece, {'"': "&quot;"})
    yield saxutils.escape(piece, {'"': "&quot;", "'": "&apos;"})
    yield saxutils.escape(piece, {'"': "&#34;", "'": "&#39;", "\n": "&#xA;"})
    yield saxutils.escape(piece, {'"': "&quot;", "'": "&#x27;"})
    yield shlex.quote(piece).strip("'")
    yield repr(piece)[1:-1]
    data = piece.encode("utf-8", "surrogatepass")
    for safe in ("", "/", "!$&'()*+,;=:@/"):
        quoted = urllib.parse.quote(data, safe=safe)
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield urllib.parse.quote_plus(data)
    yield data.hex()
    for skipped in range(3):
        yield from _inside_base64(data, skipped)


def _inside_base64(data: bytes, skipped: int) -> Iterator[str]:
    """Yields the characters that `data` alone decides when it begins `skipped` bytes into a group of three."""
    encoded = base64.b64encode(bytes(skipped) + data).decode().rstrip("=")
    first = (skipped * 8 + 5) // 6
    last = (skipped + len(data)) * 8 // 6
    if last - first >= MINIMUM:
        inner = encoded[first:last]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
