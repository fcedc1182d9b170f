"""Paver's share of a run is what no server, job, task or boot of the lab covers."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest

from tests.bench import share

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def at(seconds: float) -> str:
    return (START + dt.timedelta(seconds=seconds)).isoformat()


def touched(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    moment = START.timestamp() + seconds
    os.utime(path, (moment, moment))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [{"event": "opened", "time": at(0)}, {"event": "begun", "resource": "a", "time": at(6)}]
    (folder / "journal.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"event": "closed", "time": at(10)}])
    )
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    (folder / "trace").mkdir(parents=True)
    return folder


def test_a_run_in_an_idle_lab_is_all_pavers(run: Path, lab: Path) -> None:
    found = share.share(run, lab)
    assert (found.wall, found.own, found.ratio) == (10, 10, 1)


def test_calls_jobs_and_boots_are_not_pavers_and_count_once_where_they_overlap(run: Path, lab: Path) -> None:
    calls = [{"time": at(-5), "ms": 5999}, {"time": at(2), "ms": 1999}, {"time": at(3), "ms": 499}]
    (lab / "trace" / "esx-01.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    machine = lab / "machines" / "m"
    job = machine / "root" / "var" / "lib" / "paver" / "jobs" / "bucc-north"
    touched(job / "pid", 5)
    touched(job / "exit.json", 7)
    (machine / "console.log").write_text(f"no time\n{at(6.5)} power on: m\n{at(8)} sshd listens\n")
    found = share.share(run, lab)
    assert found.own == pytest.approx(1 + 1 + 2, abs=0.01)
    assert [(round(gap.at), round(gap.seconds), gap.after) for gap in found.gaps] == [
        (8, 2, "begun a"),
        (1, 1, "opened"),
        (4, 1, "opened"),
    ]


def test_pavers_own_run_on_the_jumpbox_is_pavers(run: Path, lab: Path) -> None:
    job = lab / "machines" / "m" / "root" / "var" / "lib" / "paver" / "jobs" / "apply-north"
    touched(job / "pid", 1)
    touched(job / "exit.json", 9)
    assert share.share(run, lab).own == 10


def test_a_run_in_which_nothing_was_done_is_refused(tmp_path: Path, lab: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(json.dumps({"event": "opened", "time": at(0)}) + "\n")
    with pytest.raises(ValueError, match="nothing was done"):
        share.share(tmp_path, lab)
