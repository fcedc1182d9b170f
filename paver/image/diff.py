"""Two images beside each other: the packages in which they differ, and where their disks do."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from paver.errors import BadInput
from paver.image import bill, published
from paver.ovf import vmdk
from paver.ovf.ova import Ova


@dataclasses.dataclass(frozen=True)
class Difference:
    """What differs.

    Attributes:
        packages: of the bills, a line each.
        regions: of the disks, as (first byte, bytes).
        bills: whether both bills were there to be compared.
    """

    packages: tuple[str, ...]
    regions: tuple[tuple[int, int], ...]
    bills: bool

    @property
    def same(self) -> bool:
        """True where the disks hold the same bytes and the bills the same things."""
        return not self.packages and not self.regions


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
    return Difference(tuple(packages), regions, known)


def _reader(ova: Ova) -> vmdk.Reader:
    files = [disk.file for disk in ova.descriptor.disks if disk.file]
    if len(files) != 1:
        raise BadInput(f"{ova.name} has {len(files)} disks", do="compare images of one disk")
    return vmdk.Reader(ova.member(files[0].href), name=f"{ova.name}: {files[0].href}")


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
