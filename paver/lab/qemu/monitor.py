"""QEMU's monitor: what the machine's screen shows, keys on its keyboard, and how large its disks are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from paver.errors import PaverError
from paver.lab import control

_ANSWER = 30.0
_HELD_MS = 30
_KEYS = {
    **{letter: letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789"},
    "\n": "ret",
    " ": "spc",
    "-": "minus",
    "=": "equal",
    "[": "bracket_left",
    "]": "bracket_right",
    ";": "semicolon",
    "'": "apostrophe",
    "`": "grave_accent",
    "\\": "backslash",
    ",": "comma",
    ".": "dot",
    "/": "slash",
}
_ABOVE = dict(zip('!@#$%^&*()_+{}:"~|<>?', "1234567890-=[];'`\\,./", strict=True))


def keys(text: str) -> Iterator[list[str]]:
    """Yields which keys of a US keyboard are pressed together for each character, by QEMU's names.

    Raises:
        PaverError: no key has that character.
    """
    for character in text:
        below = _ABOVE.get(character, character.lower())
        name = _KEYS.get(below)
        if name is None:
            raise PaverError(f"a US keyboard has no key for {character!r}")
        yield [name] if below == character else ["shift", name]


class Monitor:
    """A machine's monitor.

    Args:
        path: its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def screen(self, into: Path, kind: str = "png") -> None:
        """Writes what the screen shows as the picture `into`, a `png` or a `ppm`.

        Raises:
            PaverError: nobody answers, or QEMU refuses.
        """
        self._tell([("screendump", {"filename": str(into.absolute()), "format": kind})])

    def type(self, text: str) -> None:
        """Types `text` on the keyboard, a US one; QEMU presses one key after the other, also after this has returned.

        A keyboard keeps 16 bytes for a machine that does not look: what is longer, to one that is busy, is typed in parts.

        Raises:
            PaverError: a character has no key, nobody answers, or QEMU refuses.
        """
        self._tell(
            [
                (
                    "send-key",
                    {"keys": [{"type": "qcode", "data": key} for key in together], "hold-time": _HELD_MS},
                )
                for together in keys(text)
            ]
        )

    def grow(self, disk: str, size: int) -> None:
        """Makes the disk that QEMU calls `disk` one of `size` bytes, as a host does under a running machine.

        Raises:
            PaverError: nobody answers, or QEMU refuses.
        """
        self._tell([("block_resize", {"device": disk, "size": size})])

    def _tell(self, commands: list[tuple[str, dict[str, Any]]]) -> None:
        try:
            with control.connect(self._path, _ANSWER) as line, line.makefile("rwb") as talk:
                json.loads(talk.readline())
                for name, arguments in [("qmp_capabilities", {}), *commands]:
                    talk.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
                    talk.flush()
                    answer = _answer(talk)
                    if "error" in answer:
                        raise PaverError(
                            f"QEMU refused {name}", why=str(answer["error"].get("desc", answer["error"]))
                        )
        except (OSError, ValueError) as error:
            raise PaverError(
                "QEMU's monitor does not answer", why=str(error) or type(error).__name__
            ) from error


def _answer(talk: Iterable[bytes]) -> dict[str, Any]:
    """Returns the answer to the last command; what QEMU tells unasked is passed over."""
    for line in talk:
        said: dict[str, Any] = json.loads(line)
        if "event" not in said:
            return said
    raise ConnectionError("it hung up")
