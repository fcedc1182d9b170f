"""Copying a big file to a machine: streamed, hashed on the way, put in place only when it is whole."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from paver.errors import PaverError
from paver.transport.context import Progress
from paver.transport.shell import Input, Ran

_PIECE = 256 * 1024

TELL = 0.1
"""Seconds between two tellings of progress: whoever is told writes it down and shows it."""

_TAKE = (
    'set -eu; umask 077; t=$(mktemp "$1.XXXXXX"); trap \'rm -f "$t"\' EXIT; trap "exit 1" HUP INT TERM; trap "" PIPE; cat >"$t"; '
    '[ "$(stat -c %s "$t")" = "$4" ] || { echo "cut short" >&2; exit 65; }; '
    'chmod "$2" "$t"; [ -z "$3" ] || chown "$3" "$t"; sync "$t"; sha256sum <"$t"; echo "$t"; trap - EXIT'
)
"""Takes $4 bytes into a file beside $1, and says their digest and its name."""


class Must(Protocol):
    """Runs a command as root; raises if it fails."""

    def __call__(self, argv: Sequence[str], *, stdin: Input = b"") -> Ran: ...


def upload(
    must: Must, source: Path, path: str, *, mode: int, owner: str, on_progress: Progress | None
) -> None:
    """Copies `source` to `path`.

    Raises:
        PaverError: if what arrived is not what was sent.
    """
    size = source.stat().st_size
    digest = hashlib.sha256()
    ran = must(
        ["sh", "-c", _TAKE, "sh", path, f"{mode:o}", owner, str(size)],
        stdin=_pieces(source, size, digest.update, on_progress),
    )
    arrived, temporary = ran.text.splitlines()
    if arrived.split()[0] != digest.hexdigest():
        must(["rm", "-f", "--", temporary])
        raise PaverError(
            f"{path} arrived with another digest than {source.name} has", do="run the same command again"
        )
    must(["mv", "-fT", "--", temporary, path])


def _pieces(
    source: Path, size: int, update: Callable[[bytes], None], on_progress: Progress | None
) -> Iterator[bytes]:
    done, told = 0, time.monotonic()
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE):
            update(piece)
            yield piece
            done += len(piece)
            if on_progress is not None and (done == size or time.monotonic() >= told + TELL):
                told = time.monotonic()
                on_progress(done, size)
