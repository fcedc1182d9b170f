"""Proves an image: takes its disk, boots it in each way, and returns the report."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import paver
from paver.errors import BadInput, PaverError
from paver.image import bill, build, host, published
from paver.image.prove import pave, twice, ways
from paver.image.prove.report import Line, Report, Section
from paver.image.stages import Tell
from paver.lab.qemu import acceleration, hardware, programs
from paver.ovf import data_disk, descriptor, vmdk
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


def prove(order: Order, tell: Tell, found: Callable[[Report], None]) -> Report:
    """Proves an image; a way in which it does not come up is a line that does not hold, and the others are done.

    Args:
        order: what is to be proved.
        tell: told what is being done.
        found: told the report so far, after each section.

    Raises:
        BadInput: the file is no image, its disk is broken, or a way is not known.
        PaverError: a program is missing.
    """
    chosen = _chosen(order)
    scratch = Path(tempfile.mkdtemp(prefix="paver-prove-"))
    try:
        host.require_room(scratch.parent, _ROOM, what="a proof", variable="TMPDIR")
        disk = _disk(order.file, scratch, tell)
        # QEMU opens whatever a descriptor in it names: it gets none that was not read through.
        tell("image: reading its disk through")
        with published.opened(disk) as packed:
            vmdk.check(packed, name=disk.name)
        tell("image: digesting its disk")
        sha256 = published.digest(disk)
        listed = _bill(order.file, sha256)
        alone = _require_twice(order, chosen, sha256, tell)
        image = ways.Image(
            disk=disk,
            bill=listed,
            version=listed.version if listed else paver.__version__,
            source=build.default_source(),
            data_disk=declared(order.file),
        )
        programs.provide(lambda line: tell(f"image: {line}"))
        if any(_WAYS[name].firmware == hardware.UEFI for name in _WAYS.keys() & set(chosen)):
            programs.provide_firmware(lambda line: tell(f"image: {line}"))
        tell("image: trying what can run it")
        runs_by = acceleration.choose()
        proved = Report(
            image=order.file.name,
            sha256=sha256,
            version=image.version,
            runs_by=f"{runs_by.name}: {runs_by.why}",
            sections=(),
            left=chosen,
        )

        def does(name: str, folder: Path) -> Section:
            if name == pave.NAME:
                return pave.prove(order.file, folder, tell)
            if name != twice.NAME:
                return ways.prove(image, _WAYS[name], runs_by, folder, tell)
            return twice.left_out(alone) if alone else twice.prove(order.file, image.source, folder, tell)

        for name in chosen:
            folder = scratch / name
            folder.mkdir()
            try:
                section = does(name, folder)
            except PaverError as error:
                section = _fallen(name, error, _keep(order, folder))
            else:
                if order.keep is not None or not section.holds:
                    tell(f"{name}: what was said is kept, see {_keep(order, folder)}")
            proved = dataclasses.replace(proved, sections=(*proved.sections, section), left=proved.left[1:])
            found(proved)
        return proved
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fallen(name: str, error: PaverError, kept: Path) -> Section:
    """Returns the section of a way that did not come to its end."""
    told = (error.what, error.seen, error.why, f"read all of it: {kept}")
    line = Line("boot", "it comes to its end", holds=False, seen="\n".join(part for part in told if part))
    how = {pave.NAME: pave.HOW, twice.NAME: twice.HOW}
    return Section(name=name, how=how[name] if name in how else _WAYS[name].how, lines=(line,))


def _require_twice(order: Order, chosen: tuple[str, ...], sha256: str, tell: Tell) -> str:
    """Returns why the image cannot be built a second time here, empty where it can, or nobody wants it."""
    if twice.NAME not in chosen:
        return ""
    why = twice.refusal(order.file, sha256, build.default_source())
    if why and order.only:
        raise BadInput(f"{order.file.name} cannot be built a second time here", why=why)
    if not why:
        twice.require(tell)
    return why


def _chosen(order: Order) -> tuple[str, ...]:
    known = (*_WAYS, pave.NAME, twice.NAME)
    for name in order.only:
        if name not in known:
            raise BadInput(f"{name} is no way to prove an image", do=f"name one of {', '.join(known)}")
    chosen = tuple(name for name in known if not order.only or name in order.only)
    if order.file.is_dir() and not _WAYS.keys() >= set(chosen):
        raise BadInput(
            f"{order.file} is a folder",
            why=f"for {pave.NAME} the main job deploys an OVA, and {twice.NAME} compares OVAs",
            do=f"name the OVA, or choose others: --only {' --only '.join(_WAYS)}",
        )
    return chosen


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
        published.take_out(opened, disks[0], target)
    return target


def declared(file: Path) -> int | None:
    """Returns the bytes of the data disk that an import of the image gives."""
    if file.is_dir():
        found = sorted(file.glob("*.ovf"))
        if not found:
            return None
        described = descriptor.parse(published.read(found[0]), where=found[0].name)
    else:
        with Ova(file) as opened:
            described = opened.descriptor
    disk = data_disk.of(described, file.name)
    return disk.capacity if disk is not None else None


def _bill(file: Path, sha256: str) -> bill.Bill | None:
    ova = file.with_name(f"{file.name}.ova") if file.is_dir() else file
    listed = published.bill_of(ova)
    if listed is not None and listed.disk_sha256 != sha256:
        name = published.beside(ova, "bill").name
        raise BadInput(f"{name} is of another image", seen=f"the disk's sha256 is {sha256}")
    return listed


def _keep(order: Order, folder: Path) -> Path:
    """Copies logs, and pictures of a screen, to where they stay; returns the console's log, or the folder if there is none."""
    into = (order.keep or Path(tempfile.mkdtemp(prefix="paver-proof-"))) / folder.name
    into.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.log"), *folder.glob("*.png")):
        shutil.copy2(path, into)
    return console if (console := into / "console.log").exists() else into
