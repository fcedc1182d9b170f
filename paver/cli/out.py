"""Where a verb's own output goes: one line, or one JSON document, to standard output."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from paver.cli import terminal
from paver.errors import naming, plain

_COLOURS = re.compile(r"(\x1b\[(?:[0-2]|(?:1;)?3[1-6])m)")
"""The ones that paver writes; hiding a text is a colour too."""


def line(text: str = "") -> None:
    """Writes one line; to a terminal colours only, and no other command that a name from elsewhere may hold."""
    if not sys.stdout.isatty():
        with naming("standard output"):
            sys.stdout.write(f"{text}\n")
        return
    parts = _COLOURS.split(text)
    sys.stdout.write("".join(part if n % 2 else plain(part) for n, part in enumerate(parts)) + "\n")


def lines(texts: Iterable[str]) -> None:
    """Writes lines."""
    for text in texts:
        line(text)


def note(text: str) -> None:
    """Writes a line for the person at the terminal, never into a pipe's data."""
    sys.stderr.write(f"{plain(text)}\n")


def document(schema: str, value: object) -> None:
    """Writes a document for programs.

    Args:
        schema: its format, which `paver schema --of` describes.
        value: a dataclass that has the format's keys.
    """
    from paver.report import document as documents  # noqa: PLC0415 - not for people

    line(json_text(documents.named(schema, value)))


def json_text(value: Any) -> str:
    """Returns JSON for programs: sorted, indented; in a locale that lacks signs of it, with these escaped."""
    whole = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=not whole)


class Documented(Exception):
    """Wraps what a verb ended with, where the JSON document that it printed tells of it already."""


@contextmanager
def documented() -> Iterator[None]:
    """Has what is raised inside told to people only: programs have their document."""
    try:
        yield
    except BaseException as error:
        raise Documented from error


def width(stream: TextIO | None = None) -> int | None:
    """Returns the width of the terminal that `stream` (standard output) goes to, None where it goes to none."""
    return terminal.width(sys.stdout if stream is None else stream)


def colour(stream: TextIO | None = None) -> bool:
    """Tells whether to write in colour: on a terminal that can, and never with NO_COLOR (no-color.org)."""
    shown = sys.stdout if stream is None else stream
    return shown.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
