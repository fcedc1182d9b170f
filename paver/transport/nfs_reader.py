"""Runs over there: asks an NFS server for one file through libnfs' programs, in user space, and never waits for ever.

It needs nothing but the standard library, since it is sent to the machine as source text.

    nfs_reader look SERVER PORT PATH LIMIT                         how large the file is
    nfs_reader copy SERVER PORT PATH LIMIT QUIET TARGET TIMES      brings it to TARGET, whole or not at all

PORT is 0 for what the server says; LIMIT is how many seconds an answer may take, that of a folder with all that it
lists, QUIET how many may pass without a byte, and TIMES how often the file has to find room where TARGET is. Standard
output has a line of JSON for every step, an empty one while the server is silent; the last one has `end`: `ok`, or one
word of what went wrong, with `seen`.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

PIECE = 1 << 20
TELL = 0.5
VERSIONS = (3, 4)
"""Of NFS, in the order in which they are tried."""
ALONE = ("setpriv", "--pdeathsig=KILL")
"""A client ends with this program, however that ends: by itself it would wait for a dead server."""
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
PORTS = ("--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service")

# Words of libnfs, which has them from the RFCs (1813 and 7530), and what they mean to whoever wrote the URL.
MEANINGS = (
    ("refused", ("MNT3ERR_ACCES", "MNT3ERR_PERM", "NFS4ERR_WRONGSEC")),
    ("absent", ("MNT3ERR_NOENT", "MNT3ERR_NOTDIR", "NFS3ERR_NOENT", "NFS4ERR_NOENT", "NFS4ERR_NOTDIR")),
    ("denied", ("ERR_ACCES", "ERR_PERM", "ACCESS denied", "Permission denied")),
    ("stale", ("ERR_STALE", "ERR_FHEXPIRED")),
)

ENTRY = re.compile(
    r"(?P<kind>.)[r-][w-][x-][r-][w-][x-][r-][w-][x-] +\d+ +-?\d+ +-?\d+ +(?P<size>\d+) (?P<name>.+)"
)
"""A line of nfs-ls: rights, links, user, group, size, name."""


class Ended(Exception):
    """It is over: `how` is one word, `seen` what was observed."""

    def __init__(self, how: str, seen: str = "", **more: Any) -> None:
        super().__init__(how)
        self.told = {"end": how, "seen": seen, **more}


class Failed(Exception):
    """libnfs' program failed, with these words."""


class Quiet(Exception):
    """Nothing came in time."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A file on a server, as libnfs is asked for it."""

    server: str
    port: int
    path: str
    version: int

    def url(self, path: str) -> str:
        """Returns libnfs' URL of a file or folder there; a lost connection is an end, not a reason to wait."""
        settings = f"version={self.version}&autoreconnect=0&tcp-syncnt=3&auto-traverse-mounts=0"
        port = f"&nfsport={self.port}" if self.port else ""
        return f"nfs://{self.server}{path}?{settings}{port}"


def meaning(said: str) -> str:
    """Returns the word of what libnfs said; empty where it means nothing of these."""
    return next((how for how, words in MEANINGS if any(word in said for word in words)), "")


def tell(**step: Any) -> None:
    """Prints a step; whoever is not there any more to read it ends this program."""
    sys.stdout.write(json.dumps(step) + "\n")
    sys.stdout.flush()


def before() -> tuple[str, ...]:
    """Returns what stands before a client: as root it becomes nobody, with the right to a port below 1024 alone.

    Most servers want to be asked from such a port, and what they answer need not be read by root. Where there is one
    account only, as in a container, there is nobody to become.
    """
    argv = (*ALONE, *NOBODY, *PORTS)
    if (
        os.geteuid() == 0
        and subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0
    ):
        return argv
    return ALONE


def pieces(argv: list[str], quiet: float, *, whole: bool = False) -> Iterator[bytes]:
    """Yields what a program prints.

    Raises:
        Ended: it is not installed.
        Failed: it ended with another code than 0.
        Quiet: nothing came for `quiet` seconds; with `whole`, it was not done within them.
    """
    with tempfile.TemporaryFile() as words:
        if shutil.which(argv[0]) is None:
            raise Ended("no-program", argv[0])
        with subprocess.Popen(
            [*before(), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words
        ) as process:
            try:
                yield from _read(process.stdout, quiet, whole=whole)
                if process.wait(quiet):
                    words.seek(0)
                    raise Failed(words.read(4000).decode("utf-8", "replace").strip())
            except subprocess.TimeoutExpired:
                raise Quiet from None
            finally:
                process.kill()


def _read(stream: IO[bytes] | None, quiet: float, *, whole: bool) -> Iterator[bytes]:
    if stream is None:
        return
    waiting = select.poll()
    waiting.register(stream, select.POLLIN | select.POLLHUP)
    over = time.monotonic() + quiet
    while (left := over - time.monotonic()) > 0:
        if not waiting.poll(min(left, TELL) * 1000):
            # Whoever listens may want to stop, and can say so only when something is told.
            tell()
            continue
        piece = os.read(stream.fileno(), PIECE)
        if not piece:
            return
        yield piece
        if not whole:
            over = time.monotonic() + quiet
    raise Quiet


def size_of(asked: Asked, limit: float) -> int:
    """Returns how large the file is."""
    folder, _, name = asked.path.rpartition("/")
    said = ""
    try:
        for said in lines(["nfs-ls", asked.url(folder)], limit):
            match = ENTRY.fullmatch(said)
            if match is not None and match["name"] == name:
                if match["kind"] != "-":
                    raise Ended("no-file", said)
                return int(match["size"])
    except Failed as error:
        # What goes wrong while it lists, it says among the names.
        raise Failed(str(error) or said) from error
    raise Ended("absent", f"{folder} is there, and has no {name}")


def lines(argv: list[str], limit: float) -> Iterator[str]:
    """Yields the lines that a program prints within `limit` seconds; one that is longer than any name is an end of it."""
    rest = b""
    for piece in pieces(argv, limit, whole=True):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (each.decode("utf-8", "replace") for each in whole)
        if len(rest) > PIECE:
            return


def look(server: str, port: int, path: str, limit: float) -> tuple[Asked, int]:
    """Returns how a file can be asked for, and how large it is."""
    seen = []
    for version in VERSIONS:
        asked = Asked(server, port, path, version)
        try:
            return asked, size_of(asked, limit)
        except Failed as error:
            seen.append(f"NFSv{version}: {_last(str(error))}")
            if how := meaning(str(error)):
                raise Ended(how, "\n".join(seen)) from error
        except Quiet:
            seen.append(f"NFSv{version}: no answer within {limit:.0f} s")
    raise Ended("unreachable", "\n".join(seen))


def _last(words: str) -> str:
    """Returns the first line of what a client of libnfs says: below it, it repeats the URL or how it is called."""
    return words.partition("\n")[0] or "no reason given"


def copy(
    server: str, port: int, path: str, limit: float, quiet: float, target: Path, times: int
) -> dict[str, Any]:
    """Brings the file to `target`."""
    asked, size = look(server, port, path, limit)
    tell(size=size)
    there = os.statvfs(target.parent)
    if there.f_bavail * there.f_frsize < size * times:
        raise Ended("room", free=there.f_bavail * there.f_frsize, wanted=size * times)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Ended("busy", str(target.parent)) from None
    # It gets a name once it is whole: of what is half, nothing stays, however this program ends.
    with os.fdopen(os.open(target.parent, os.O_RDWR | os.O_TMPFILE, 0o600), "wb") as sink:
        digest = _poured(asked, size, limit, quiet, sink)
        sink.flush()
        owner = target.parent.stat()
        os.fchmod(sink.fileno(), 0o644)
        if os.geteuid() == 0:
            os.fchown(sink.fileno(), owner.st_uid, owner.st_gid)
        os.fsync(sink.fileno())
        target.unlink(missing_ok=True)
        # With a folder's number it follows the link, which names the file.
        os.link(f"/proc/self/fd/{sink.fileno()}", target.name, dst_dir_fd=folder)
    return {"size": size, "sha256": digest}


def _poured(asked: Asked, size: int, limit: float, quiet: float, sink: IO[bytes]) -> str:
    """Writes the file into `sink` and returns its digest."""
    digest, done, told = hashlib.sha256(), 0, time.monotonic()
    try:
        for piece in pieces(["nfs-cat", asked.url(asked.path)], quiet):
            if done + len(piece) > size:
                # Room was looked for by that size: a file that grows fills no disk.
                raise Ended("changed", f"more than the {size} bytes came that it had")
            digest.update(piece)
            sink.write(piece)
            done += len(piece)
            if time.monotonic() > told + TELL:
                told = time.monotonic()
                tell(done=done)
    except Quiet:
        _unchanged(asked, size, limit)
        raise Ended("stalled", done=done, size=size) from None
    except Failed as error:
        if _unchanged(asked, size, limit) and not done:
            raise Ended("denied", "the file is there, and not a byte of it is given") from error
        raise Ended(meaning(str(error)) or "broken", _last(str(error)), done=done, size=size) from error
    if done != size:
        raise Ended("changed", f"{done} bytes came, of {size}")
    return digest.hexdigest()


def _unchanged(asked: Asked, size: int, limit: float) -> bool:
    """Looks once more, since nfs-cat does not say why it could not read on; False where nobody answers any more.

    Raises:
        Ended: the file is not the one that was begun with, which older ones of nfs-cat wait for.
    """
    try:
        now = size_of(asked, limit)
    except (Failed, Quiet):
        return False
    if now != size:
        raise Ended("changed", f"it had {size} bytes, and has {now} now")
    return True


def main(words: list[str]) -> int:
    """Does what the words ask for; whatever comes of it is told."""
    verb, server, port, path, limit, *more = words
    try:
        if verb == "look":
            told = {"size": look(server, int(port), path, float(limit))[1]}
        else:
            quiet, target, times = more
            told = copy(server, int(port), path, float(limit), float(quiet), Path(target), int(times))
        tell(end="ok", **told)
    except Ended as end:
        tell(**end.told)
    except OSError as error:
        tell(end="disk", seen=f"{error.filename or ''} {error.strerror or error}".strip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
