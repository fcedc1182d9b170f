"""How a build ends where Packer does not: the task named, the console shown, nothing left. Packer is a stand-in here."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.image import provision
from tests.support.process import gone
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
RECAP = "    qemu.jumpbox: default  : ok=1    changed={}    unreachable=0    failed=0    skipped=0\n"
TASK = "    qemu.jumpbox: TASK [system : Set it up] ***\n"
CHANGED = "    qemu.jumpbox: changed: [default]\n"
QUIET = RECAP.format(0)

STAND_IN = """\
#!{python}
import pathlib, subprocess, sys, time
given = dict(word.split("=", 1) for word in sys.argv if "=" in word and not word.startswith("-"))
pathlib.Path(given["console"]).write_text("booting\\n\\nKernel panic - not syncing\\n")
pathlib.Path({pids!r}).with_name("cpus").write_text(given["cpus"])
sys.stdout.write({says!r})
sys.stdout.flush()
if {hangs}:
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path({pids!r}).write_text(f"{{child.pid}}")
    child.wait()
if {takes_out}:
    pathlib.Path(given["changes"]).write_bytes(b"taken")
sys.exit({code})
"""


@dataclasses.dataclass(frozen=True)
class Bench:
    """A folder to build in, with a Packer of our own before any other."""

    folder: Path

    @property
    def pids(self) -> Path:
        return self.folder / "pids"

    @property
    def order(self) -> provision.Order:
        target = self.folder / "stage" / "changes.tar"
        target.parent.mkdir(exist_ok=True)
        return provision.Order(
            source=ROOT,
            disk=self.folder / "disk.raw",
            ansible=Path("ansible-playbook"),
            epoch=1_764_201_600,
            accelerator="tcg",
            target=target,
        )

    def packer(self, says: str, *, code: int = 0, hangs: bool = False, takes_out: bool = True) -> None:
        program = self.folder / "bin" / "packer"
        program.parent.mkdir(exist_ok=True)
        text = STAND_IN.format(
            python=sys.executable, says=says, code=code, hangs=hangs, takes_out=takes_out, pids=str(self.pids)
        )
        program.write_text(text)
        program.chmod(0o755)

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "stage").iterdir())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Bench(tmp_path)


def failure(bench: Bench, limits: provision.Limits | None = None) -> PaverError:
    with pytest.raises(PaverError) as failed:
        provision.provision(bench.order, lambda _: None, limits)
    assert bench.left() == []
    return failed.value


def test_what_the_playbook_changed_is_handed_over_and_nothing_else_is_left(bench: Bench) -> None:
    bench.packer(TASK + CHANGED + RECAP.format(1) + TASK + QUIET)
    told: list[str] = []
    provision.provision(bench.order, told.append)
    assert told == ["system : Set it up"]
    assert bench.left() == ["changes.tar"]


@pytest.mark.parametrize("count", [1, 3, 16])
def test_its_machine_has_as_many_processors_as_the_build_may_use_and_at_most_four(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    bench.packer(TASK + CHANGED + RECAP.format(1) + TASK + QUIET)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))
    provision.provision(bench.order, lambda _: None)
    assert (bench.folder / "cpus").read_text() == str(min(count, 4))


def test_a_second_run_that_changes_something_fails_the_build_and_names_the_task(bench: Bench) -> None:
    bench.packer(TASK + CHANGED + RECAP.format(1) + TASK + CHANGED + RECAP.format(1))
    error = failure(bench)
    assert error.what == "the playbook changes something each time it runs"
    assert error.seen == "system : Set it up"


def test_a_playbook_that_ran_once_only_is_no_proof(bench: Bench) -> None:
    bench.packer(TASK + CHANGED + RECAP.format(1))
    assert failure(bench).what == "the playbook ran 1 times, not 2"


def test_a_bad_playbook_names_its_task(bench: Bench) -> None:
    fatal = '    qemu.jumpbox: fatal: [default]: FAILED! => {"msg": "no such file"}\n'
    bench.packer(TASK + fatal, code=1)
    error = failure(bench)
    assert (error.what, error.seen) == (
        "the playbook failed in the task “system : Set it up”",
        "no such file",
    )


def test_a_boot_that_hangs_shows_the_consoles_last_lines(bench: Bench) -> None:
    bench.packer("==> qemu.jumpbox: Timeout waiting for SSH.\n", code=1)
    error = failure(bench, provision.Limits(boot=7))
    assert error.what.endswith("hangs: no SSH within 7 s")
    assert error.seen == "on its console, last:\nbooting\nKernel panic - not syncing"


def test_what_takes_too_long_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    class OnceItHangs(threading.Timer):
        """Its time is over once Packer's stand-in hangs, with all said and started that it says and starts."""

        def run(self) -> None:
            limits.append(self.interval)
            hangs = bench.pids
            until(lambda: self.finished.is_set() or (hangs.exists() and hangs.read_text()), "it hangs")
            if not self.finished.is_set():
                self.function(*self.args, **self.kwargs)

    monkeypatch.setattr("paver.image.provision.threading.Timer", OnceItHangs)
    bench.packer(TASK, hangs=True)
    error = failure(bench, provision.Limits(whole=7))
    assert limits == [7]
    assert error.what.endswith("hangs: the whole took more than 7 s")
    assert error.why == "Packer was at “system : Set it up”"
    assert gone(int(bench.pids.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_process(bench: Bench, number: signal.Signals) -> None:
    # As Packer does with QEMU: what it started ends with it.
    bench.packer("", hangs=True)
    program = bench.folder / "bin" / "packer"
    text = program.read_text().replace('["sleep"', '["setpriv", "--pdeathsig", "KILL", "sleep"')
    program.write_text(text)
    # Whoever runs the tests may have them ignore Ctrl-C, which is inherited.
    code = (
        "import pathlib, signal\nfrom paver.image import provision\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"order = provision.Order(source=pathlib.Path({str(ROOT)!r}), disk=pathlib.Path('disk'), ansible=pathlib.Path('a'),"
        f" epoch=1, accelerator='tcg', target=pathlib.Path({str(bench.order.target)!r}))\n"
        "provision.provision(order, print)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as build:
        until(lambda: bench.pids.exists() and bench.pids.read_text())
        child = int(bench.pids.read_text())
        # Only then does the child end with its parent.
        until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"))
        build.send_signal(number)
        build.wait(60)
    until(lambda: gone(child))
    assert not bench.order.target.exists()
    if number == signal.SIGINT:
        assert bench.left() == []
