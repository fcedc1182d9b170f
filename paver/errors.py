"""What went wrong, why, what to do, and how the process ends.

Every error that a user may meet is a `PaverError`; its subclasses differ in the exit code only, so that
one function (`exit_code`) maps any exception to the stable contract of `docs/reference/exit-codes.md`. Looking
is no failure: 2, for changes pending or drift, is what a verb returns.

    PaverError           1  failed
    ├── BadInput         3  the site file, an argument or an artefact is wrong
    ├── Refused          4  stale, not approved, locked, blocked, foreign
    ├── PartlyDone       5  some of it is done, the rest needs another step
    ├── Unobservable     1  something that should be there could not be asked
    │   └── Unreachable  1  nobody is there at all: refused, no route, or silence
    └── Interrupted    130  the user stopped it
"""

from __future__ import annotations

import contextlib
import errno
import unicodedata
from collections.abc import Iterable, Iterator
from typing import ClassVar

_COMMANDS = frozenset({"Cc", "Cf"})
"""Unicode's categories of control characters, and of those that turn the direction or hide what follows."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What a disk says that has no room, or is broken."""

_ELSEWHERE = (
    "name another place: the command's own option, or HOME, XDG_CACHE_HOME, XDG_STATE_HOME or PAVER_STATE"
)
"""How another place is named where the command that needs it is not known."""


class PaverError(Exception):
    """Something failed; `what` happened, `why`, and what to `do` about it.

    Args:
        what: one line that names the object by the name that the user gave it.
        why: the cause as far as it is known, or empty.
        do: the next step for the user, or empty.
        seen: what was observed, or empty. Never a secret.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", do: str = "", seen: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do
        self.seen = seen

    def lines(self, width: int | None = None) -> list[str]:  # noqa: ARG002  what has something to fit uses it
        """Returns the error as the lines a terminal shows, without colour.

        Args:
            width: of the terminal, None where there is none. Whoever prints them breaks what is too wide.
        """
        shown = [f"error: {one_line(self.what)}"]
        shown += [
            f"  {label:<5} {line if index == 0 else line.strip()}"
            for label, text in (("seen", self.seen), ("why", self.why), ("do", self.do))
            for index, line in enumerate(text.splitlines())
        ]
        return [plain(line) for line in shown]

    def document(self) -> dict[str, str]:
        """Returns the error as it stands in a JSON document; what is not known is empty."""
        return {"what": self.what, "seen": self.seen, "why": self.why, "do": self.do}


class BadInput(PaverError):
    """What the user handed in cannot be used."""

    exit_code = 3


class Refused(PaverError):
    """Paver could, but must not: the plan is stale, not approved, locked or blocked."""

    exit_code = 4


class PartlyDone(PaverError):
    """What could be done is done; the rest needs a step that the message names."""

    exit_code = 5


class Unobservable(PaverError):
    """An endpoint that should answer did not; this never counts as "absent"."""


class Unreachable(Unobservable):
    """Nobody took the connection: it was refused, has no route, or met silence. Whoever answers in any way is not this."""


class Interrupted(PaverError):
    """The user stopped the run; what is journalled holds, the same command resumes."""

    exit_code = 130


class GoesOn(Interrupted):
    """Nobody follows the run any more, which goes on on another machine: what it did there is not known here yet."""


def plain(text: str) -> str:
    """Returns text that came from elsewhere without what a terminal would take for a command.

    A VM may be called anything, and a log may hold anything: also what clears the screen or writes over a line.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c in "\t\n" or unicodedata.category(c) not in _COMMANDS else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def one_line(text: str) -> str:
    """Returns text that came from elsewhere as one line of a log or a table: a second one would pass for paver's own."""
    return " ".join(line.strip() for line in plain(text).splitlines())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns which of the `known` names was most likely meant by `name`, however it is cased or hyphenated; None if none is near."""
    import difflib  # noqa: PLC0415 - only where a name is wrong

    spelt = {_spelt(one): one for one in known}
    found = difflib.get_close_matches(_spelt(name), spelt, 1)
    return spelt[found[0]] if found else None


def _spelt(name: str) -> str:
    return name.lower().replace("-", "_")


def unwritten(error: OSError, what: str, do: str = "") -> PaverError:
    """Returns why somebody's file could not be written: this machine's disk, or the place that was named."""
    return of_disk(error, what, do) or BadInput(what, why=error.strerror or "", do=do)


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Has an error of a full or broken disk name `place`, where the write that met it names nothing."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and not error.filename:
            error.filename = place
        raise


def of_disk(error: BaseException, doing: str = "", elsewhere: str = "") -> PaverError | None:
    """Returns what a disk did that is full, broken, read-only or not this account's; None for other errors.

    Args:
        error: what was raised.
        doing: what was refused, or empty.
        elsewhere: how another place is named, if that is known.
    """
    if not isinstance(error, OSError):
        return None
    full = error.errno in _FULL
    # Without a path it is a socket, or something else that is no matter of a disk.
    closed = error.errno == errno.EROFS or (isinstance(error, PermissionError) and bool(error.filename))
    if not full and not closed:
        return None
    return PaverError(
        f"{doing and f'{doing}: '}this machine's disk refuses: {error.strerror}",
        seen=str(error.filename or ""),
        do="make room on that file system, or mend it, then run the same command again"
        if full
        else f"allow it there, or {elsewhere or _ELSEWHERE}",
    )


def exit_code(error: BaseException | None) -> int:
    """Returns the process's exit code for `error` (None: done)."""
    if error is None:
        return 0
    if isinstance(error, PaverError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 1
