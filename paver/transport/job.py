"""Long-running commands as jobs: started detached under an id, or attached to if they run already.

A job outlives the session that started it and paver itself; its log is followed from any offset. The attendant
over there is `job_runner`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paver.errors import BadInput, PaverError, Unobservable
from paver.transport import sent
from paver.transport.listening import Listening
from paver.transport.machine import MachineReader, MachineWriter
from paver.transport.shell import Output, Ran

_PROGRAM = Path(__file__).with_name("job_runner.py")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")

BEAT = 5.0
"""Seconds between two signs of life of a machine whose job says nothing."""
SILENCE = 30.0
"""Seconds without one after which the line counts as broken.

Nothing is lost by asking anew, from where the log is known: also a machine that only stood still, or was busy, is attached
to again."""
_LOOK = 0.2
"""Seconds between two looks whether to stop."""
_LOOKS = 5
"""Looks between two attempts."""


@dataclasses.dataclass(frozen=True)
class JobState:
    """How a job stands.

    Attributes:
        state: `absent`, `running`, `ended` or `died` (it left no exit code: the machine went down under it).
        code: its exit code, None unless it ended.
        reason: `ended`, `time-limit`, `stall-limit`, `stopped` or `not-started`.
        log: bytes in its log.
        began: whether this call started it.
        started: seconds since 1970.
        ended: seconds since 1970.
        argv: what runs, or ran.
    """

    state: str
    code: int | None = None
    reason: str = ""
    log: int = 0
    began: bool = False
    started: int = 0
    ended: int = 0
    argv: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if it ended with 0."""
        return self.state == "ended" and self.code == 0


class Job:
    """A job that was started or found; follow it from here."""

    def __init__(self, machine: MachineReader, job_id: str, state: JobState) -> None:
        self._machine = machine
        self.id = job_id
        self.state = state

    @property
    def began(self) -> bool:
        """Whether this call started it; False if it ran already."""
        return self.state.began

    def follow(
        self,
        on_line: Callable[[str], None],
        *,
        stop: Callable[[], bool] = lambda: False,
        on_break: Callable[[str], None] = lambda _: None,
        patience: float = 300.0,
    ) -> JobState:
        """Hands every line of the log to `on_line` and returns how the job stands at the end.

        A broken connection is made up again, and the log goes on where it broke. One that was cut without a word
        counts as broken after `SILENCE` seconds.

        Args:
            on_line: is told each line, without its end.
            stop: asked all the time; True detaches, and the job goes on (`state` is `running` then).
            on_break: is told why the connection broke, and an empty text once it stands again.
            patience: seconds that the machine may be unreachable.

        Raises:
            Unobservable: if it stays unreachable.
        """
        return _Following(self._machine, self.id, on_line, stop, on_break).run(patience)


class _Following:
    def __init__(
        self,
        machine: MachineReader,
        job_id: str,
        on_line: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
        on_break: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._machine = machine
        self._id = job_id
        self._on_line = on_line
        self._offset = 0
        self._stop = stop
        self._on_break = on_break
        self._raw = b""
        self._line = b""
        self._end: JobState | None = None
        # Seconds: only of time in which somebody listened. What came while this process was stopped waits to be heard.
        self._unheard = 0.0
        self._broken = False

    def run(self, patience: float) -> JobState:
        while not self._stop():
            self._raw = b""
            line = Listening(self._asked(str(self._offset)))
            try:
                self._listen(line)
            except Unobservable as error:
                if self._unheard > patience:
                    raise
                self._broke(error)
                self._rest()
            finally:
                line.leave()
            if self._end is not None:
                if self._line:
                    self._on_line(self._line.decode("utf-8", "replace"))
                return self._end
        # Not asked for: the machine may not answer, and who stops waits for nobody.
        return JobState("running")

    def _asked(self, offset: str) -> Callable[[Output], Ran]:
        return lambda take: _asked(self._machine, "follow", self._id, offset, str(BEAT), on_output=take)

    def _listen(self, line: Listening) -> None:
        """Takes what is said until the job has ended, or `stop` says so.

        Raises:
            Unobservable: if the line broke.
        """
        before = self._unheard
        while self._end is None and not self._stop():
            try:
                piece = line.piece(_LOOK)
            except TimeoutError:
                self._unheard += _LOOK
                if self._unheard - before > SILENCE:
                    self._machine.host.shell.close()
                    raise _silent(self._machine, self._id) from None
                continue
            if not piece:
                raise PaverError(f"{self._machine.name}: the log of job {self._id} broke off")
            self._take(piece)
            before = 0.0

    def _broke(self, error: Unobservable) -> None:
        if not self._broken:
            self._broken = True
            self._on_break(error.what)

    def _rest(self) -> None:
        for _ in range(_LOOKS):
            if not self._stop():
                time.sleep(_LOOK)
                self._unheard += _LOOK

    def _take(self, piece: bytes) -> None:
        self._raw += piece
        while True:
            head, newline, rest = self._raw.partition(b"\n")
            if not newline:
                break
            if head.startswith(b"="):
                self._end = _told(self._machine, self._id, head[1:])
                break
            if not head.isdigit():
                raise _not_an_answer(self._machine, self._id, head)
            length = int(head)
            if len(rest) < length:
                break
            self._raw = rest[length:]
            self._offset += length
            lines = (self._line + rest[:length]).split(b"\n")
            self._line = lines.pop()
            for line in lines:
                self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))
        # Also of a job that says nothing for hours: every few seconds comes that the line still stands.
        self._unheard = 0.0
        if self._broken:
            self._broken = False
            self._on_break("")


def start_or_attach(
    machine: MachineWriter,
    job_id: str,
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    cwd: str | None = None,
    time_limit: float = 0,
    stall_limit: float = 0,
    scratch: Mapping[str, bytes] | None = None,
) -> Job:
    """Starts a job detached (call `job:start`), or finds that it runs; of two starters one wins, both follow.

    Args:
        machine: where it runs.
        job_id: its name: the action's id.
        argv: program and arguments; `{scratch}` stands for the scratch folder. Never a secret.
        env: variables beside PATH, HOME and LANG. Never a secret.
        cwd: its folder.
        time_limit: seconds until it is ended; 0 is never.
        stall_limit: seconds without a byte of output until it is ended; 0 is never.
        scratch: files with secrets by relative name: 0600 on tmpfs as long as it runs, removed at its end.

    Raises:
        BadInput: if the id cannot be a file's name.
        PaverError: if it could not be started.
    """
    _checked(job_id)
    machine.admit("job:start", f"{job_id}: {' '.join(argv)}")
    spec = {
        "argv": list(argv),
        "env": dict(env or {}),
        "cwd": cwd,
        "time_limit": time_limit,
        "stall_limit": stall_limit,
        "scratch": {name: base64.b64encode(data).decode("ascii") for name, data in (scratch or {}).items()},
        "scratch_folder": machine.host.scratch,
    }
    answer = _asked(machine, "start", job_id, stdin=json.dumps(spec).encode())
    return Job(machine, job_id, _told(machine, job_id, answer.out))


def state(machine: MachineReader, job_id: str) -> JobState:
    """Returns how a job stands; reads only."""
    return _told(machine, job_id, _asked(machine, "state", _checked(job_id)).out)


def attach(machine: MachineReader, job_id: str) -> Job:
    """Returns a job that was started before, to follow it; reads only."""
    return Job(machine, job_id, state(machine, job_id))


def stop(machine: MachineWriter, job_id: str) -> JobState:
    """Ends a job with all its processes (call `job:stop`) and returns how it stands."""
    machine.admit("job:stop", _checked(job_id))
    return _told(machine, job_id, _asked(machine, "stop", job_id).out)


def _checked(job_id: str) -> str:
    if not _ID.match(job_id):
        raise BadInput(f"{job_id} cannot be a job's id")
    return job_id


def _asked(
    machine: MachineReader, verb: str, job_id: str, *more: str, stdin: bytes = b"", on_output: Any = None
) -> Ran:
    ran = sent.run(
        machine,
        _PROGRAM,
        [verb, machine.host.jobs, job_id, *more],
        stdin=stdin,
        timeout=30 * 86400.0 if verb == "follow" else 60.0,
        on_output=on_output,
    )
    if not ran.ok:
        raise PaverError(
            f"{machine.name}: job {job_id} could not be asked ({verb})",
            seen=ran.err.decode("utf-8", "replace").strip().rpartition("\n")[2],
        )
    return ran


def _told(machine: MachineReader, job_id: str, answer: bytes) -> JobState:
    try:
        found = json.loads(answer)
        known = {field.name for field in dataclasses.fields(JobState)}
        told = {key: value for key, value in found.items() if key in known}
        return JobState(**told | {"argv": tuple(found.get("argv", ()))})
    except (ValueError, TypeError, AttributeError) as error:
        raise _not_an_answer(machine, job_id, answer) from error


def _silent(machine: MachineReader, job_id: str) -> Unobservable:
    return Unobservable(
        f"{machine.name}: nothing was heard of job {job_id} for {SILENCE:.0f} s",
        why="the line is cut without a word, or the machine stands still; the job goes on there",
        do="see to the line, then run the same command again: it finds the job",
    )


def _not_an_answer(machine: MachineReader, job_id: str, answer: bytes) -> Unobservable:
    return sent.not_its_answer(machine, f"job {job_id} was asked", answer)
