"""What is published is of one build, whoever else builds at once, whenever one is stopped, and whatever lies there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paver.errors import BadInput
from paver.image import publish, published, verify
from paver.ovf import write
from tests.support import locks, small_image
from tests.support.small_image import GRAIN
from tests.support.waiting import until

MACHINE = publish.Machine(capacity=64 * GRAIN, memory_mb=512, cpus=1)


def made(out: Path, parts: publish.Parts, certify: Path | None = None) -> publish.Published:
    return publish.publish(out, "1.0", MACHINE, parts, certify=certify)


def two(folder: Path) -> Iterator[publish.Parts]:
    """Yields the parts of two images with other disks."""
    for name, data in (("a", b"\x01" * GRAIN), ("b", b"\x02" * GRAIN)):
        yield small_image.parts(folder / name, data)


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_of_two_builds_at_once_the_second_publishes_when_the_first_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two(tmp_path)
    out = tmp_path / "out"
    order: list[str] = []
    packing = threading.Event()
    pack = write.make_ova

    def packed(path: Path, **given: Any) -> Any:
        name = given["disk"].parent.name
        order.append(f"{name} packs")
        packing.set()
        until(
            lambda: name != "a" or "b packs" in order or locks.waited_for(out),
            "the second build packs or waits",
            seconds=60,
        )
        return pack(path, **given)

    monkeypatch.setattr(publish, "make_ova", packed)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(made, out, first)
        assert packing.wait(60)
        other = pool.submit(made, out, second)
        one.result(60)
        done = other.result(60)
    assert order == ["a packs", "b packs"]
    assert published.digest(done.files["ova"]) == done.sha256
    assert [finding.what for finding in verify.verify(done.files["ova"])][-1] == "provenance"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("at", ["paver-jumpbox.mf", "paver-jumpbox-disk1.vmdk"])
def test_a_build_that_is_stopped_leaves_what_was_published_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    first, second = two(tmp_path)
    out = tmp_path / "out"
    made(out, first)
    before = held(out)
    take_out = published.take_out

    def stopped(opened: Any, name: str, target: Path) -> None:
        if name == at:
            raise KeyboardInterrupt
        take_out(opened, name, target)

    monkeypatch.setattr(published, "take_out", stopped)
    with pytest.raises(KeyboardInterrupt):
        made(out, second)
    assert held(out) == before


def test_where_it_is_stopped_while_all_is_put_in_place_there_are_no_sums_of_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two(tmp_path)
    out = tmp_path / "out"
    ova = made(out, first).files["ova"]
    replace = Path.replace

    def stopped(path: Path, target: Path) -> Path:
        if target.suffix == ".vmdk" and target.parent.parent == out:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        made(out, second)
    assert not published.sums_of(ova).exists()
    with pytest.raises(BadInput, match="is not there"):
        list(verify.verify(ova, ["ssh-ed25519 AAAA"]))
    monkeypatch.undo()
    made(out, second)
    assert published.sums_of(ova).exists()


def test_what_a_killed_build_left_goes_and_what_somebody_put_there_stays(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    out = tmp_path / "out"
    both, _ = small_image.publisher(tmp_path)
    done = made(out, first, certify=both)
    folder = done.files["ovf"].parent
    assert (folder / "paver-jumpbox.cert").exists()
    (out / ".paver-jumpbox-1.0.ova.a1b2").write_bytes(b"half")
    (out / ".paver-jumpbox-x" / "more").mkdir(parents=True)
    (folder / "notes" / "more").mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    again = made(out, second)
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["mine.txt", "notes", *(again.files[what].name for what in ("ovf", "mf", "vmdk"))]
    )


@pytest.mark.parametrize("what", ["ova", "bill", "sha256", "vmdk"])
def test_a_folder_where_a_file_of_the_image_goes_is_named_and_all_stays(tmp_path: Path, what: str) -> None:
    first, second = two(tmp_path)
    out = tmp_path / "out"
    place = made(out, first).files[what]
    place.unlink()
    place.mkdir()
    before = held(out)
    with pytest.raises(BadInput, match=f"{place.name} is a folder"):
        made(out, second)
    assert held(out) == before
