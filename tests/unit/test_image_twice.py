"""Whether an image is built the same a second time: what is compared, what is left out and why, and what is told of it."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest

import paver
from paver.errors import BadInput, PaverError
from paver.image import ansible, bill, build, host, payload, pool, provenance, published, sources
from paver.image.prove import elsewhere, pave, report, run, second, twice, ways
from paver.image.prove.report import Line, Report, Section
from paver.lab import build as lab_build
from paver.lab.qemu import acceleration, programs
from tests.support import small_image
from tests.support.small_image import GRAIN, Image, image

SOURCE = Path(paver.__file__).parents[1]


def lines(first: Image, again: Image) -> dict[str, Line]:
    return {line.what: line for line in twice.compared(first.ova, again.ova)}


def test_two_images_of_the_same_are_the_same_in_every_part_and_in_what_lies_beside_them(
    tmp_path: Path,
) -> None:
    found = lines(image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN))
    assert list(found) == [
        "vmdk of the OVA",
        "mf of the OVA",
        "ovf of the OVA",
        "the OVA itself",
        *(f"{what} beside it" for what in ("bill", "cdx", "spdx", "provenance")),
    ]
    assert all(line.holds and line.seen.startswith("identical, sha256 ") for line in found.values())


def test_where_a_second_disk_is_another_the_packages_files_and_places_are_named_that_differ(
    tmp_path: Path,
) -> None:
    first = image(tmp_path / "a", b"\x01" * GRAIN)
    again = image(tmp_path / "b", b"\x02" * GRAIN, modules=small_image.MODULES.replace("v1.2.3", "v1.2.4"))
    found = lines(first, again)
    assert not any(line.holds for line in found.values() if line.what != "ovf of the OVA")
    assert found["vmdk of the OVA"].seen.splitlines()[1:] == [
        "~ program tool v1.2.3 → v1.2.4",
        "the disks differ in 1 places, 0.1 MB in all",
    ]


def test_what_is_not_there_beside_either_image_is_told_and_holds_not(tmp_path: Path) -> None:
    first, again = image(tmp_path / "a", b"\x01" * GRAIN), image(tmp_path / "b", b"\x01" * GRAIN)
    published.beside(first.ova, "cdx").unlink()
    found = lines(first, again)["cdx beside it"]
    assert not found.holds
    assert found.seen.startswith("it is not there, and the second time sha256 ")
    published.beside(again.ova, "cdx").unlink()
    assert not lines(first, again)["cdx beside it"].holds


def test_sources_that_changed_since_the_proof_began_are_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ova, _ = sound(tmp_path / "image")
    assert sources.digests(twice.copied_as_built(ova, SOURCE, tmp_path / "tree")) == sources.digests(SOURCE)
    copied = second.copied

    def changed(source: Path, tree: Path) -> Path:
        made = copied(source, tree)
        (made / "paver" / "one_more.py").touch()
        return made

    monkeypatch.setattr(second, "copied", changed)
    with pytest.raises(BadInput, match="changed while the image was proven") as refusal:
        twice.copied_as_built(ova, SOURCE, tmp_path / "again")
    assert "paver/ differ" in refusal.value.seen


def test_what_a_publishers_certificate_signed_is_compared_without_that_signature(tmp_path: Path) -> None:
    both, _ = small_image.publisher(tmp_path)
    first = image(tmp_path / "a", b"\x01" * GRAIN, certify=both)
    found = lines(first, image(tmp_path / "b", b"\x01" * GRAIN))
    left_out = {what for what, line in found.items() if not line.asked}
    assert left_out == {"the OVA itself", "provenance beside it"}
    assert all(line.holds for line in found.values() if line.asked)
    assert {"vmdk of the OVA", "bill beside it"} <= found.keys()


def sound(folder: Path) -> tuple[Path, str]:
    """Returns an OVA whose provenance names what this source tree is, and its disk's digest."""
    made = image(folder, b"\x01" * GRAIN)
    statement = published.beside(made.ova, "provenance")
    document = json.loads(statement.read_text())
    definition = document["predicate"]["buildDefinition"]
    definition["resolvedDependencies"] = [
        *({"digest": {"sha256": digest}, "name": name} for name, digest in sources.digests(SOURCE).items()),
        *(each for each in definition["resolvedDependencies"] if "uri" in each),
    ]
    statement.write_text(json.dumps(document))
    return made.ova, bill.loads(published.beside(made.ova, "bill").read_bytes(), "").disk_sha256


def test_an_image_of_this_source_tree_can_be_built_again(tmp_path: Path) -> None:
    ova, disk = sound(tmp_path / "a")
    assert twice.refusal(ova, disk, SOURCE) == ""


def test_why_an_image_cannot_be_built_again_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ova, disk = sound(tmp_path / "a")
    assert "this paver runs without one" in twice.refusal(ova, disk, tmp_path)
    assert twice.refusal(ova, "0" * 64, SOURCE) == "paver-jumpbox-1.0.provenance.json is of another image"
    monkeypatch.setattr(payload, "digest", lambda _: "0" * 64)
    assert twice.refusal(ova, disk, SOURCE).endswith("is not what the image was built of: paver/ differ")
    published.beside(ova, "provenance").unlink()
    assert twice.refusal(ova, disk, SOURCE).startswith("paver-jumpbox-1.0.provenance.json is not there")
    monkeypatch.setattr(host, "PROGRAMS", {"sh": ("dash", ""), "no-apt-get": ("apt", "")})
    assert (
        twice.refusal(ova, disk, SOURCE) == "an image is built on Debian, and no-apt-get cannot be found here"
    )


def test_what_is_built_again_is_asked_for_by_name_only_where_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "provide", lambda _: pytest.fail("it goes on"))
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    with pytest.raises(BadInput, match="cannot be built a second time here") as refused:
        run.prove(run.Order(file=made.ova, only=("twice",)), lambda _: None, lambda _: None)
    assert "ova/debs.lock" in refused.value.why


def test_a_proof_in_all_ways_tells_that_it_built_nothing_again_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Section(name="x", how="x", lines=(Line("a", "x", holds=True, seen="1"),))
    monkeypatch.setattr(ways, "prove", lambda *_: done)
    monkeypatch.setattr(pave, "prove", lambda *_: done)
    monkeypatch.setattr(twice, "prove", lambda *_: pytest.fail("it builds"))
    monkeypatch.setattr(programs, "provide", lambda _: None)
    monkeypatch.setattr(programs, "provide_firmware", lambda _: None)
    monkeypatch.setattr(acceleration, "choose", lambda: acceleration.Acceleration("tcg", "none other"))
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    proved = run.prove(run.Order(file=made.ova), lambda _: None, lambda _: None)
    last = proved.sections[-1]
    assert (last.name, last.lines[0].holds, proved.holds) == ("twice", False, True)
    assert report.text(last)[-1].startswith("    – a second build is the same")
    assert report.ending(proved).startswith("all 5 things hold of paver-jumpbox-1.0.ova")
    assert "twice, a second build is the same: not asked, because" in report.ending(proved)
    assert proved.not_asked == ("twice: a second build is the same",)


def test_a_machine_without_room_for_a_second_build_is_told_before_anything_is_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(twice, "refusal", lambda *_: "")
    monkeypatch.setattr(host, "ROOM", 2**60)
    monkeypatch.setattr(programs, "provide", lambda _: pytest.fail("it goes on"))
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    with pytest.raises(PaverError, match=r"are free at .* and a build takes"):
        run.prove(run.Order(file=made.ova, only=("twice",)), lambda _: None, lambda _: None)


def test_how_long_a_second_build_takes_is_said_beforehand_by_how_long_the_first_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(host, "require", lambda *_: None)
    told: list[str] = []
    twice.require(told.append)
    for stage, seconds in (("base", "155"), ("packer", "228")):
        (tmp_path / "paver" / "image" / stage / "x").mkdir(parents=True)
        (tmp_path / "paver" / "image" / stage / "x" / ".seconds").write_text(seconds)
    twice.require(told.append)
    assert [line.partition(": ")[2].partition(", below")[0] for line in told] == [
        f"at the end a second build, from nothing and on one processor: about {minutes} minutes"
        for minutes in (8, 20)
    ]


HERE = {"path": "/a", "date": "2026-11-29", "host name": "vm"}


def test_what_did_not_vary_does_not_hold_and_what_cannot_be_varied_was_not_asked() -> None:
    there = {"path": "/b c", "date": "2026-11-29", "host name": "vm"}
    path, date, name = elsewhere.judged(HERE, there, {"host name": "only root can"})
    assert (path.holds, path.seen) == (True, "/b c, here /a")
    assert (date.what, date.holds, date.asked) == ("another date", False, True)
    assert (name.holds, name.asked, name.seen) == (False, False, "not asked, because only root can")


def test_what_was_not_asked_is_no_failure_and_counts_for_nothing() -> None:
    section = Section(
        name="twice", how="", lines=(report.not_asked("a", "x", "of this"), Line("a", "y", True, "1"))
    )
    whole = Report(image="x.ova", sha256="0" * 64, version="1", runs_by="", sections=(section,))
    assert whole.holds
    assert report.ending(whole).startswith("all 1 things hold of x.ova")
    broken = dataclasses.replace(section, lines=(*section.lines, Line("a", "z", False, "2")))
    assert report.ending(dataclasses.replace(whole, sections=(broken,))).startswith(
        "1 of 2 things do not hold"
    )


def test_what_is_copied_for_a_second_build_is_all_that_decides_what_an_image_is(tmp_path: Path) -> None:
    tree = second.copied(SOURCE, tmp_path / "tree")
    assert sources.digests(tree) == sources.digests(SOURCE)
    assert not list(tree.rglob("__pycache__"))
    assert {"README.md", "LICENSE", "pyproject.toml"} <= {path.name for path in tree.iterdir()}
    assert not {
        path
        for path in tree.rglob("*")
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o027
    }


def test_where_a_second_build_happens_is_empty_has_a_space_in_its_name_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = tmp_path / "paver" / "image" / second.PLACE / "another path" / "half"
    left.mkdir(parents=True)
    seen: list[tuple[bool, list[Path]]] = []

    def fail() -> None:
        with second.place() as within:
            seen.append((" " in str(within), list(within.iterdir())))
            (within / "something").touch()
            raise PaverError("it fails")

    with pytest.raises(PaverError, match="it fails"):
        fail()
    assert seen == [(True, [])]
    assert not (tmp_path / "paver" / "image" / second.PLACE).exists()


def test_a_folder_of_an_earlier_proof_that_cannot_be_removed_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = tmp_path / "paver" / "image" / second.PLACE
    left.mkdir(parents=True)
    monkeypatch.setattr("paver.image.prove.second.shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(PaverError, match="is left of an earlier proof") as refusal, second.place():
        pass
    assert str(left) in refusal.value.do


def test_a_second_build_is_led_to_what_was_fetched_and_to_nothing_that_the_first_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    monkeypatch.setenv("GOCACHE", str(tmp_path / "of the first"))
    (tmp_path / "first" / "paver" / "lab" / "modules").mkdir(parents=True)
    fetched: list[tuple[str, Path]] = []
    monkeypatch.setattr(programs, "provide", lambda *_: None)
    monkeypatch.setattr(pool, "fill", lambda into, *_: fetched.append(("debs", into)))
    monkeypatch.setattr(payload, "fetch", lambda _, into, __: fetched.append(("wheels", into)))
    monkeypatch.setattr(ansible, "fetch", lambda _, into: fetched.append(("ansible", into)))
    monkeypatch.setattr(lab_build, "toolchain_of", lambda _: tmp_path / "go" / "bin" / "go")
    folder = tmp_path / "twice" / "another path"
    links = second.fetched(SOURCE, folder, lambda _: None)
    assert fetched == [
        ("debs", tmp_path / "first" / "paver" / "image" / "pool"),
        ("wheels", folder / "wheels"),
        ("ansible", folder / "wheels"),
    ]
    assert links["PIP_FIND_LINKS"] == f"file://{tmp_path}/twice/another%20path/wheels"
    assert links["PIP_NO_INDEX"] == "1"
    assert links["GOMODCACHE"] == str(tmp_path / "first" / "paver" / "lab" / "modules")
    assert links["GOCACHE"] == str(folder / "compiled")
    assert links["PATH"].startswith(f"{tmp_path}/go/bin:")


def test_a_provenance_tells_what_decided_apart_from_what_is_a_part_of_the_image(tmp_path: Path) -> None:
    made = image(tmp_path / "a", b"\x01" * GRAIN)
    data = published.beside(made.ova, "provenance").read_bytes()
    assert provenance.inputs(data, "x") == {"ova/debs.lock": "d" * 64}
    with pytest.raises(BadInput, match="x is no provenance"):
        provenance.inputs(b"{}", "x")


def test_the_stages_whose_times_are_told_are_those_of_a_build() -> None:
    assert build.__doc__ is not None
    named = [line.split()[0] for line in build.__doc__.splitlines() if line[:1].islower()]
    assert [name for name in named if name != "pack"] == list(build.STAGES)
