"""The bytes of a site file to text that YAML can read: size, encoding, characters."""

from __future__ import annotations

from typing import NoReturn

import yaml

from paver.sitefile import tree
from paver.sitefile.diagnostic import SiteErrors
from paver.sitefile.source import LINE_BREAK, Source

MAX_BYTES = 1024 * 1024
"""Hundreds of times what a large site needs."""

_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE


def decode(data: bytes | str, file: str) -> str:
    """Returns the text of a site file, without a byte order mark.

    Args:
        data: the content; bytes must be UTF-8.
        file: the file's name, for messages.

    Raises:
        SiteErrors: too large, not UTF-8, or with characters that YAML doesn't allow.
    """
    text = _decoded(data, file)
    strange = _UNPRINTABLE.search(text)
    if strange:
        code = f"U+{ord(strange.group()):04X}"
        message = f"a character that YAML doesn't allow ({code})"
        _refuse_offset(Source(file, text), strange.start(), message, "Remove it.")
    return text


def _decoded(data: bytes | str, file: str) -> str:
    if len(data) > MAX_BYTES:
        source = Source(file, "")
        raise SiteErrors(
            [
                source.about(
                    tree.Span(0, 0, 0, 1),
                    f"the file is too large: more than {MAX_BYTES} bytes",
                    "Is this the right file?",
                )
            ]
        )
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            source = Source(file, "")
            message, offset = "the file is UTF-16, not UTF-8", 0
        else:
            # `start` counts from behind a byte order mark, so that the span has to go here too.
            body = data.removeprefix(b"\xef\xbb\xbf")
            source = Source(file, body.decode("utf-8", errors="replace"))
            offset = len(body[: error.start].decode("utf-8", errors="replace"))
            message = f"not UTF-8: byte 0x{body[error.start]:02x}"
        _refuse_offset(source, offset, message, "Save the file as UTF-8.")


def _refuse_offset(source: Source, offset: int, message: str, advice: str) -> NoReturn:
    before = LINE_BREAK.split(source.text[:offset])
    line, column = len(before) - 1, len(before[-1])
    raise SiteErrors([source.about(tree.Span(line, column, line, column + 1), message, advice)])
