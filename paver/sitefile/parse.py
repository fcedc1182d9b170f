"""YAML text to a tree with positions, by rules that surprise nobody.

libyaml's parser does the reading, or PyYAML's own where they differ; the tree is built here from its events, so that limits
hold while reading, before anything is expanded. What differs from `yaml.safe_load`:

- Scalars follow the core schema of YAML 1.2 where people agree on it: `true`, `false`, `null`, decimal whole
  numbers. `no`, `on`, `0123`, `1:30`, `8.0`, `2026-01-01` are text.
- Keys are text, always, and stand once. No tags, no merge keys, one document.
- Size, depth, number of nodes (aliases counted as what they repeat) are limited.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from paver.sitefile import decode, lookalikes, tree
from paver.sitefile.diagnostic import SiteErrors
from paver.sitefile.source import Source

# libyaml where PyYAML has it: a tenth of the time. Its words for what is wrong are not those that are told.
FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OTHERWISE = re.compile(r"[\t\ufeff?!]|[|>][-+0-9]*#")
"""What libyaml takes in more places than PyYAML, or reads as something else."""

MAX_DEPTH = 32
MAX_NODES = 50_000
MAX_ALIASES = 200

_BRACKETED = re.compile(r"(?:^|[:,{\[-])\s*\[[^\[\]]*\]\s*\Z")
_REFERENCE = re.compile(r":\s+secret:\s+\S")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})\Z")
_WORDS: dict[str, tree.Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}

# PyYAML's words for what goes wrong most often, and ours.
_PROBLEMS = (
    (
        "found character '\\t' that cannot start any token",
        "a tab stands where YAML wants spaces",
        "Indent with spaces; most editors can convert tabs.",
    ),
    (
        "mapping values are not allowed here",
        "a `:` stands where no key can be",
        "Check the indentation of this line and the one before; put text that holds `: ` in quotes.",
    ),
    (
        "could not find expected ':'",
        "a key without a `:`",
        "Write `key: value`; check the indentation of this line and the one before.",
    ),
    (
        "expected ',' or '}'",
        "a `{` that isn't closed, or a `,` left out",
        "Between the entries of `{…}` stand commas, and `}` closes it.",
    ),
    (
        "expected ',' or ']'",
        "a `[` that isn't closed, or a `,` left out",
        "Between the entries of `[…]` stand commas, and `]` closes it.",
    ),
    (
        "but found '<stream end>'",
        "the file ends inside a `{` or a `[` that isn't closed",
        "`}` closes a `{`, `]` a `[`; perhaps the end of the file is lost.",
    ),
    (
        "while scanning a quoted scalar",
        "a quote that isn't closed",
        "Close the text with the same quote that opens it.",
    ),
    (
        "expected <block end>",
        "the indentation doesn't fit what stands above",
        "Keys of the same map start in the same column.",
    ),
)


def parse(data: bytes | str, file: str) -> Source:
    """Returns the text of a site file with its tree.

    Args:
        data: the file's content; bytes must be UTF-8, with or without a byte order mark.
        file: its name, for messages.

    Raises:
        SiteErrors: the text isn't YAML, is beyond a limit, or holds what site files don't have.
    """
    text = decode.decode(data, file)
    source = Source(file, text)
    try:
        builder, root = _built(source, yaml.SafeLoader if OTHERWISE.search(text) else FAST)
    except (yaml.YAMLError, ValueError):
        builder, root = _in_words(source)
    found = Source(file, text, root)
    if builder.found:
        raise SiteErrors([found.about(span, message, advice) for span, message, advice in builder.found])
    return found


def _in_words(source: Source) -> tuple[_Builder, tree.Node]:
    """Reads by PyYAML's own parser, whose words are known here, what was not understood.

    Raises:
        SiteErrors: it is not understood by that one either.
    """
    try:
        return _built(source, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        _refuse_yaml(source, error)
    except ValueError:
        # Of an escape that is no character it says nothing more; libyaml says where it stands.
        try:
            return _built(source, FAST)
        except yaml.MarkedYAMLError as error:
            _refuse_yaml(source, error)


def _built(source: Source, loader: Any) -> tuple[_Builder, tree.Node]:
    builder = _Builder(source, yaml.parse(source.text, Loader=loader))
    return builder, builder.document()


class _Builder:
    """Builds the tree of one document from YAML's events.

    What leaves the rest of the text readable is gathered in `found`; anything else ends the reading at once.
    """

    def __init__(self, source: Source, events: Iterator[yaml.Event]) -> None:
        self.found: list[tuple[tree.Span, str, str]] = []
        self._source = source
        self._events = events
        self._anchors: dict[str, tuple[tree.Node, int]] = {}
        self._anchored: dict[str, int] = {}
        self._open: set[str] = set()
        self._aliases = 0
        self._nodes = 0

    def document(self) -> tree.Node:
        next(self._events)
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            self._refuse(
                tree.Span(0, 0, 0, 1),
                "the file is empty",
                "`paver init` writes a site file to start from.",
            )
        root = self._node(next(self._events), 1)
        next(self._events)
        last = next(self._events)
        if not isinstance(last, yaml.StreamEndEvent):
            self._refuse(_span(last), "a second document", "A site file is one YAML document: remove `---`.")
        return root

    def _node(self, event: yaml.Event, depth: int) -> tree.Node:
        span = _span(event)
        if depth > MAX_DEPTH:
            self._refuse(span, "nested too deeply", f"A site file nests at most {MAX_DEPTH} levels.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, span)
        opened = typing.cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)
        self._no_tag(opened.tag, span)
        anchor = opened.anchor
        if anchor is not None:
            first = self._anchored.setdefault(anchor, span.line)
            if anchor in self._anchors or anchor in self._open:
                advice = f"It is already there in line {first + 1}: give one of them another name."
                self.found.append((span, f"the anchor &{anchor} stands here twice", advice))
            self._open.add(anchor)
        before = self._nodes
        self._count(1, span)
        node: tree.Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, span)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(span, depth)
        else:
            node = self._map(span, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (node, self._nodes - before)
        return node

    def _alias(self, event: yaml.AliasEvent, span: tree.Span) -> tree.Node:
        if event.anchor in self._open:
            self._refuse(span, f"the alias *{event.anchor} holds itself", "Write the value out.")
        if event.anchor not in self._anchors:
            self._refuse(
                span,
                f"an alias without an anchor: *{event.anchor}",
                f"Define it above by `&{event.anchor}`, or write the value out.",
            )
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._refuse(span, "too many aliases", f"A site file has at most {MAX_ALIASES} of them.")
        node, size = self._anchors[event.anchor]
        self._count(size, span)
        return node

    def _count(self, nodes: int, span: tree.Span) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(
                span,
                "too many values",
                f"A site file has at most {MAX_NODES} of them, repeated ones counted.",
            )

    def _scalar(self, event: yaml.ScalarEvent, span: tree.Span) -> tree.ScalarNode:
        text: str = event.value
        if event.style:  # a plain one's is None, libyaml's is ""
            return tree.ScalarNode(text, span)
        if text in _WORDS:
            return tree.ScalarNode(_WORDS[text], span)
        if _INTEGER.match(text):
            return tree.ScalarNode(int(text), span)
        return tree.ScalarNode(text, span)

    def _list(self, span: tree.Span, depth: int) -> tree.ListNode:
        items: list[tree.Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return tree.ListNode(tuple(items), _spanning(span, event))

    def _map(self, span: tree.Span, depth: int) -> tree.MapNode:
        entries: dict[str, tree.Node] = {}
        keys: dict[str, tree.Span] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_span = _span(event)
            key = self._key(event, key_span)
            if key in keys:
                first = keys[key].line + 1
                message = f"the key {tree.dotted((key,))} stands here twice"
                advice = f"It is already there in line {first}: keep one of them."
                self.found.append((key_span, message, advice))
            self._count(1, key_span)
            value = self._node(next(self._events), depth + 1)
            keys.setdefault(key, key_span)
            entries.setdefault(key, value)
        return tree.MapNode(entries, keys, _spanning(span, event))

    def _key(self, event: yaml.Event, span: tree.Span) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if self._source.lines[span.line].startswith("{{", span.column - 1):
                advice = "Nothing is filled into a site file: write the value itself."
                self._refuse(span, "`{{` of a template", advice)
            self._refuse(span, "a key that isn't text", "Keys are single words.")
        self._no_tag(event.tag, span)
        if event.anchor is not None:
            self._refuse(span, "an anchor on a key", "Anchors stand before values only.")
        key: str = event.value
        if key == "<<" and not event.style:
            advice = "Use `like: <other>`: it takes over what the other one says."
            self.found.append((span, "a merge key `<<`", advice))
        if not key:
            self._refuse(span, "a key without a name", "Write `name: value`.")
        return key

    def _no_tag(self, tag: str | None, span: tree.Span) -> None:
        if tag is not None and tag != "!":
            self.found.append(
                (span, f"a tag: {tag}", "Site files have no tags (`!name`): write the plain value.")
            )

    def _refuse(self, span: tree.Span, message: str, advice: str) -> NoReturn:
        raise SiteErrors([self._source.about(span, message, advice)])


def _span(event: yaml.Event) -> tree.Span:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:  # only where an event was not read from a text
        return tree.Span(0, 0, 0, 1)
    return tree.Span(start.line, start.column, end.line, end.column)


def _spanning(span: tree.Span, last: yaml.Event) -> tree.Span:
    end = _span(last)
    return tree.Span(span.line, span.column, end.end_line, end.end_column)


def _refuse_yaml(source: Source, error: yaml.MarkedYAMLError) -> NoReturn:
    where = error.problem_mark or error.context_mark
    said = ", ".join(text for text in (error.context, error.problem) if text)
    message, advice = f"not YAML: {error.problem or 'unreadable'}", error.context or ""
    for pattern, better, what_to_do in _PROBLEMS:
        if pattern in said:
            message, advice = better, what_to_do
            break
    opened = error.context_mark
    if opened is not None and (
        "quoted scalar" in said or "while scanning a simple key" in said or _at_end(source, where)
    ):
        where = opened
    elif opened is not None and "that isn't closed" in message:
        advice += f" It opens in line {opened.line + 1}."
    line, column = (where.line, where.column) if where else (0, 0)
    span = tree.Span(line, column, line, column + 1)
    raise SiteErrors([source.about(*_cause(source, span, message, advice))]) from None


def _cause(source: Source, span: tree.Span, message: str, advice: str) -> tuple[tree.Span, str, str]:
    """Returns where, what and what to do, by what is often the cause of what YAML stumbles over."""
    for line in (span.line - 1, span.line):
        column = lookalikes.in_the_way(source.lines[line]) if 0 <= line < len(source.lines) else None
        if column is not None:
            return tree.Span(line, column, line, column + 1), "a sign that is not what it looks like", ""
    text = source.lines[span.line] if span.line < len(source.lines) else ""
    if _BRACKETED.search(text[: span.column]) and text[span.column : span.column + 1] not in ",]}#":
        quoted = 'Put text that begins with `[` in quotes: "[datastore1] iso/vcsa.iso".'
        return span, "text behind the `]` of a list", quoted
    if _REFERENCE.search(text):
        return span, message, "A reference has no blank behind its colon: `secret:<name>`."
    return span, message, advice


def _at_end(source: Source, where: yaml.error.Mark | None) -> bool:
    """Tells whether nothing follows: then what was opened is a better place than the end of the file."""
    return where is not None and not "".join(source.lines[where.line :])[where.column :].strip()
