"""What unpacks Debian ends with the build: also where it waits for its children and does not end them, as mmdebstrap does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.image import mmdebstrap
from tests.support.process import gone
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
STAND_IN = """\
#!/bin/sh
# Signals are noted, and its child waited for all the same.
trap : TERM PIPE
cd {folder}
sh -c 'echo $$ >pid; exec sleep 600' &
until wait $!; do kill -0 $! 2>/dev/null || break; done
echo cleaned >after
"""
BUILD = """\
import pathlib, signal, paver.__main__
from paver.image import mmdebstrap
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, paver.__main__._stopped)
folder = pathlib.Path({folder!r})
mmdebstrap.run([], what="the base", epoch=1, scratch=folder, tell=print)
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_ends_what_unpacks_debian_and_lets_it_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    stand_in(tmp_path, monkeypatch, STAND_IN.format(folder=tmp_path))
    pid = tmp_path / "pid"
    code = BUILD.format(folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as build:
        until(lambda: pid.exists() and pid.read_text().endswith("\n"), "it unpacks")
        child = int(pid.read_text())
        assert not gone(child)
        build.send_signal(number)
        build.wait(60)
    if number is not signal.SIGKILL:
        assert (tmp_path / "after").exists()  # before the build ends, whose folders go then
    until(lambda: gone(child) and (tmp_path / "after").exists(), "it is gone")


def test_it_reads_what_it_is_given_and_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        tmp_path, monkeypatch, "#!/bin/sh\necho I: $(wc -c) bytes, umask $(umask).\necho broken\nexit $1\n"
    )
    (tmp_path / "given").write_bytes(b"x" * 100_000)
    told: list[str] = []

    def run(code: str) -> None:
        mmdebstrap.run(
            [code], what="the base", epoch=1, scratch=tmp_path, tell=told.append, stdin=tmp_path / "given"
        )

    run("0")
    assert told == ["100000 bytes, umask 0022"]
    with pytest.raises(PaverError, match="the base could not be unpacked") as failed:
        run("3")
    assert (failed.value.seen, failed.value.why) == ("broken", "mmdebstrap ended with 3")
