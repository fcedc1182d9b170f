"""Stages of a build and their cache: a stage whose inputs are the same is not run again.

A stage's product lies at `<cache>/<stage>/<key>/`, where the key is a digest over its inputs. It appears there by one
rename once it is whole: an interrupted build leaves nothing under that name.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from paver.lab import cache

KEPT = 3
"""Products that are kept of each stage, the newest ones."""

_SECONDS = ".seconds"

Tell = Callable[[str], None]


def root() -> Path:
    """Returns the folder of builds below `$XDG_CACHE_HOME` (`~/.cache` where that is not set)."""
    return cache.base("XDG_CACHE_HOME", ".cache") / "paver" / "image"


def key(*parts: str | bytes) -> str:
    """Returns the key of a stage with these inputs."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:32]


def tree(folder: Path) -> str:
    """Returns the SHA-256 over the names, kinds and contents of all that lies below `folder`."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            total.update(f"link {name}\0{path.readlink()}\0".encode())
        elif path.is_file():
            total.update(
                f"file {name}\0{path.stat().st_mode & 0o100:o}\0".encode() + path.read_bytes() + b"\0"
            )
    return total.hexdigest()


def run(within: Path, name: str, key_: str, work: Callable[[Path], None], tell: Tell) -> Path:
    """Returns the product's folder of stage `name`, after running `work` in an empty one where it is not there yet.

    One build at a time makes something in a stage: a second one waits for it, unless what it wants is there.
    """
    final = within / name / key_
    if final.is_dir():
        return _kept(final, tell)
    waiting = functools.cache(lambda: tell(f"{name}: another build is at it, and is waited for"))  # said once
    with cache.locked(within, name, waiting):
        if final.is_dir():
            return _kept(final, tell)
        # Of a build that was killed: nobody else is at work here while we hold the lock.
        for stale in final.parent.glob(".*"):
            shutil.rmtree(stale, ignore_errors=True)
        if (last := usual(final.parent)) is not None:
            tell(f"{name}: about {last} s, as the last time")
        began = time.monotonic()
        with cache.draft(final) as draft:
            work(draft)
            (draft / _SECONDS).write_text(f"{time.monotonic() - began:.0f}")
        tell(f"{name}: done in {time.monotonic() - began:.0f} s")
        _forget(final.parent, final)
    return final


def _kept(product: Path, tell: Tell) -> Path:
    tell(f"{product.parent.name}: nothing changed")
    os.utime(product)
    return product


def usual(folder: Path) -> int | None:
    """Returns how many seconds the newest product in a stage's folder took; None where there is none."""
    told = sorted(folder.glob(f"*/{_SECONDS}"), key=_age)
    return int(told[-1].read_text()) if told else None


def _forget(folder: Path, newest: Path) -> None:
    found = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")), key=_age, reverse=True
    )
    for path in [path for path in found if path != newest][KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _age(path: Path) -> float:
    return path.stat().st_mtime
