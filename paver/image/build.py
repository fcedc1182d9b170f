"""The build: payload → base → disk → pack, each stage cached by what goes into it.

payload   paver's wheels and our programs
base      Debian and the payload, one tar
disk      GPT, grub, ext4: one raw image
pack      VMDK, OVF, manifest, OVA; the same unpacked; bills, provenance, sums (`publish`)
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import paver
from paver.errors import BadInput, PaverError
from paver.image import archive, base, content, disk, lock, payload, pool, publish, stages
from paver.lab import build as lab_build

DISK_BYTES = 8 * 2**30
CAPACITY = 16 * 2**30
MEMORY_MB, CPUS = 4096, 2
_ROOM = 9 * 2**30
_PROGRAMS = {
    "apt-get": ("apt", "fetches Debian's packages"),
    "dpkg-deb": ("dpkg", "reads them"),
    "mmdebstrap": ("mmdebstrap", "unpacks them"),
}
_REVISION = "1"
"""Counted on when the code of a stage makes something else of the same inputs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be built.

    Attributes:
        source: paver's source tree.
        out: where the image goes.
        cache: where stages are kept.
        pool: the folder of .debs.
        offline: fetch nothing of Debian.
        sign: a private SSH key that signs what is published, or None.
        certify: an RSA key and its certificate as PEM, which sign the OVF, or None.
    """

    source: Path
    out: Path
    cache: Path
    pool: Path
    offline: bool = False
    sign: Path | None = None
    certify: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """The image as it was built: `files` by what they are."""

    version: str
    sha256: str
    size: int
    seconds: float
    files: Mapping[str, Path]


def build(order: Order, tell: stages.Tell) -> Built:
    """Builds the image.

    Raises:
        BadInput: content and lock do not fit, or a .deb is another one than the lock's.
        PaverError: something that the build needs is not there, or a stage failed.
    """
    began = time.monotonic()
    wanted, locked = _inputs(order.source)
    require(order.cache)
    built = lab_build.build(list(wanted.programs))
    fed = stages.run(
        order.cache,
        "payload",
        stages.key(
            _REVISION, payload.digest(order.source), *(publish.digest(built[name]) for name in sorted(built))
        ),
        lambda into: _payload(order, wanted, locked, built, into, tell),
        tell,
    )
    source = (
        None if order.offline else archive.Archive(order.cache / "apt", wanted.suite, wanted.architecture)
    )
    pool.fill(order.pool, locked, source, _fetching(tell))
    files = order.source / base.FILES
    rooted = stages.run(
        order.cache,
        "base",
        stages.key(
            _REVISION, lock.dumps(locked), *wanted.without, "/", *wanted.kept, stages.tree(files), fed.name
        ),
        lambda into: base.build(
            content=wanted,
            lock=locked,
            pool=order.pool.absolute(),
            files=files,
            extra={payload.WHEELS: fed / "wheels", "/usr/local/bin": fed / "bin"},
            steps=payload.INSTALL,
            target=into / "root.tar",
            tell=lambda text: tell(f"base: {text}"),
        ),
        tell,
    )
    raw = stages.run(
        order.cache,
        "disk",
        stages.key(_REVISION, rooted.name, str(DISK_BYTES)),
        lambda into: disk.make(
            rooted / "root.tar",
            base.identity(locked),
            size=DISK_BYTES,
            epoch=locked.epoch,
            target=into / "disk.raw",
            tell=lambda text: tell(f"disk: {text}"),
        ),
        tell,
    )
    parts = publish.Parts(
        disk=raw / "disk.raw",
        root=rooted / "root.tar",
        wheels=fed / "wheels",
        programs=fed / "bin",
        lock=locked,
        inputs={
            lock.FILE.as_posix(): publish.digest(order.source / lock.FILE),
            content.FILE.as_posix(): publish.digest(order.source / content.FILE),
            f"{base.FILES.as_posix()}/": stages.tree(files),
            "paver/": payload.digest(order.source),
        },
    )
    machine = publish.Machine(capacity=CAPACITY, memory_mb=MEMORY_MB, cpus=CPUS)
    return _pack(order, parts, machine, began, tell)


def require(cache: Path) -> None:
    """Says beforehand what is missing.

    Raises:
        PaverError: a program is not there, or the disk has no room for the stages.
    """
    missing = {name: _PROGRAMS[name] for name in _PROGRAMS if shutil.which(name) is None}
    if missing:
        name, (_, purpose) = next(iter(missing.items()))
        raise PaverError(
            f"{name} is not there",
            why=f"it {purpose}",
            do="apt-get install " + " ".join(sorted(package for package, _ in missing.values())),
        )
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < _ROOM:
        raise PaverError(
            f"{free / 1e9:.1f} GB are free at {cache}, and a build takes {_ROOM / 1e9:.0f} GB",
            do="make room, or set XDG_CACHE_HOME to where there is some",
        )


def refresh(source: Path, cache: Path, epoch: int, tell: stages.Tell) -> tuple[list[str], lock.Lock]:
    """Resolves the content anew, and returns what changed and the lock as it would be then; writes nothing.

    Raises:
        PaverError: the archive can't be reached.
    """
    wanted = content.load(source / content.FILE)
    found = archive.Archive(cache / "apt", wanted.suite, wanted.architecture)
    tell("lock: fetching package lists")
    found.update()
    tell("lock: resolving")
    debs = found.resolve(wanted.packages)
    new = lock.Lock(suite=wanted.suite, content=wanted.digest, epoch=epoch, debs=debs)
    file = source / lock.FILE
    if not file.exists():
        return [f"+ {deb.name} {deb.version}" for deb in debs], new
    old = lock.load(file)
    changed = lock.changes(old, new)
    # The same packages are the same lock: its date stands in every file of the image.
    return changed, dataclasses.replace(new, epoch=new.epoch if changed else old.epoch)


def _inputs(source: Path) -> tuple[content.Content, lock.Lock]:
    wanted, locked = content.load(source / content.FILE), lock.load(source / lock.FILE)
    if wanted.digest != locked.content:
        absent = lock.needed(locked, wanted.packages)
        raise BadInput(
            f"{lock.FILE} is not of today's {content.FILE}",
            seen=f"not in the lock: {', '.join(absent)}" if absent else "",
            do="renew it: `paver image lock --refresh`",
        )
    return wanted, locked


def _payload(
    order: Order,
    wanted: content.Content,
    locked: lock.Lock,
    built: Mapping[str, Path],
    into: Path,
    tell: stages.Tell,
) -> None:
    payload.wheels(
        order.source,
        into / "wheels",
        order.cache / "wheels",
        locked.epoch,
        lambda text: tell(f"payload: {text}"),
    )
    payload.programs(built, wanted.programs, into / "bin")


def _pack(
    order: Order, parts: publish.Parts, machine: publish.Machine, began: float, tell: stages.Tell
) -> Built:
    tell("pack: deflating the disk")
    version = paver.__version__
    done = publish.publish(order.out, version, machine, parts, sign=order.sign, certify=order.certify)
    return Built(
        version=version,
        sha256=done.sha256,
        size=done.size,
        seconds=time.monotonic() - began,
        files=done.files,
    )


def _fetching(tell: stages.Tell) -> Callable[[int, int], None]:
    def told(done: int, total: int) -> None:
        tell(f"pool: fetched {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return told


def default_source() -> Path:
    """Returns the source tree that this paver runs from, or the working folder."""
    here = Path(paver.__file__).parent.parent
    return here if (here / content.FILE).exists() else Path(os.curdir)
