"""How long the jumpbox's image takes to be built, when nothing changed and from nothing, and to boot."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import paver
from paver.errors import PaverError
from paver.image import build, host, stages
from paver.image.prove import ways
from paver.lab import cache
from paver.lab.qemu import acceleration, programs
from paver.trust import ssh_keys
from tests.bench.measure import Ground, Row
from tests.bench.process import Command, python, run

COLD = "PAVER_BENCH_COLD"
"""Set in the environment, the image is built from nothing; else its stages' own notes are read."""
_UNCHANGED, _FROM_NOTHING = 60.0, 480.0


def measure(ground: Ground) -> Iterator[Row]:
    """Yields what a build takes, of the tree that this runs in."""
    key = ground.disk / "key"
    key.touch(0o600)
    key.write_text(ssh_keys.new_key_pair().private_key.reveal())
    again = _unchanged(ground, key)
    yield Row("the image built, nothing changed", again, None, "1 min", again / _UNCHANGED, 1)
    if os.environ.get(COLD):
        took = _from_nothing(ground, key)
        yield Row("the image built from nothing", took, None, "8 min", took / _FROM_NOTHING, 1)
        return
    ground.say(
        f"from nothing it is built where {COLD} is set; here is what each stage took when it was made last:"
    )
    made = list(_made())
    for name, seconds, at in made:
        ground.say(f"  {seconds:4} s  {name}, {at:%Y-%m-%d %H:%M}")
    took = again + sum(seconds for _, seconds, _ in made)
    yield Row("its stages, as made last, and the rest", took, None, "8 min", took / _FROM_NOTHING, 1)


def boot(ground: Ground, disk: Path) -> Iterator[Row]:
    """Yields how long a packed disk takes to boot, by BIOS and a NoCloud CD-ROM, once."""
    ground.say("booting it once: 2 minutes with nothing beside it")
    programs.provide(ground.say)
    by = acceleration.choose()
    folder = ground.disk / "boot"
    folder.mkdir()
    image = ways.Image(disk=disk, bill=None, version=paver.__version__, source=build.default_source())
    way = dataclasses.replace(ways.WAYS[0], compiles=False, disks=False)
    section = ways.prove(image, way, by, folder, lambda _: None)
    for what, name in (
        ("ssh", "booted until SSH answers"),
        ("first boot", "booted until its first boot is done"),
    ):
        yield Row(name, section.seconds[what], None, f"by {by.name}", None, None)


def _unchanged(ground: Ground, key: Path) -> float:
    """Returns what a build takes in which no stage is made; what changed since the last one is made before."""
    for _ in range(2):
        ground.say(
            "building the image; if anything changed since the last time, that takes up to 8 minutes once"
        )
        before = _products()
        took = _build(key, ground.disk / "image", {})
        if _products() == before:
            return took
    raise PaverError("a second build of the same made a stage anew", do="see which: `paver image build`")


def _from_nothing(ground: Ground, key: Path) -> float:
    home = ground.disk / "cache"
    (home / "paver").mkdir(parents=True)
    # Our programs and what was unpacked of Debian's are the lab's.
    (home / "paver" / "lab").symlink_to(cache.root())
    host.require_room(home, host.ROOM, what="a build from nothing", variable="TMPDIR")
    ground.say("building the image from nothing, its programs being there: about 8 minutes")
    return _build(key, ground.disk / "anew", {"XDG_CACHE_HOME": str(home)})


def _build(key: Path, out: Path, more: Mapping[str, str]) -> float:
    argv = python("-m", "paver", "image", "build", "--out", str(out), "--sign", str(key))
    return run(Command(argv, {**os.environ, **more}, build.default_source())).wall


def _products() -> set[Path]:
    root = stages.root()
    return {path for name in build.STAGES if (root / name).is_dir() for path in (root / name).iterdir()}


def _made() -> Iterator[tuple[str, int, dt.datetime]]:
    """Yields each stage with the seconds that its newest product took, and when that was."""
    for name in build.STAGES:
        notes = sorted((stages.root() / name).glob("*/.seconds"), key=os.path.getmtime)
        if notes:
            at = dt.datetime.fromtimestamp(notes[-1].stat().st_mtime, dt.UTC)
            yield name, int(notes[-1].read_text()), at
