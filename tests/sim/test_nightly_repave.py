"""The nightly job of the documentation, its own text run as Concourse would: what a run leaves ends in what the task hands on."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import paver_of_the_memory_room
from tests.support.command import Command, command

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "nightly-repave.md"


def block(language: str, opening: str) -> str:
    """Returns the one block of the page that begins so."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if text.startswith(opening)]
    return str(found)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclasses.dataclass(frozen=True)
class Task:
    """The page's task: a working directory with its inputs and outputs, and nothing else in it.

    Attributes:
        work: the directory.
        config: the task's, as the page has it.
        programs: where `paver` is found.
        key: the text of the sealed store's key, which the credential manager holds.
    """

    work: Path
    config: dict[str, Any]
    programs: Path
    key: str

    @property
    def outputs(self) -> list[Path]:
        return [self.work / one["name"] for one in self.config["outputs"]]

    def run(self) -> subprocess.CompletedProcess[str]:
        (secret,) = [name for name, value in self.config["params"].items() if value == "((site.sealed_key))"]
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PAVER_")}
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        told = self.config["run"]
        return subprocess.run(
            [told["path"], *told["args"]],
            cwd=self.work,
            env={**outside, **self.config["params"], secret: self.key, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    folder = tmp_path / "desk"
    folder.mkdir()
    return command(folder, capsys, monkeypatch)


@pytest.fixture
def task(desk: Command, tmp_path: Path) -> Task:
    (job,) = yaml.safe_load(block("yaml", "resources:"))["jobs"]
    (config,) = [step["config"] for step in job["plan"] if "task" in step]
    made = Task(
        tmp_path / "work",
        config,
        paver_of_the_memory_room.put(tmp_path / "bin"),
        (desk.folder / "site.key").read_text(),
    )
    (given,) = config["inputs"]
    site = made.work / given["name"]
    for folder in (made.work, site, *made.outputs):
        folder.mkdir()
    (site / "site.yml").write_bytes(desk.site.read_bytes())
    (site / "lab-north.sealed").write_bytes((desk.folder / "lab-north.sealed").read_bytes())
    (site / "repave.sh").write_text(block("sh", "#!/bin/sh"))
    return made


def test_what_a_night_leaves_lies_in_the_outputs_of_the_documented_job_and_the_key_in_none(
    task: Task,
) -> None:
    site = contents(task.work / "site")
    ran = task.run()
    assert ran.returncode == 0, ran
    evidence = contents(task.work / "evidence")
    (run,) = {str(Path(name).parent) for name in evidence if name.endswith("/journal.jsonl")}
    assert {"nightly.plan", f"{run}/plan.json", f"{run}/report.html"} <= set(evidence)
    assert evidence["nightly.plan"] == evidence[f"{run}/plan.json"]
    paved = contents(task.work / "paved")
    assert set(paved) - {"lab-north.sealed.lock"} == set(site)
    assert paved["lab-north.sealed"] != site["lab-north.sealed"]
    assert contents(task.work / "site") == site
    key = task.key.strip().encode()
    assert not [name for output in task.outputs for name, held in contents(output).items() if key in held]
    assert {path.name for path in task.work.iterdir()} == {"site", "evidence", "paved", "site.key"}


def test_a_night_in_which_somebody_has_to_look_leaves_its_plan_in_the_outputs_too(
    task: Task, desk: Command
) -> None:
    desk.fine("apply", "--yes")
    desk.write(colour="red")
    for name in ("site.yml", "lab-north.sealed"):
        (task.work / "site" / name).write_bytes((desk.folder / name).read_bytes())
    ran = task.run()
    assert ran.returncode == 4, ran
    assert "somebody has to look" in ran.stderr
    assert set(contents(task.work / "evidence")) >= {"nightly.plan"}
