"""What compiles the lab's programs ends with whoever wanted them, and nothing of it is in the way of the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import gone
from tests.support.waiting import until

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
BUILD = """\
import pathlib, signal
from paver.lab import build
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
build.build(['vsim'], progress=lambda now: print(now.state, flush=True), folder=pathlib.Path({folder!r}))
"""


@pytest.fixture
def argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What builds a program with a compiler that takes for ever."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO.format(folder=tmp_path))
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    return [sys.executable, "-c", BUILD.format(folder=str(tmp_path / "cache"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_leaves_no_compiler_and_the_next_one_clears_up_after_it(
    tmp_path: Path, argv: list[str], number: signal.Signals
) -> None:
    pid = tmp_path / "pid"
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as killed:
        until(lambda: pid.exists() and pid.read_text().endswith("\n"), "it compiles")
        compiler = int(pid.read_text())
        assert not gone(compiler)
        killed.send_signal(number)
        killed.wait(60)
    until(lambda: gone(compiler), "the compiler is gone")
    (tmp_path / "quick").touch()
    subprocess.run(argv, cwd=ROOT, check=True, timeout=60)
    assert list((tmp_path / "cache" / "build").iterdir()) == []
    [built] = (tmp_path / "cache" / "bin").glob("*/vsim")
    assert os.access(built, os.X_OK)


def test_a_second_build_says_that_it_waits_for_the_first_and_ends_at_once_when_it_is_stopped(
    argv: list[str],
) -> None:
    with (
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first,
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as second,
    ):
        said = {}
        for each in (first, second):
            assert each.stdout
            said[each.stdout.readline()] = each
        assert said.keys() == {b"building\n", b"waiting\n"}
        said[b"waiting\n"].send_signal(signal.SIGINT)
        assert said[b"waiting\n"].wait(30) != 0
        assert said[b"building\n"].poll() is None
        said[b"building\n"].kill()
