"""What attends a job on a machine, at moments that no test of a whole job meets."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paver.transport import job_runner

SPEC: dict[str, Any] = {
    "argv": ["sh", "-c", "sleep 600 & echo $! $$; wait"],
    "cwd": "",
    "env": {},
    "time_limit": 0,
    "stall_limit": 0,
    "scratch": {},
}
STOPPED_AT_ONCE = """
import json, os, signal, sys
from paver.transport import job_runner
write = job_runner._write
def writing(path, value):
    write(path, value)
    if path.endswith("/pid"):
        os.kill(os.getpid(), signal.SIGTERM)
job_runner._write = writing
print(json.dumps(job_runner.start(sys.argv[1], "one", json.loads(sys.argv[2]))))
"""


def test_a_job_that_is_stopped_as_soon_as_its_number_is_known_ends_with_its_command(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", STOPPED_AT_ONCE, str(tmp_path), json.dumps(SPEC)]
    begun = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert begun["began"] is True
    command = json.loads((tmp_path / "one" / "pid").read_text())["command"]
    ended = job_runner.stop(str(tmp_path), "one")
    assert (ended["state"], ended["reason"]) == ("ended", "stopped")
    assert not job_runner.alive(command)
    for pid in (tmp_path / "one" / "log").read_text().split():
        assert not job_runner.started_at(int(pid))


def ended(folder: Path, said: str, code: int) -> None:
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({**SPEC, "started": 7}))
    (folder / "log").write_text(said)
    (folder / "exit.json").write_text(json.dumps({"code": code, "reason": "ended", "ended": 8}))


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of jobs in which `one` ended; as soon as anything of it was read, the next `one` has ended, otherwise."""
    ended(tmp_path / "one", "done\n", 0)
    read = job_runner._read

    def reading(name: str, folder: int) -> Any:
        found = read(name, folder)
        if not (tmp_path / "one.1").exists():
            (tmp_path / "one").rename(tmp_path / "one.1")
            ended(tmp_path / "one", "something else\n", 7)
        return found

    monkeypatch.setattr(job_runner, "_read", reading)
    return str(tmp_path)


def test_a_job_is_looked_at_as_one_though_the_next_of_its_name_begins_meanwhile(replaced: str) -> None:
    found = job_runner.state(replaced, "one")
    assert (found["state"], found["code"], found["log"]) == ("ended", 0, 5)


def test_a_job_is_followed_as_one_though_the_next_of_its_name_begins_meanwhile(replaced: str) -> None:
    told = io.BytesIO()
    job_runner.follow(replaced, "one", 0, 60, told)
    head, _, end = told.getvalue().partition(b"=")
    assert head == b"5\ndone\n"
    assert json.loads(end)["code"] == 0
