"""Two images beside each other: the packages in which they differ, the files, and where their disks do."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import stat
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from paver.errors import BadInput
from paver.image import bill, inside, published
from paver.image.ext4 import Ext4, Node
from paver.ovf import vmdk
from paver.ovf.ova import Ova, Window
from paver.ovf.vmdk_random import Disk

SHOWN = 40
"""Files that are named where a comparison is told in lines."""
_MOST = 2**35
"""Bytes of a root file system that are read to compare it: thirty images' worth."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """What two images differ in.

    Attributes:
        packages: in which the bills differ, a line each.
        files: in which the root file systems differ, a line each; null where a disk has none that paver reads. Those that are the
            same may still lie elsewhere.
        times: files that differ by nothing but when they were changed, a line each: another lock's epoch is another time
            of thousands.
        regions: in which the disks differ, as (first byte, bytes).
        bills: whether both bills were there to be compared.
    """

    packages: tuple[str, ...]
    files: tuple[str, ...] | None
    times: tuple[str, ...]
    regions: tuple[tuple[int, int], ...]
    bills: bool

    @property
    def same(self) -> bool:
        """True where the disks hold the same bytes and the bills the same things."""
        return not self.packages and not self.regions

    def lines(self, more: str = "") -> list[str]:
        """Returns what differs in lines; `more` says where the files are that are only counted."""
        size = sum(length for _, length in self.regions)
        return [
            *self.packages,
            *([] if self.bills else ["the bills are not both there: packages were not compared"]),
            *self._of_files(more),
            f"the disks differ in {len(self.regions)} places, {size / 1e6:.1f} MB in all",
        ]

    def _of_files(self, more: str) -> Iterator[str]:
        if self.files is None:
            yield "what files they have cannot be read: they were not compared"
            return
        yield from self.files[:SHOWN]
        if len(self.files) > SHOWN:
            yield f"… and {len(self.files) - SHOWN} files more{more}"
        if len(self.files) + len(self.times) <= SHOWN:
            yield from self.times
        elif self.times:
            yield f"{len(self.times)} files differ by their time alone{more}"


def diff(old: Path, new: Path) -> Difference:
    """Returns what two OVAs of one disk each differ in.

    Raises:
        BadInput: one can't be read, or has not exactly one disk.
    """
    first, second = published.bill_of(old), published.bill_of(new)
    known = first is not None and second is not None
    packages = bill.changes(first, second) if first and second else []
    with Ova(old) as one, Ova(new) as other:
        readers = [_reader(ova) for ova in (one, other)]
        if readers[0].capacity != readers[1].capacity:
            raise BadInput(
                "the disks are not of one size",
                seen=" and ".join(f"{each.capacity} bytes" for each in readers),
            )
        regions = tuple(_joined(_different(readers[0].grains(), readers[1].grains())))
        changed = _in_files(one, other) if regions else []
    return Difference(
        tuple(packages),
        None if changed is None else tuple(file.line for file in changed if not file.time_alone),
        tuple(file.line for file in changed or () if file.time_alone),
        regions,
        known,
    )


class Changed(NamedTuple):
    """A file that is not the same in two file systems: a line on it, and whether it differs by its time alone."""

    line: str
    time_alone: bool = False


def files(old: Ext4, new: Ext4) -> Iterator[Changed]:
    """Yields the files, by path, that one file system has and the other not (`-`, `+`), or otherwise (`~`)."""
    before, after = dict(old.files()), dict(new.files())
    for path in sorted(before.keys() | after.keys()):
        if path not in after or path not in before:
            yield Changed(f"{'-' if path in before else '+'} {path}")
        elif told := list(_otherwise(old, before[path], new, after[path])):
            yield Changed(f"~ {path}  {', '.join(told)}", told[0].startswith("time "))


def _otherwise(old: Ext4, before: Node, new: Ext4, after: Node) -> Iterator[str]:
    if stat.S_IFMT(before.mode) != stat.S_IFMT(after.mode):
        yield "kind"
        return
    if before.size != after.size or old.sha256(before) != new.sha256(after):
        yield "content"
    if before.mode != after.mode:
        yield f"mode {stat.filemode(before.mode)} → {stat.filemode(after.mode)}"
    if before.owner != after.owner:
        yield f"owner {before.owner[0]}:{before.owner[1]} → {after.owner[0]}:{after.owner[1]}"
    if before.changed != after.changed:
        yield f"time {before.changed} → {after.changed}"


def _in_files(old: Ova, new: Ova) -> list[Changed] | None:
    try:
        systems = [inside.root(Disk(_disk(ova)), ova.name, _MOST) for ova in (old, new)]
        return list(files(*systems))
    except BadInput:  # an image of others: where its disk differs is all that is told of it
        return None


def _reader(ova: Ova) -> vmdk.Reader:
    return vmdk.Reader(_disk(ova), name=f"{ova.name}: its disk")


def _disk(ova: Ova) -> Window:
    found = [disk.file for disk in ova.descriptor.disks if disk.file]
    if len(found) != 1:
        raise BadInput(f"{ova.name} has {len(found)} disks", do="compare images of one disk")
    return ova.member(found[0].href)


def _different(
    old: Iterable[tuple[int, bytes]], new: Iterable[tuple[int, bytes]]
) -> Iterator[tuple[int, int]]:
    """Yields (offset, bytes) of each grain in which two disks differ; one that is not there holds zeros."""
    for offset, some in itertools.groupby(heapq.merge(old, new, key=itemgetter(0)), itemgetter(0)):
        contents = [content for _, content in some]
        if len(contents) == 1:
            contents.append(bytes(len(contents[0])))
        if contents[0] != contents[1]:
            yield offset, len(contents[0])


def _joined(regions: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for offset, length in regions:
        if offset != end:
            if end >= 0:
                yield start, end - start
            start = offset
        end = offset + length
    if end >= 0:
        yield start, end - start
