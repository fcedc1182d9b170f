"""The command as a process of its own: what it loads, how quick it is beside Python itself, how it stops."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("pyVmomi", "paramiko", "boto3", "httpx", "jinja2", "rich")


def loaded(*argv: str, cwd: Path) -> set[str]:
    """Returns the top-level modules that a command has loaded at its end."""
    code = (
        "import sys\n"
        "from paver.cli import entry\n"
        f"entry.main({list(argv)!r})\n"
        "sys.stderr.write('LOADED ' + ' '.join(sorted({m.partition('.')[0] for m in sys.modules})))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return set(ran.stderr.rpartition("LOADED ")[2].split())


def test_validate_loads_no_session_and_no_rendering(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "paver", "init", "site.yml"], cwd=tmp_path, check=True, timeout=60)
    assert not loaded("validate", cwd=tmp_path) & set(HEAVY)
    assert not loaded("schema", cwd=tmp_path) & set(HEAVY)
    assert not loaded("ports", cwd=tmp_path) & set(HEAVY)


def test_help_loads_next_to_nothing(tmp_path: Path) -> None:
    assert not loaded("--help", cwd=tmp_path) & {*HEAVY, "argparse", "pydantic", "yaml"}


def quickest(argv: list[str], rounds: int = 15) -> float:
    """Returns the least processor time of a command: what others do on this machine does not count."""
    found = []
    for _ in range(rounds):
        before = os.times()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
        after = os.times()
        found.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    return min(found)


@pytest.mark.parametrize(("option", "times"), [("--version", 2.0), ("--help", 3.5)])
def test_the_command_starts_about_as_quickly_as_python(option: str, times: float) -> None:
    bare = max(quickest([sys.executable, "-c", "pass"]), 0.01)
    assert quickest([sys.executable, "-m", "paver", option]) <= times * bare


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "paver", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    if ran.stdout is None or ran.stderr is None:
        raise AssertionError(ran)
    ran.stdout.close()
    assert ran.stderr.read() == b""
    ran.stderr.close()
    assert ran.wait(timeout=60) in {0, 1}
