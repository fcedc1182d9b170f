"""Chains of kills: a run is killed, the same command is run again and killed again, until one run comes to its end.

Kills are drawn from a seeded generator. Here, or on the jumpbox; at a line of the journal, or at any moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from paver.lab import system
from paver.runs.wayback import job_of
from tests.crash.boundaries import SIDES
from tests.crash.suicide import JUMPBOX, OUTSIDE
from tests.support.place import NAME, PATIENCE, Place
from tests.support.ran import Ran

DIE = "var/lib/paver-lab/die"
"""On the jumpbox: when the next run there is to die. Outside of what paver looks at."""
SHIM = """\
#!/bin/sh
export PYTHONPATH={library}
if [ "$1" = apply ] || [ "$1" = destroy ]; then
  if when=$(cat /{die} 2>/dev/null); then rm -f /{die}; exec {python} -m tests.crash.suicide "$when" "$@"; fi
fi
exec {python} -m paver "$@"
"""
ALWAYS = """\
#!/bin/sh
export PYTHONPATH={library}
case "$1" in apply | destroy) exec {python} -m tests.crash.suicide {when} "$@" ;; esac
exec {python} -m paver "$@"
"""
"""`paver` on the jumpbox where each of its runs is to die."""
ATTENDANT = ("job_runner", job_of(NAME), "\0start\0")


def install(place: Place, program: str, when: str = "") -> None:
    """Puts `program` where the jumpbox has its `paver`; it dies at `when`, where it does not look that up."""
    shim = place.jumpbox() / "usr/local/bin/paver"
    library, python = shlex.quote(system.python_path()), shlex.quote(sys.executable)
    draft = shim.with_suffix(".new")
    draft.write_text(program.format(library=library, python=python, die=DIE, when=shlex.quote(when)))
    draft.chmod(0o755)
    draft.replace(shim)


@dataclasses.dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        station: whose paver died.
        when: as `suicide` takes it, or `signal:SECONDS` from outside of the process.
        at: what the journal said last.
    """

    station: str
    when: str
    at: str

    def __str__(self) -> str:
        return f"{self.station} {self.when}: {self.at}"


class Chain:
    """A chain of kills at one site.

    Args:
        place: the site.
        seed: of the kills.
        most: kills; then the run is left alone.
    """

    def __init__(self, place: Place, seed: int, most: int) -> None:
        self.place = place
        self.kills: list[Kill] = []
        self.told: list[str] = []
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._most = most

    def lead(self, *argv: str, before: bool) -> None:
        """Runs `paver ARGV` until it comes to its end.

        Args:
            argv: what is run.
            before: whether the jumpbox may not be there yet: then only this station is killed.
        """
        for _ in range(self._most + 40):
            if len(self.kills) >= self._most:
                ran = self.place.paver(*argv, code=None)
                self._ended(ran)
                return
            killed = self._early(argv) if before else self._either(argv)
            if killed is None:
                return
        raise AssertionError("the chain does not come to its end:\n" + "\n".join(map(str, self.kills)))

    def _either(self, argv: tuple[str, ...]) -> Kill | None:
        if not self._stands():
            return self._early(argv)
        if self._random.random() < 0.3:
            return self.outside(f"time:{self._random.uniform(0.5, 10):.2f}", *argv)
        if self._random.random() < 0.6 and not self._at_work():
            return self.there(f"{self._random.choice(SIDES)}:{self._random.randint(1, 90)}", *argv)
        return self._signalled(argv)

    def _early(self, argv: tuple[str, ...]) -> Kill | None:
        if self._random.random() < 0.7:
            return self.outside(f"{self._random.choice(SIDES)}:{self._random.randint(1, 45)}", *argv)
        return self.outside(f"time:{self._random.uniform(0.5, 10):.2f}", *argv)

    def outside(self, when: str, *argv: str) -> Kill | None:
        """Runs `paver ARGV`, whose process here dies at `when`; None if it came to its end before that."""
        command = [sys.executable, "-m", "tests.crash.suicide", when, *argv, "--site", str(self.place.site)]
        done = subprocess.run(
            self.place.lab.argv(command, self.place.folder),
            env=self.place.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        # nsenter dies of the same signal as what it runs.
        if done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}:
            return self._killed(OUTSIDE, when)
        self._ended(Ran(done.returncode, done.stdout, done.stderr))
        return None

    def there(self, when: str, *argv: str) -> Kill | None:
        """Runs `paver ARGV`, whose process on the jumpbox dies at `when`; None if it came to its end before that."""
        with self._armed(when):
            ran = self.place.paver(*argv, code=None)
            died = not (self.place.jumpbox() / DIE).exists()
        if ran.code == 0:
            self._ended(ran)
            return None
        assert died, ran.told
        return self._seen(when, ran)

    def _signalled(self, argv: tuple[str, ...]) -> Kill | None:
        """Kills the jumpbox's process at any moment; its attendant as well, or not."""
        delay = self._random.uniform(0.2, 12)
        both = self._random.random() < 0.5
        hit = threading.Event()

        def strike() -> None:
            end = time.monotonic() + PATIENCE
            while not self._at_work():
                if running.poll() is not None or time.monotonic() > end:
                    return
                time.sleep(0.02)
            time.sleep(delay)
            for pid in self._processes("--handed-off") + (self._processes(*ATTENDANT) if both else []):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    hit.set()

        running = self.place.start(*argv)
        thread = threading.Thread(target=strike)
        thread.start()
        told, _ = running.communicate(timeout=PATIENCE)
        thread.join()
        ran = Ran(running.returncode, told, "")
        if ran.code == 0:
            self._ended(ran)
            return None
        assert hit.is_set(), ran.told
        return self._seen(f"signal:{delay:.2f}{'+attendant' if both else ''}", ran)

    def _seen(self, when: str, ran: Ran) -> Kill:
        """This station saw the other one die, and says so."""
        assert ran.code == 1, ran.told
        assert "ended without an outcome" in ran.told, ran.told
        return self._killed(JUMPBOX, when)

    def _killed(self, station: str, when: str) -> Kill:
        kill = Kill(station, when, self._last(station))
        self.kills.append(kill)
        return kill

    def _ended(self, ran: Ran) -> None:
        self.told.append(ran.told)
        assert ran.code == 0, "\n".join([*map(str, self.kills), ran.told])

    @contextlib.contextmanager
    def _armed(self, when: str) -> Iterator[None]:
        install(self.place, SHIM)
        root = self.place.jumpbox()
        (root / DIE).write_text(when)
        yield
        (root / DIE).unlink(missing_ok=True)

    def _stands(self) -> bool:
        return any(machine["kind"] == "jumpbox" for machine in self.place.machines().values())

    def _at_work(self) -> bool:
        return bool(self._processes("--handed-off"))

    def _processes(self, *words: str) -> list[int]:
        """Returns the lab's processes in whose command line all of `words` are, as they are numbered here."""
        network = Path(f"/proc/{self.place.lab.init.pid}/ns/net").stat().st_ino
        found = []
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                line = (path / "cmdline").read_bytes().decode(errors="replace")
                if all(word in line for word in words) and (path / "ns/net").stat().st_ino == network:
                    found.append(int(path.name))
            except OSError:
                continue  # it has ended
        return found

    def _last(self, station: str) -> str:
        runs = self.place.folder / ".paver" / NAME / "runs"
        if station == JUMPBOX and self._stands():
            runs = self.place.jumpbox() / "var/lib/paver/sites" / NAME / ".paver" / NAME / "runs"
        newest = max(runs.glob("*"), default=None)
        journal = newest / "journal.jsonl" if newest is not None else None
        if journal is None or not journal.exists():
            return "before the journal"
        lines = journal.read_bytes().split(b"\n")[:-1]
        if not lines:
            return "before the first line"
        last = json.loads(lines[-1])
        about = last.get("resource") or last.get("call") or ""
        return f"{len(lines)} {last['event']} {about}".strip()
