"""What a disk holds is read in little room, whatever somebody wrote into it."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import pytest

from paver.errors import BadInput
from paver.image import diff, inside, published
from paver.image.bill import Bill, Item
from tests.support import small_image
from tests.support.small_image import GRAIN

NONE = Bill(version="1", disk_sha256="a" * 64, items=())


class System:
    """A root file system with dpkg's list and wheels, and nothing else."""

    def __init__(self, status: bytes, wheels: int = 0) -> None:
        self._status, self._wheels = status, wheels

    def read(self, path: str, longest: int) -> bytes:
        assert path == "/var/lib/dpkg/status"
        if len(self._status) > longest:
            raise BadInput(f"more than {longest}")
        return self._status

    def names(self, path: str) -> dict[str, int]:
        if path.endswith("site-packages"):
            return {f"w{number}-1.dist-info": 1 for number in range(self._wheels)}
        return {"python3.13": 1}


def differences(system: System) -> list[str]:
    return list(inside.differences(system, NONE))  # type: ignore[arg-type]  # as much of one as is read


def test_packages_that_are_installed_are_told_from_what_else_dpkg_lists() -> None:
    status = (
        "Package: a\nStatus: install ok installed\nDescription: x\n Package: no\n .\nVersion: 1:2~ü\n\n"
        "Package: b\nStatus: deinstall ok config-files\nVersion: 3\n\n\n"
        "Version: 4\nPackage: c\nStatus: install ok installed"
    )
    assert differences(System(status.encode())) == [
        "the deb a 1:2~ü is in it, and not in the bill",
        "the deb c 4 is in it, and not in the bill",
    ]


def test_a_disk_without_dpkgs_list_or_wheels_lacks_what_its_bill_lists() -> None:
    class Bare(System):
        def read(self, path: str, longest: int) -> bytes:
            raise FileNotFoundError(path, longest)

        def names(self, path: str) -> dict[str, int]:
            if path.endswith("site-packages"):
                raise FileNotFoundError(path)
            return super().names(path)

    listed = tuple(Item(kind=kind, name="a", version="1", sha256="") for kind in ("deb", "wheel"))
    bill = dataclasses.replace(NONE, items=listed)
    found = list(inside.differences(Bare(b""), bill))  # type: ignore[arg-type]  # as much of one as is read
    assert found == [f"the {kind} a 1 is in the bill, and not in it" for kind in ("deb", "wheel")]


def test_a_list_of_packages_as_large_as_it_may_be_takes_little_memory() -> None:
    line = "Description: \N{GRINNING FACE}\n\n".encode()
    status = line * (2**22 // len(line))
    tracemalloc.start()
    try:
        assert differences(System(status)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 2**22
    with pytest.raises(BadInput, match="more than"):
        differences(System(status + line * 2))


@pytest.mark.parametrize("kind", ["deb", "wheel"])
def test_more_things_than_any_image_has_are_not_gathered(kind: str) -> None:
    stanza = "Package: p{}\nVersion: 1\nStatus: install ok installed\n\n"
    debs = "".join(stanza.format(number) for number in range(10_001)) if kind == "deb" else ""
    with pytest.raises(BadInput, match="more than 10000 packages or wheels"):
        differences(System(debs.encode(), wheels=10_001 if kind == "wheel" else 0))


def test_a_bill_that_is_none_is_not_read_whole_to_compare_images(tmp_path: Path) -> None:
    one, other = (small_image.image(tmp_path / name, b"\x01" * GRAIN) for name in "ab")
    with published.beside(other.ova, "bill").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadInput, match="has more than the 1048576 bytes"):
        diff.diff(one.ova, other.ova)
