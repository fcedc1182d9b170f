"""The text of a site file, for error positions and excerpts; secrets in it are masked in every excerpt.

A site file holds no secrets, only references to them. A user who wrote one in by mistake is told so, and must
not find it in a terminal's scroll-back or a build's log afterwards.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

from paver.sitefile import lookalikes, tree
from paver.sitefile.diagnostic import Diagnostic, Severity, cells

# The breaks that PyYAML counts as line ends (yaml/reader.py, Reader.forward).
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_SECRET_NAME = re.compile(
    r"pa?s+w|pass_?phrase|secret|token|credential|login|licen[cs]e|private", re.IGNORECASE
)
_SECRET_LINE = re.compile(
    r"\b(?!secrets\b)[\w.-]*(?:pa?s+w|pass_?phrase|secret|token|credential|login|licen[cs]e|private)[\w.-]*[\"']?\s*:\s+(?=\S)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?:secret|file):[A-Za-z0-9._/~-]*\Z")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_URL_LOGIN = re.compile(r"://[^/\s]*@")
_MASK = "********"
_WIDTH = 96


@dataclasses.dataclass(frozen=True)
class Source:
    """A site file as it was read.

    Attributes:
        file: its name as the user gave it.
        text: its text, decoded.
        root: its tree, or None where it isn't YAML.
    """

    file: str
    text: str = dataclasses.field(repr=False)
    root: tree.Node | None = dataclasses.field(default=None, repr=False)

    @functools.cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines, without their ends."""
        return tuple(LINE_BREAK.split(self.text))

    def at(
        self,
        path: Sequence[tree.Key],
        message: str,
        advice: str = "",
        *,
        key: bool = False,
        severity: Severity = Severity.ERROR,
    ) -> Diagnostic:
        """Returns a finding about the value at `path`, or about the nearest part of the file that exists.

        Args:
            path: keys from the root; may go on into what isn't there (a missing key).
            message: what is wrong, without any secret.
            advice: what would be right.
            key: point to the key, not to its value.
            severity: error or warning.
        """
        span = self._span(path, key=key)
        return self.about(span, message, advice, path=path, severity=severity)

    def about(
        self,
        span: tree.Span,
        message: str,
        advice: str = "",
        *,
        path: Sequence[tree.Key] = (),
        severity: Severity = Severity.ERROR,
    ) -> Diagnostic:
        """Returns a finding about the part of the file at `span`; positions outside of it are moved inside."""
        line = min(span.line, len(self.lines) - 1)
        text = self.lines[line]
        start = min(span.column, len(text)) if line == span.line else len(text)
        end = span.end_column if span.end_line == line else len(text.rstrip())
        excerpt, caret = _excerpt(text, start, max(end, start + 1), self._spans(line))
        if severity is Severity.ERROR:
            advice = f"{advice}\n{lookalikes.within(text, start, end)}".strip()
        return Diagnostic(
            file=self.file,
            line=line + 1,
            column=start + 1,
            path=tree.dotted(path),
            message=_safe(message),
            advice="\n".join(_safe(line) for line in advice.splitlines()),
            excerpt=excerpt,
            caret=caret,
            severity=severity,
        )

    def hides(self, path: tree.Path) -> bool:
        """Tells whether the value at `path` may be a secret, so that no message quotes it."""
        node, _, depth = tree.find(self.root, path) if self.root else (None, None, 0)
        return depth == len(path) and isinstance(node, tree.ScalarNode) and _is_secret(path, node)

    def _span(self, path: Sequence[tree.Key], *, key: bool) -> tree.Span:
        if self.root is None:
            return tree.Span(0, 0, 0, 1)
        node, key_span, depth = tree.find(self.root, path)
        if depth == 0 and path:
            return tree.Span(node.span.line, node.span.column, node.span.line, node.span.column + 1)
        exact = depth == len(path) and not key
        if exact and isinstance(node, tree.ScalarNode) and node.value is not None:
            return node.span
        return key_span or node.span

    def _spans(self, line: int) -> list[tuple[int, int]]:
        spans = list(self._secrets.get(line, ()))
        text = self.lines[line]
        if self.root is None:
            # Without a tree there are only words to go by: mask from a telling key to the end of the line.
            found = _SECRET_LINE.search(text)
            if found and not _REFERENCE.match(text[found.end() :].rstrip(" ,}]")):
                spans.append((found.end(), len(text)))
        return spans

    @functools.cached_property
    def _secrets(self) -> Mapping[int, Sequence[tuple[int, int]]]:
        spans: dict[int, list[tuple[int, int]]] = {}
        if self.root is None:
            return spans
        for path, node in tree.walk(self.root):
            if isinstance(node, tree.ScalarNode) and _is_secret(path, node):
                span = node.span
                for line in range(span.line, min(span.end_line + 1, len(self.lines))):
                    start = span.column if line == span.line else 0
                    end = span.end_column if line == span.end_line else len(self.lines[line])
                    if end > start:
                        spans.setdefault(line, []).append((start, end))
        return spans


def _is_secret(path: tree.Path, node: tree.ScalarNode) -> bool:
    if node.value is None or isinstance(node.value, bool):
        return False
    text = str(node.value)
    if _PEM.search(text):
        return True
    if _URL_LOGIN.search(text):
        return True
    if path == ("secrets",) or path[:2] == ("secrets", "key"):
        return not _REFERENCE.match(text) and text != "passphrase"
    if _REFERENCE.match(text) or (path and path[-1] == "user"):
        return False
    # Below `secrets` stand the store's settings; a path in there is none.
    return any(isinstance(key, str) and key != "secrets" and _SECRET_NAME.search(key) for key in path)


def _excerpt(
    text: str, start: int, end: int, masked: Sequence[tuple[int, int]]
) -> tuple[str, tuple[int, int]]:
    """Returns the line as shown, and what to underline in terminal cells."""
    shown: list[str] = []
    origin: list[int] = []
    column = 0
    while column < len(text):
        span = next((span for span in masked if span[0] <= column < span[1]), None)
        if span is None:
            shown.append(_printable(text[column]))
            origin.append(column)
            column += 1
        else:
            shown += _MASK
            origin += [span[0]] * len(_MASK)
            column = span[1]
    first = next((i for i, column in enumerate(origin) if column >= start), len(shown))
    last = next((i for i, column in enumerate(origin) if column >= end), len(shown))
    while first and first < len(origin) and origin[first - 1] == start:
        first -= 1
    covering = next((span for span in masked if span[0] < start < span[1]), None)
    if covering is not None:
        first = origin.index(covering[0])
    left = max(0, first - _WIDTH // 2) if len(shown) > _WIDTH else 0
    right = min(len(shown), left + _WIDTH)
    head, tail = "…" if left else "", "…" if right < len(shown) else ""
    before = head + "".join(shown[left:first])
    under = "".join(shown[first : min(last, right)])
    return head + "".join(shown[left:right]) + tail, (cells(before), max(1, cells(under)))


def _safe(text: str) -> str:
    """Returns text that quotes the user's values without what a terminal would obey."""
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
