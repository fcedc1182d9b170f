"""What compiles the lab's programs ends with whoever wanted them, and nothing of it is in the way of the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import gone
from tests.support.raised import until

ROOT = Path(__file__).parent.parent.parent
GO = """\
#!/bin/sh
# New enough for everything; what it builds takes for ever, or no time.
test "$1" = build || {{ echo go version go1.99.0 linux/amd64; exit; }}
while test "$1" != -o; do shift; done
test -e {folder}/quick && exec cp /bin/true "$2"
echo $$ >{folder}/pid
exec sleep 600
"""
BUILD = "import pathlib; from paver.lab import build; build.build(['vsim'], folder=pathlib.Path({folder!r}))"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_leaves_no_compiler_and_the_next_one_clears_up_after_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO.format(folder=tmp_path))
    go.chmod(0o755)
    environment = {**os.environ, "PATH": f"{go.parent}:{os.environ['PATH']}"}
    argv = [sys.executable, "-c", BUILD.format(folder=str(tmp_path / "cache"))]
    pid = tmp_path / "pid"
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as killed:
        until(lambda: pid.exists() and pid.read_text().endswith("\n"), "it compiles")
        compiler = int(pid.read_text())
        assert not gone(compiler)
        killed.send_signal(number)
        killed.wait(60)
    until(lambda: gone(compiler), "the compiler is gone")
    (tmp_path / "quick").touch()
    subprocess.run(argv, cwd=ROOT, env=environment, check=True, timeout=60)
    assert list((tmp_path / "cache" / "build").iterdir()) == []
    [built] = (tmp_path / "cache" / "bin").glob("*/vsim")
    assert os.access(built, os.X_OK)
