"""YAML text to a tree with marks, by rules that surprise nobody.

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
        raise SiteErrors([found.marked(mark, message, advice) for mark, message, advice in builder.found])
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
        self.found: list[tuple[tree.Mark, str, str]] = []
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
                tree.Mark(0, 0, 0, 1),
                "the file is empty",
                "`paver init` writes a site file to start from.",
            )
        root = self._node(next(self._events), 1)
        next(self._events)
        last = next(self._events)
        if not isinstance(last, yaml.StreamEndEvent):
            self._refuse(_mark(last), "a second document", "A site file is one YAML document: remove `---`.")
        return root

    def _node(self, event: yaml.Event, depth: int) -> tree.Node:
        mark = _mark(event)
        if depth > MAX_DEPTH:
            self._refuse(mark, "nested too deeply", f"A site file nests at most {MAX_DEPTH} levels.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark)
        opened = typing.cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)
        self._no_tag(opened.tag, mark)
        anchor = opened.anchor
        if anchor is not None:
            first = self._anchored.setdefault(anchor, mark.line)
            if anchor in self._anchors or anchor in self._open:
                advice = f"It is already there in line {first + 1}: give one of them another name."
                self.found.append((mark, f"the anchor &{anchor} stands here twice", advice))
            self._open.add(anchor)
        before = self._nodes
        self._count(1, mark)
        node: tree.Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(mark, depth)
        else:
            node = self._map(mark, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (node, self._nodes - before)
        return node

    def _alias(self, event: yaml.AliasEvent, mark: tree.Mark) -> tree.Node:
        if event.anchor in self._open:
            self._refuse(mark, f"the alias *{event.anchor} holds itself", "Write the value out.")
        if event.anchor not in self._anchors:
            self._refuse(
                mark,
                f"an alias without an anchor: *{event.anchor}",
                f"Define it above by `&{event.anchor}`, or write the value out.",
            )
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._refuse(mark, "too many aliases", f"A site file has at most {MAX_ALIASES} of them.")
        node, size = self._anchors[event.anchor]
        self._count(size, mark)
        return node

    def _count(self, nodes: int, mark: tree.Mark) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(
                mark,
                "too many values",
                f"A site file has at most {MAX_NODES} of them, repeated ones counted.",
            )

    def _scalar(self, event: yaml.ScalarEvent, mark: tree.Mark) -> tree.ScalarNode:
        text: str = event.value
        if event.style:  # a plain one's is None, libyaml's is ""
            return tree.ScalarNode(text, mark)
        if text in _WORDS:
            return tree.ScalarNode(_WORDS[text], mark)
        if _INTEGER.match(text):
            return tree.ScalarNode(int(text), mark)
        return tree.ScalarNode(text, mark)

    def _list(self, mark: tree.Mark, depth: int) -> tree.ListNode:
        items: list[tree.Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return tree.ListNode(tuple(items), _spanning(mark, event))

    def _map(self, mark: tree.Mark, depth: int) -> tree.MapNode:
        entries: dict[str, tree.Node] = {}
        keys: dict[str, tree.Mark] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_mark = _mark(event)
            key = self._key(event, key_mark)
            if key in keys:
                first = keys[key].line + 1
                message = f"the key {tree.dotted((key,))} stands here twice"
                advice = f"It is already there in line {first}: keep one of them."
                self.found.append((key_mark, message, advice))
            self._count(1, key_mark)
            value = self._node(next(self._events), depth + 1)
            keys.setdefault(key, key_mark)
            entries.setdefault(key, value)
        return tree.MapNode(entries, keys, _spanning(mark, event))

    def _key(self, event: yaml.Event, mark: tree.Mark) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if self._source.lines[mark.line].startswith("{{", mark.column - 1):
                advice = "Nothing is filled into a site file: write the value itself."
                self._refuse(mark, "`{{` of a template", advice)
            self._refuse(mark, "a key that isn't text", "Keys are single words.")
        self._no_tag(event.tag, mark)
        if event.anchor is not None:
            self._refuse(mark, "an anchor on a key", "Anchors stand before values only.")
        key: str = event.value
        if key == "<<" and not event.style:
            advice = "Use `like: <other>`: it takes over what the other one says."
            self.found.append((mark, "a merge key `<<`", advice))
        if not key:
            self._refuse(mark, "a key without a name", "Write `name: value`.")
        return key

    def _no_tag(self, tag: str | None, mark: tree.Mark) -> None:
        if tag is not None and tag != "!":
            self.found.append(
                (mark, f"a tag: {tag}", "Site files have no tags (`!name`): write the plain value.")
            )

    def _refuse(self, mark: tree.Mark, message: str, advice: str) -> NoReturn:
        raise SiteErrors([self._source.marked(mark, message, advice)])


def _mark(event: yaml.Event) -> tree.Mark:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:  # only where an event was not read from a text
        return tree.Mark(0, 0, 0, 1)
    return tree.Mark(start.line, start.column, end.line, end.column)


def _spanning(mark: tree.Mark, last: yaml.Event) -> tree.Mark:
    end = _mark(last)
    return tree.Mark(mark.line, mark.column, end.end_line, end.end_column)


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
    mark = tree.Mark(line, column, line, column + 1)
    raise SiteErrors([source.marked(*_cause(source, mark, message, advice))]) from None


def _cause(source: Source, mark: tree.Mark, message: str, advice: str) -> tuple[tree.Mark, str, str]:
    """Returns where, what and what to do, by what is often the cause of what YAML stumbles over."""
    for line in (mark.line - 1, mark.line):
        column = lookalikes.in_the_way(source.lines[line]) if 0 <= line < len(source.lines) else None
        if column is not None:
            return tree.Mark(line, column, line, column + 1), "a sign that is not what it looks like", ""
    text = source.lines[mark.line] if mark.line < len(source.lines) else ""
    if _BRACKETED.search(text[: mark.column]) and text[mark.column : mark.column + 1] not in ",]}#":
        quoted = 'Put text that begins with `[` in quotes: "[datastore1] iso/vcsa.iso".'
        return mark, "text behind the `]` of a list", quoted
    if _REFERENCE.search(text):
        return mark, message, "A reference has no blank behind its colon: `secret:<name>`."
    return mark, message, advice


def _at_end(source: Source, where: yaml.error.Mark | None) -> bool:
    """Tells whether nothing follows: then what was opened is a better place than the end of the file."""
    return where is not None and not "".join(source.lines[where.line :])[where.column :].strip()
