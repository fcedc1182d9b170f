"""A machine's serial console: what it said, waiting for what it says, typing into it."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from paver.errors import PaverError, plain
from paver.lab import control

_TICK = 0.2
_LAST = 12
# What a terminal takes for commands: colours, the cursor, titles.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_()][0-9A-Za-z]?)")


class Hung(PaverError):
    """A machine did not come to where it should, in time or at all."""


class Watched:
    """What a machine shows of itself, waited at.

    Args:
        name: what it is called.
        more: where all that it said is, if anywhere.
    """

    def __init__(self, name: str, more: str = "") -> None:
        self._name, self._more = name, more

    def text(self) -> str:
        """Returns what it shows."""
        raise NotImplementedError

    def last(self, lines: int = _LAST) -> str:
        """Returns its last lines that hold something."""
        found = [plain(line.rstrip()) for line in self.text().split("\n") if line.strip()]
        return "\n".join(found[-lines:])

    def wait(
        self, pattern: str, seconds: float, alive: Callable[[], bool], *, what: str = "", since: int = 0
    ) -> re.Match[str]:
        """Returns the first match of `pattern` in what it shows from the character `since` on.

        Args:
            pattern: a regular expression; `^` and `$` match at lines.
            seconds: how long it may take.
            alive: tells whether the machine still runs.
            what: what is waited for, in words.
            since: where to begin, as `len(text())` was.

        Raises:
            Hung: it did not come in time, or the machine ended.
        """
        wanted, end = re.compile(pattern, re.MULTILINE), time.monotonic() + seconds
        while True:
            still = alive()
            if found := wanted.search(self.text(), since):
                return found
            if not still:
                raise self.hung(f"the machine ended before {what or pattern}", "")
            if time.monotonic() > end:
                raise self.hung(f"the machine did not come to {what or pattern}", f"{seconds:.0f} s went by")
            time.sleep(_TICK)

    def hung(self, what: str, why: str) -> Hung:
        """Returns the error that shows its last lines."""
        last = self.last()
        return Hung(
            what,
            why=why,
            seen=f"{self._name}'s last lines:\n{last}" if last else f"{self._name} said nothing",
            do=f"read all of it: {self._more}" if self._more else "",
        )


class Console(Watched):
    """A machine's first serial port.

    Args:
        log: the file that all it says goes to.
        port: the socket that leads to it, or None: nobody types.
    """

    def __init__(self, log: Path, port: Path | None = None) -> None:
        super().__init__("the console", str(log))
        self.log = log
        self._port = port

    def text(self) -> str:
        """Returns all that it said, without what is meant for a terminal."""
        raw = self.log.read_bytes() if self.log.exists() else b""
        return _ESCAPES.sub("", raw.decode("utf-8", "replace")).replace("\r", "")

    def type(self, text: str) -> None:
        """Types `text`.

        Raises:
            PaverError: nobody takes it.
        """
        if self._port is None:
            raise PaverError("this console takes no input")
        try:
            with control.connect(self._port, 10) as line:
                line.sendall(text.encode())
                # Hanging up at once would throw away what the machine has not taken yet.
                line.shutdown(socket.SHUT_WR)
                end = time.monotonic() + 1
                while (left := end - time.monotonic()) > 0:
                    if select.select([line], [], [], left)[0] and not line.recv(65536):
                        break
        except OSError as error:
            raise PaverError("the console takes no input", why=str(error)) from error
