"""Proves an image: takes its disk, boots it in each way, and returns the report."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import paver
from paver.errors import BadInput
from paver.image import bill, host, publish
from paver.image.prove import pave, ways
from paver.image.prove.report import Report, Section
from paver.image.stages import Tell
from paver.lab.qemu import acceleration, programs
from paver.lab.qemu.console import Hung
from paver.ovf.ova import Ova

_ROOM = 4 * 2**30
_WAYS = {way.name: way for way in ways.WAYS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be proved.

    Attributes:
        file: the OVA, or the folder that its members were laid out in.
        only: names of ways, or of the pave; empty means all.
        keep: where consoles and disks stay, None for nowhere.
    """

    file: Path
    only: tuple[str, ...] = ()
    keep: Path | None = None


def prove(order: Order, tell: Tell, found: Callable[[Section], None]) -> Report:
    """Proves an image.

    Args:
        order: what is to be proved.
        tell: told what is being done.
        found: told each section once it is there.

    Raises:
        BadInput: the file is no image, or a way is not known.
        PaverError: it does not boot, or a program is missing.
    """
    chosen = _chosen(order.only)
    scratch = Path(tempfile.mkdtemp(prefix="paver-prove-"))
    try:
        host.require_room(scratch.parent, _ROOM, what="a proof", variable="TMPDIR")
        disk = _disk(order.file, scratch, tell)
        tell("image: digesting its disk")
        sha256 = publish.digest(disk)
        listed = _bill(order.file, sha256)
        image = ways.Image(disk=disk, bill=listed, version=listed.version if listed else paver.__version__)
        programs.provide(lambda line: tell(f"image: {line}"))
        tell("image: trying what can run it")
        runs_by = acceleration.choose()
        sections = []
        for name in chosen:
            folder = scratch / name
            folder.mkdir()
            try:
                section = (
                    pave.prove(order.file, folder, tell)
                    if name == pave.NAME
                    else ways.prove(image, _WAYS[name], runs_by, folder, tell)
                )
            except Hung as error:
                kept = _keep(order.keep or Path(tempfile.mkdtemp(prefix="paver-console-")), folder)
                raise Hung(
                    error.what, seen=error.seen, why=error.why, do=f"read all of it: {kept}"
                ) from error
            if order.keep is not None:
                _keep(order.keep, folder)
            found(section)
            sections.append(section)
        return Report(
            image=order.file.name,
            sha256=sha256,
            version=image.version,
            runs_by=f"{runs_by.name}: {runs_by.why}",
            sections=tuple(sections),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _chosen(only: Sequence[str]) -> tuple[str, ...]:
    known = (*_WAYS, pave.NAME)
    for name in only:
        if name not in known:
            raise BadInput(f"{name} is no way to prove an image", do=f"name one of {', '.join(known)}")
    return tuple(name for name in known if not only or name in only)


def _disk(file: Path, scratch: Path, tell: Tell) -> Path:
    if file.is_dir():
        found = sorted(file.glob("*.vmdk"))
        if len(found) != 1:
            raise BadInput(
                f"{file} holds {len(found)} VMDKs",
                why="an image has one disk",
                do="name the OVA, or its folder",
            )
        return found[0].absolute()
    tell("image: taking its disk out of the OVA")
    with Ova(file) as opened:
        disks = [member.name for member in opened.members if member.name.endswith(".vmdk")]
        if len(disks) != 1:
            raise BadInput(f"{file.name} holds {len(disks)} disks", why="an image has one")
        target = scratch / "disk.vmdk"
        publish.take_out(opened, disks[0], target)
    return target


def _bill(file: Path, sha256: str) -> bill.Bill | None:
    beside = publish.beside(file.with_name(f"{file.name}.ova") if file.is_dir() else file, "bill")
    if not beside.exists():
        return None
    listed = bill.loads(beside.read_bytes(), beside.name)
    if listed.disk_sha256 != sha256:
        raise BadInput(f"{beside.name} is of another image", seen=f"the disk's sha256 is {sha256}")
    return listed


def _keep(keep: Path, folder: Path) -> Path:
    """Copies the logs of a boot to where they stay, and returns the console's."""
    into = keep / folder.name
    into.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.log"):
        shutil.copy2(path, into)
    return into / "console.log"
