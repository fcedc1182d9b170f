"""What `make bench` tells of the image's build: only a build that made nothing counts as one where nothing changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.image import build, host
from tests.bench import __main__ as bench
from tests.bench import image_build
from tests.bench.measure import Ground, Row


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(image_build.COLD, raising=False)
    (tmp_path / "disk").mkdir()
    return Ground(tmp_path, tmp_path / "disk", 1, lambda _: None)


def product(tmp_path: Path, stage: str, name: str, seconds: int, at: int) -> None:
    folder = tmp_path / "cache" / "paver" / "image" / stage / name
    folder.mkdir(parents=True)
    (folder / ".seconds").write_text(str(seconds))
    os.utime(folder / ".seconds", (at, at))


def test_a_figure_without_a_goal_is_told_and_not_missed() -> None:
    row = Row("booted until SSH answers", 102, None, "by tcg", None, None)
    assert row.ok
    assert bench._line(row).endswith("by tcg")
    missed = Row("x", 600, None, "8 min", 1.25, 1)
    assert not missed.ok
    assert bench._line(missed).endswith("missed")


def test_a_build_that_made_a_stage_is_not_taken_for_one_where_nothing_changed(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = iter([300.0, 20.0])

    def built(*_: object) -> float:
        seconds = next(took)
        if seconds == 300:
            product(tmp_path, "payload", "a", 15, 1)
        return seconds

    monkeypatch.setattr(image_build, "_build", built)
    row = next(image_build.measure(ground))
    assert (row.paver, row.ok) == (20.0, True)


def test_a_build_that_makes_a_stage_each_time_is_no_figure(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter("abc")

    def built(*_: object) -> float:
        product(tmp_path, "payload", next(names), 15, 1)
        return 300.0

    monkeypatch.setattr(image_build, "_build", built)
    with pytest.raises(PaverError, match="made a stage anew"):
        next(image_build.measure(ground))


def test_what_a_build_from_nothing_would_take_is_what_each_stage_took_when_it_was_made_last(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_build, "_build", lambda *_: 20.0)
    for number, stage in enumerate(build.STAGES):
        product(tmp_path, stage, "before", 1000, 1)
        product(tmp_path, stage, "last", 10 + number, 1_764_201_600)
    said: list[str] = []
    rows = list(image_build.measure(Ground(ground.folder, ground.disk, 1, said.append)))
    assert [row.paver for row in rows] == [
        20.0,
        20.0 + sum(10 + number for number in range(len(build.STAGES))),
    ]
    assert said[-len(build.STAGES)] == "    10 s  base, 2025-11-27 00:00"


def test_where_it_is_asked_for_it_is_built_from_nothing_with_the_labs_programs(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(image_build.COLD, "1")
    monkeypatch.setattr(host, "ROOM", 1)
    seen: list[str] = []

    def built(_: Path, __: Path, more: dict[str, str]) -> float:
        if more:
            home = Path(more["XDG_CACHE_HOME"]) / "paver"
            seen.append(f"{sorted(path.name for path in home.iterdir())} {(home / 'lab').readlink()}")
        return 470.0 if more else 20.0

    monkeypatch.setattr(image_build, "_build", built)
    rows = list(image_build.measure(ground))
    assert [(row.what, row.ok) for row in rows][1:] == [("the image built from nothing", True)]
    assert seen == [f"['lab'] {tmp_path / 'cache' / 'paver' / 'lab'}"]
