"""Where the script that paves from within finds its site: copied in, on a CD-ROM, or in guestinfo.

A site is a folder with a site file, and beside it what the file names and the sealed store. It stays at one place, on the
data disk; what comes by another way is copied there once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from paver.appliance import guestinfo, handed
from paver.appliance.guestinfo import Guestinfo
from paver.errors import BadInput

FILE = "site.yml"
PLACE = "var/lib/paver/site"
LABELS = ("PAVER-SITE", "CIDATA", "cidata")
"""Volume labels of a CD-ROM that may have a site in its folder `paver`."""

LARGEST = 16 * 2**20
"""Bytes that a site may have with all that it names: text, certificates, a sealed store."""


def bring(root: Path, run: Callable[..., str], owner: tuple[int, int] | None) -> str:
    """Brings the site to its place where it is not there yet; returns words for where it came from.

    Raises:
        BadInput: there is none, or it is too large for one.
        PaverError: a medium can't be read.
    """
    place = root / PLACE
    info = Guestinfo(root, run)
    if (place / FILE).is_file():
        # Also what a run that was cut off kept and did not come to clear.
        cleared = info.there() and _clear(info)
        return f"/{PLACE}{f'; what guestinfo.{guestinfo.SITE} had was cleared' if cleared else ''}"
    for label in LABELS:
        with _mounted(root, run, label) as top:
            if top is not None and (top / "paver" / FILE).is_file():
                _copy(top / "paver", place, owner)
                return f"the CD-ROM {label}"
    with tempfile.TemporaryDirectory(prefix="paver-site-") as scratch:
        if info.there() and _from_guestinfo(info, Path(scratch)):
            _copy(Path(scratch), place, owner)
            _clear(info)
            return f"guestinfo.{guestinfo.SITE}"
    raise BadInput(
        "there is no site to pave",
        seen=f"looked at /{PLACE}/{FILE}, a CD-ROM {' or '.join(LABELS[:2])} with paver/{FILE}, guestinfo.{guestinfo.SITE}",
        do=f"copy one in: scp -r MY-SITE paver@THIS-MACHINE:/{PLACE}   (`paver init > {FILE}` begins one)",
    )


def _copy(source: Path, place: Path, owner: tuple[int, int] | None) -> None:
    """Copies a site: the folder is there whole, or not at all."""
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()]
    if source / FILE not in files:
        raise BadInput(f"paver/{FILE} is a link", do="put the file itself there: links are not followed")
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST:
        raise BadInput(
            f"what lies beside {FILE} has {size >> 20} MiB",
            why=f"a site has {LARGEST >> 20} at most",
            do="name artefacts by their path in the site file, and leave them where they are",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    for path in files:
        target = draft / path.relative_to(source)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        shutil.copyfile(path, target)
        with target.open("rb") as written:
            os.fsync(written.fileno())
    if owner is not None:
        for path in (draft, *draft.rglob("*")):
            os.chown(path, *owner)
    if place.is_dir():
        # Without a site file, so perhaps half of one that somebody copies in at this moment: never written over.
        try:
            place.rmdir()
        except OSError as error:
            raise BadInput(
                f"{place} has something in it, and no {FILE}",
                do="copy the rest of the site in, or remove the folder",
            ) from error
    draft.rename(place)


@contextlib.contextmanager
def _mounted(root: Path, run: Callable[..., str], label: str) -> Iterator[Path | None]:
    device = root / "dev/disk/by-label" / label
    if not device.exists():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="paver-cd-") as top:
        run("mount", "-o", "ro,nodev,nosuid,noexec", str(device), top)
        try:
            yield Path(top)
        finally:
            run("umount", top)


def _from_guestinfo(info: Guestinfo, folder: Path) -> bool:
    found = info.text(guestinfo.SITE)
    if not found:
        return False
    (folder / FILE).write_text(found)
    sealed = info.text(guestinfo.SEALED)
    if sealed:
        (folder / f"{_name(found)}.sealed").write_text(sealed)
    return True


def _clear(info: Guestinfo) -> bool:
    """Clears the site where anybody who may read the VM could read it; tells whether any was there."""
    found = [key for key in (guestinfo.SITE, guestinfo.SEALED) if info.get(key)]
    for key in found:
        info.clear(key)
    return bool(found)


def _name(site: str) -> str:
    """Returns the site's name: its sealed store is called like it."""
    name = handed.mapping(site, f"guestinfo.{guestinfo.SITE}").get("name")
    if not isinstance(name, str) or "/" in name or name in {"", ".", ".."}:
        raise BadInput(f"guestinfo.{guestinfo.SITE}: its name is none that a site can have")
    return name
