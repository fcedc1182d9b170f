"""A line that is cut without a word: no end, no reset, what is sent just gets lost. The lab's cable of a real sshd is pulled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paver.lab import system
from tests.support.lab_jumpbox import ADDRESS, Jumpbox
from tests.support.waiting import until

pytestmark = pytest.mark.lab

NEVER = 3600.0


class Hears:
    """What `tests.support.at_jumpbox` says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said: list[tuple[str, str]] = []

    def next(self, *kinds: str) -> tuple[str, str]:
        """Waits for something of `kinds` (whatever it is, if there are none) and returns it."""
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            what, text = json.loads(raw)
            self.said.append((what, text))
            if not kinds or what in kinds:
                return what, text
        raise AssertionError(f"it ended with {self._process.wait()}: {self.said}")


@contextmanager
def at(jumpbox: Jumpbox, verb: str, stop: Path, silence: float) -> Iterator[Hears]:
    shown = jumpbox.raised.run(["ssh-keyscan", "-T", "30", "-t", "ed25519", ADDRESS]).stdout.split()
    argv = [sys.executable, "-m", "tests.support.at_jumpbox", verb, str(jumpbox.key), " ".join(shown[1:3])]
    lab = jumpbox.raised.lab
    with subprocess.Popen(
        lab.argv([*argv, str(stop), str(silence)], Path.cwd()),
        env={**lab.environment(), "PYTHONPATH": system.python_path()},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Hears(process)
        finally:
            process.kill()


def cut(jumpbox: Jumpbox) -> None:
    jumpbox.wire(uplinks_up=0)
    until(lambda: not jumpbox.raised.machine(jumpbox.uuid)["addresses"], "its address is gone")


def mend(jumpbox: Jumpbox) -> None:
    jumpbox.wire()
    until(lambda: jumpbox.raised.machine(jumpbox.uuid)["addresses"], "its address is back")


def test_a_run_is_followed_on_after_its_line_was_cut_without_a_word(jumpbox: Jumpbox, tmp_path: Path) -> None:
    jumpbox.on()
    with at(jumpbox, "follow", tmp_path / "stop", silence=2.0) as heard:
        # Before it the line may have counted as broken: what follows the job over there may be slow to begin.
        assert heard.next("line")[1] == "1"
        cut(jumpbox)
        assert heard.next("broken")[1] == "jumpbox: nothing was heard of job counts for 2 s"
        mend(jumpbox)
        heard.next("heard")
        last = int(heard.next("line")[1])
        (tmp_path / "stop").touch()
        assert heard.next("end")[1] == "running"
    numbers = [int(text) for what, text in heard.said if what == "line"]
    assert numbers == [*range(1, len(numbers) + 1)], "each once, in order"
    assert len(numbers) >= last


def test_a_machine_that_stood_still_is_attached_to_again_and_nobody_follows_twice(
    jumpbox: Jumpbox, tmp_path: Path
) -> None:
    followers = "follow /var/lib/paver/jobs counts"
    jumpbox.on()
    with at(jumpbox, "follow", tmp_path / "stop", silence=2.0) as heard:
        heard.next("line")
        signalled(jumpbox, "-STOP", followers, "sshd")
        heard.next("broken")
        signalled(jumpbox, "-CONT", "sshd", followers)
        heard.next("heard")
        heard.next("line")
        until(lambda: followed(jumpbox, followers) == 1, "the first follower has ended")
        (tmp_path / "stop").touch()
        heard.next("end")
    numbers = [int(text) for what, text in heard.said if what == "line"]
    assert numbers == [*range(1, len(numbers) + 1)], "each once, in order"


def signalled(jumpbox: Jumpbox, signal: str, *patterns: str) -> None:
    for pattern in patterns:
        jumpbox.raised.run(["pkill", signal, "-f", pattern])


def followed(jumpbox: Jumpbox, pattern: str) -> int:
    return len(jumpbox.raised.run(["pgrep", "-f", f"^python3 .*{pattern}"], check=False).stdout.split())


def test_whoever_stops_following_is_heard_while_nothing_comes(jumpbox: Jumpbox, tmp_path: Path) -> None:
    jumpbox.on()
    with at(jumpbox, "follow", tmp_path / "stop", NEVER) as heard:
        heard.next("line")
        cut(jumpbox)
        (tmp_path / "stop").touch()
        assert heard.next("end")[1] == "running"


def test_a_command_fails_soon_after_its_line_was_cut_without_a_word(jumpbox: Jumpbox, tmp_path: Path) -> None:
    jumpbox.on()
    with at(jumpbox, "run", tmp_path / "stop", silence=2.0) as heard:
        heard.next("runs")
        until(lambda: jumpbox.ssh("pgrep -f 'sleep 3600'", check=False).stdout, "the command runs")
        cut(jumpbox)
        assert heard.next("failed")[1] == "jumpbox: the SSH connection broke while sleep ran"
