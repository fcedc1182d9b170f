"""Mutated images, as many as are asked for, in one process that may not grow: each is verified or refused.

    python -m tests.image.mutations [--count 100000] [--seed 1]

What counts as a failure: any exception that is not paver's own, a file opened for writing or outside of the image's
folder, more than 256 MiB, more than `SLOW` seconds of processor time for one image. It ends with 1 at the first, and
leaves the image where it says.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from paver.errors import PaverError
from paver.image import diff, verify
from paver.ovf import certificate
from paver.ovf.ova import Ova
from tests.image import mutate
from tests.support import small_image

MEMORY = 256 * 2**20
SLOW = 5.0
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = frozenset(
    {
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "subprocess.Popen",
    }
)


class Watch:
    """Notes every file that is opened for writing or lies outside of `folder`, while it is `on`."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _CHANGING:
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event == "open" and not isinstance(arguments[0], int):
            path, _, flags = arguments
            inside = os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100 - no object a call
            # Whatever Python itself loads lies beside its library, and is only read.
            ours = inside or os.fsdecode(path).startswith((sys.prefix, sys.base_prefix))
            if flags & _WRITING or not ours:
                self.seen.append(f"open {path!r} {flags:#o}")


def main() -> int:
    """Runs, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paver-mutations-", dir=_place()) as scratch:
        return _run(Path(scratch), given.count, given.seed)


def _run(scratch: Path, count: int, seed: int) -> int:
    both, alone = small_image.publisher(scratch)
    made = small_image.image(scratch / "good", b"content" * 9000 + bytes(70_000) + b"more", certify=both)
    vouching = certificate.authorities(alone.read_bytes(), alone.name)
    good = {path.name: path.read_bytes() for path in made.ova.parent.iterdir() if path.is_file()}
    with Ova(made.ova) as ova:
        members = {each.name: ova.member(each.name).read() for each in ova.members}
    folder = scratch / "image"
    folder.mkdir()
    target = folder / made.ova.name
    watch = Watch(folder)
    _write(folder, good, {})
    kinds = collections.Counter([_judged(target, made.key, vouching, watch)])
    assert kinds == {"whole": 1}, kinds  # the good one, which also has loaded all that will be needed
    _limit()
    slowest, began, written = 0.0, time.monotonic(), good
    for number in range(count):
        files = mutate.mutated(_random(seed, number), target.name, good, members)
        _write(folder, files, written)
        written = files
        before = time.process_time()
        try:
            kinds[_judged(target, made.key if number % 2 else None, vouching, watch)] += 1
        except Exception as error:  # noqa: BLE001 - whatever is not paver's own is what is looked for
            return _failed(folder, number, f"{type(error).__name__}: {error}")
        took = time.process_time() - before
        slowest = max(slowest, took)
        if watch.seen or took > SLOW:
            return _failed(folder, number, ", ".join(watch.seen) or f"{took:.1f} s")
        if _peak() > MEMORY:
            return _failed(folder, number, f"{_peak() / 2**20:.0f} MiB")
    took = time.monotonic() - began
    sys.stdout.write(
        f"{count} mutations, seed {seed}: {kinds['whole'] - 1} whole, {count - kinds['whole'] + 1} refused in "
        f"{len(kinds) - 1} ways; at most {_peak() / 2**20:.0f} MiB and {slowest:.2f} s of processor time for one; "
        f"{took:.0f} s\n"
    )
    return 0


def _random(seed: int, number: int) -> random.Random:
    return random.Random(f"{seed} {number}")  # noqa: S311 - the same every time is what it is for


def _judged(target: Path, key: str | None, vouching: Any, watch: Watch) -> str:
    watch.on = True
    try:
        for _ in verify.verify(target, [key] if key else [], vouching if key else ()):
            pass
        diff.diff(target, target)
    except PaverError as error:
        # The sentence without what is of this one image tells the ways apart.
        return type(error).__name__ + " ".join(word for word in error.what.split() if word.isalpha())
    finally:
        watch.on = False
    return "whole"


def _write(folder: Path, files: mutate.Files, before: mutate.Files) -> None:
    for name, data in files.items():
        if before.get(name) is not data:
            (folder / name).write_bytes(data)


def _limit() -> None:
    """Lets the process map no more than it has now and what it may have at most: beyond that Python raises."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY - _peak()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> int:
    # Not getrusage's: a process inherits that from the one which started it, however large it was.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _failed(folder: Path, number: int, what: str) -> int:
    kept = Path(tempfile.mkdtemp(prefix=f"paver-mutation-{number}-"))
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    sys.stderr.write(f"mutation {number}: {what}\n  the image is kept at {kept}\n")
    return 1


def _place() -> str | None:
    shared = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
    return shared if os.access(shared, os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
