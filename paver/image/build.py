"""The build, each stage cached by what goes into it. What changes most comes last: a change in paver boots no machine.

base      Debian, one tar
ansible   Ansible itself
packer    the base booted, the playbook run in it twice: a tar of what it changed
seal      the base with that, as it was before its first boot: one tar
payload   paver's wheels and our programs
layer     what was sealed with the payload installed in it: one tar
disk      GPT, grub, ext4: one raw image
pack      VMDK, OVF, manifest, OVA; the same unpacked; bills, provenance, sums (`publish`)
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import paver
from paver.errors import BadInput
from paver.image import (
    ansible,
    archive,
    aside,
    base,
    content,
    disk,
    host,
    lock,
    payload,
    pool,
    provision,
    publish,
    published,
    seal,
    sources,
    stages,
)
from paver.lab import build as lab_build
from paver.lab.qemu import acceleration, programs

DISK_BYTES = 8 * 2**30
CAPACITY = 16 * 2**30
MEMORY_MB, CPUS = 4096, 2
POOL = "pool"
"""Where in the cache .debs are kept, if nobody names another folder."""
STAGES = ("base", "ansible", "packer", "seal", "payload", "layer", "disk")
_REVISION = "3"
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
    wanted, locked = loaded(order.source)
    publish.require_keys(order.sign, order.certify)
    host.require(order.cache, order.out)
    programs.provide(lambda line: tell(f"programs: {line}"), host.NEEDS)
    # Compiling needs nothing of Debian, and the machine that Packer boots seldom keeps all processors busy.
    with aside.begun(lambda going: _programs(wanted, tell, going)) as compiled:
        rooted = _base(order, wanted, locked, tell)
        if compiled.done():
            compiled.result()
        sealed = _seal(order, locked, rooted, tell)
        built = compiled.result()
    fed = stages.run(
        order.cache,
        "payload",
        stages.key(
            _REVISION,
            payload.digest(order.source),
            *(published.digest(built[name]) for name in sorted(built)),
        ),
        lambda into: _payload(order, wanted, locked, built, into, tell),
        tell,
    )
    layered = stages.run(
        order.cache,
        "layer",
        stages.key(_REVISION, sealed.name, fed.name),
        lambda into: payload.lay(
            sealed / "root.tar", fed, locked.epoch, into / "root.tar", lambda text: tell(f"layer: {text}")
        ),
        tell,
    )
    raw = stages.run(
        order.cache,
        "disk",
        stages.key(_REVISION, layered.name, str(DISK_BYTES)),
        lambda into: _disk(layered, locked, into / "disk.raw", lambda text: tell(f"disk: {text}")),
        tell,
    )
    parts = publish.Parts(
        disk=raw / "disk.raw",
        root=layered / "root.tar",
        wheels=fed / "wheels",
        programs=fed / "bin",
        lock=locked,
        inputs=sources.digests(order.source),
    )
    machine = publish.Machine(capacity=CAPACITY, memory_mb=MEMORY_MB, cpus=CPUS)
    return _pack(order, parts, machine, began, tell)


def _base(order: Order, wanted: content.Content, locked: lock.Lock, tell: stages.Tell) -> Path:
    files = order.source / base.FILES

    def work(into: Path) -> None:
        source = archive.Archive(order.cache / "apt", wanted.suite, wanted.architecture)
        pool.fill(order.pool, locked, None if order.offline else source, _fetching(tell))
        base.build(
            content=wanted,
            lock=locked,
            pool=order.pool.absolute(),
            files=files,
            target=into / "root.tar",
            tell=lambda text: tell(f"base: {text}"),
        )

    trimmed = [*wanted.without, "/", *wanted.kept]
    key = stages.key(_REVISION, lock.dumps(locked), *trimmed, stages.tree(files))
    return stages.run(order.cache, "base", key, work, tell)


def _seal(order: Order, locked: lock.Lock, rooted: Path, tell: stages.Tell) -> Path:
    installed = stages.run(
        order.cache,
        "ansible",
        ansible.key(order.source),
        lambda into: ansible.install(order.source, into, lambda text: tell(f"ansible: {text}")),
        tell,
    )

    def boot(into: Path) -> None:
        _disk(rooted, locked, into / "disk.raw", lambda text: tell(f"packer: {text}"))
        asked = provision.Order(
            source=order.source,
            disk=into / "disk.raw",
            ansible=installed / ansible.PLAYBOOK,
            epoch=locked.epoch,
            accelerator=acceleration.choose().name,
            target=into / "changes.tar",
        )
        provision.provision(asked, lambda text: tell(f"packer: {text} ({asked.accelerator})"))
        asked.disk.unlink()

    def seal_(into: Path) -> None:
        tell("seal: taking what the playbook made")
        changes = seal.seal(rooted / "root.tar", taken / "changes.tar", locked.epoch, into / "root.tar")
        (into / "changes.txt").write_text("".join(f"{line}\n" for line in changes.lines()))

    done = stages.key(_REVISION, rooted.name, provision.digest(order.source))
    taken = stages.run(order.cache, "packer", done, boot, tell)
    return stages.run(order.cache, "seal", stages.key(_REVISION, taken.name), seal_, tell)


def _disk(rooted: Path, locked: lock.Lock, target: Path, tell: stages.Tell) -> None:
    names = base.identity(locked)
    disk.make(rooted / "root.tar", names, size=DISK_BYTES, epoch=locked.epoch, target=target, tell=tell)


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


def loaded(source: Path) -> tuple[content.Content, lock.Lock]:
    """Returns what a source tree's image holds, and its exact packages.

    Raises:
        BadInput: one of them can't be read, or they do not fit.
    """
    wanted, locked = content.load(source / content.FILE), lock.load(source / lock.FILE)
    if wanted.digest != locked.content:
        absent = lock.needed(locked, wanted.packages)
        raise BadInput(
            f"{lock.FILE} is not of today's {content.FILE}",
            seen=f"not in the lock: {', '.join(absent)}" if absent else "",
            do="renew it: `paver image lock --refresh`",
        )
    return wanted, locked


def _programs(wanted: content.Content, tell: stages.Tell, going: Callable[[], None]) -> Mapping[str, Path]:
    told = set[str]()

    def progress(now: lab_build.Progress) -> None:
        going()
        how = {
            "building": f"compiling {now.program}",
            "waiting": f"another process compiles {now.program}, and is waited for",
        }.get(now.state)
        if how and how not in told:
            told.add(how)
            tell(f"programs: {how} ({now.index} of {now.total}, about {now.expected} s)")

    return lab_build.build(list(wanted.programs), progress=progress)


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
