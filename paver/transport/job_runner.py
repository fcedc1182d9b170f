"""Runs over there: starts a command detached from every session, keeps its log and its exit code, holds its limits.

It needs nothing but the standard library, since it is sent to the machine as source text. There it begins in half of the
time, since it loads what takes long only where a job needs it (`pathlib` and `typing` never). Its folder is
`JOBS/<id>/` with `spec.json` (without secrets), `pid` (who attends it), `log` (both outputs of the command) and
`exit.json` (written last).

    job_runner start|state|stop JOBS ID              the spec, with its secrets, on standard input for `start`
    job_runner follow JOBS ID OFFSET BEAT
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from typing import Any

_ABSENT = {"state": "absent"}
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def boot_id() -> str:
    """Returns the id of this boot: a pid from another boot means nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def started_at(pid: int) -> str:
    """Returns when a process started, in ticks since boot; empty if it is gone or only waits to be reaped."""
    fields = _status(str(pid))
    return fields[19] if fields else ""


def _status(pid: str) -> list[str]:
    """Returns what the kernel says of a process after its name; nothing if it is gone or only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in ("Z", "X") else fields


def alive(mark: Mapping[str, Any]) -> bool:
    """Tells whether the process that a mark describes still runs: the same pid, start time and boot."""
    return bool(mark) and mark["boot"] == boot_id() and started_at(mark["pid"]) == mark["start"]


def _mark(pid: int) -> dict[str, Any]:
    return {"pid": pid, "start": started_at(pid), "boot": boot_id()}


def _file(name: str, folder: int) -> Any:
    return open(name, "rb", opener=lambda path, flags: os.open(path, flags, dir_fd=folder))


def _read(name: str, folder: int) -> Any:
    try:
        with _file(name, folder) as stream:
            return json.loads(stream.read())
    except (OSError, ValueError):
        return None


def _write(path: str, value: Any) -> None:
    temporary = f"{path}.new"
    with open(temporary, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        json.dump(value, stream, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)


@contextlib.contextmanager
def _locked(jobs: str, job_id: str) -> Iterator[None]:
    handle = os.open(f"{jobs}/.{job_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def state(jobs: str, job_id: str) -> dict[str, Any]:
    """Returns how a job stands.

    `state` is `absent`, `running`, `ended` or `died` (nobody attends it, and no exit code was left).
    """
    try:
        with _opened(jobs, job_id) as folder:
            return _state(folder)
    except FileNotFoundError:
        return dict(_ABSENT)


@contextlib.contextmanager
def _opened(jobs: str, job_id: str) -> Iterator[int]:
    """Gives the folder of a job: all that is read below it is of one job, also where the next one of its name begins meanwhile."""
    folder = os.open(f"{jobs}/{job_id}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def _state(folder: int) -> dict[str, Any]:
    spec = _read("spec.json", folder)
    if spec is None:
        return dict(_ABSENT)
    marks = _read("pid", folder) or {}
    # Read the exit last: an attendant that ends in between has written it before it went.
    running = any(alive(marks[who]) for who in ("attendant", "command") if marks.get(who))
    end = _read("exit.json", folder)
    return {
        "state": "ended" if end is not None else "running" if running else "died",
        "argv": spec["argv"],
        "log": _size("log", folder),
        "started": spec["started"],
        **(end or {}),
    }


def _size(name: str, folder: int) -> int:
    try:
        return os.stat(name, dir_fd=folder).st_size
    except FileNotFoundError:
        return 0


def start(jobs: str, job_id: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Starts a job, or finds that it runs; returns its state and whether this call `began` it."""
    os.makedirs(jobs, mode=0o755, exist_ok=True)
    with _locked(jobs, job_id):
        now = state(jobs, job_id)
        if now["state"] == "running":
            return {**now, "began": False}
        folder = f"{jobs}/{job_id}"
        if os.path.exists(folder):
            _keep_old(jobs, job_id)
        os.mkdir(folder, mode=0o700)
        ready, tell = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(ready)
            _become_attendant(folder, spec, tell)
        os.close(tell)
        os.waitpid(first, 0)
        with os.fdopen(ready, "rb") as answer:
            # It says "ok" when pid and spec are written; the lock is held until then.
            said = answer.read()
        if said != b"ok":
            raise RuntimeError(said.decode("utf-8", "replace") or "the attendant died at once")
        return {**state(jobs, job_id), "began": True}


def _keep_old(jobs: str, job_id: str) -> None:
    before = f"{job_id}."
    kept = [name.removeprefix(before) for name in os.listdir(jobs) if name.startswith(before)]
    number = 1 + max((int(suffix) for suffix in kept if suffix.isdigit()), default=0)
    os.rename(f"{jobs}/{job_id}", f"{jobs}/{job_id}.{number}")


def _become_attendant(folder: str, spec: dict[str, Any], tell: int) -> None:
    """Never returns: detaches for good, runs the command, waits for its end."""
    code = 1
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        _close_others(keep=tell)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.umask(0o077)
        attend(folder, spec, tell)
        code = 0
    except BaseException as error:  # noqa: BLE001 (the last place where it can be told)
        with contextlib.suppress(OSError):
            os.write(tell, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def _close_others(keep: int) -> None:
    for entry in os.listdir("/proc/self/fd"):
        number = int(entry)
        if number > 2 and number != keep:
            with contextlib.suppress(OSError):
                os.close(number)


def attend(folder: str, spec: dict[str, Any], tell: int) -> None:
    """Runs the command of `spec`, holds its limits, and writes how it ended."""
    # Whoever knows this process's number may ask it to end: from then on the command must end with it.
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    scratch = _scratch_of(folder, spec)
    log = -1
    marks = {"attendant": _mark(os.getpid())}
    public = {key: spec[key] for key in ("argv", "cwd", "time_limit", "stall_limit")}
    end: dict[str, Any] = {"code": None, "reason": "", "ended": 0}
    process = None
    try:
        if scratch is not None:
            _fill(scratch, spec)
        log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        process, trouble = _launch(spec, scratch, log)
        if process is not None:
            marks["command"] = _mark(process.pid)
        _write(f"{folder}/pid", marks)
        # The spec comes after the pid: a job without a spec does not exist yet.
        _write(f"{folder}/spec.json", {**public, "started": int(time.time())})
        os.write(tell, b"ok")
        os.close(tell)
        if process is None:
            os.write(log, trouble.encode())
            end = {"code": 127, "reason": "not-started"}
        else:
            end = _wait(process, f"{folder}/log", spec, asked)
    except BaseException:
        # Where the disk is too full for its pid, nobody would find it again: it must not work on unattended.
        if process is not None and process.poll() is None:
            _end(process)
        raise
    finally:
        if scratch is not None:
            import shutil

            shutil.rmtree(scratch, ignore_errors=True)
        if log >= 0:
            os.close(log)
    _write(f"{folder}/exit.json", {**end, "ended": int(time.time())})


def _scratch_of(folder: str, spec: dict[str, Any]) -> str | None:
    """Returns the job's own folder for secrets, the same one at each start: a later start finds what was left there."""
    if not spec["scratch"]:
        return None
    import hashlib

    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return f"{spec['scratch_folder']}/paver-{os.getuid()}-{name}"


def _fill(folder: str, spec: dict[str, Any]) -> None:
    # What takes them away again is loaded before the first secret is written: at the end it might not be any more.
    import base64
    import shutil

    # What a killed attendant left goes first; a folder of somebody else's making is never used.
    if os.path.lexists(folder):
        shutil.rmtree(folder)
    os.mkdir(folder, mode=0o700)
    for name, content in spec["scratch"].items():
        path = f"{folder}/{name}"
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(base64.b64decode(content))


def _launch(
    spec: dict[str, Any], scratch: str | None, log: int
) -> tuple[subprocess.Popen[bytes] | None, str]:
    import subprocess

    def put(text: str) -> str:
        return text.replace("{scratch}", scratch) if scratch is not None else text

    env = {
        "PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        **{key: put(value) for key, value in spec["env"].items()},
    }
    try:
        process = subprocess.Popen(
            [put(word) for word in spec["argv"]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=put(spec["cwd"]) if spec["cwd"] else None,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        return None, f"{spec['argv'][0]}: {error.strerror}\n"
    return process, ""


class Ending:
    """Waits for a process to end, told by the kernel; where that cannot be, the time just passes.

    Whoever looks now and then is late by half of the time between two looks, at each end of each job.
    """

    def __init__(self, pid: int) -> None:
        self._poll = select.poll()
        self._handle = -1
        with contextlib.suppress(OSError):  # it is gone, or the kernel is older than 5.3
            self._handle = os.pidfd_open(pid)
            self._poll.register(self._handle, select.POLLIN)

    def within(self, seconds: float) -> bool:
        """Returns True as soon as it has ended, False when the seconds are over."""
        return bool(self._poll.poll(seconds * 1000))

    def close(self) -> None:
        """Waits for it no more: from now on the time just passes."""
        if self._handle >= 0:
            self._poll.unregister(self._handle)
            os.close(self._handle)
            self._handle = -1


def _wait(
    process: subprocess.Popen[bytes], log: str, spec: dict[str, Any], asked: list[int]
) -> dict[str, Any]:
    begun = grew = time.monotonic()
    size = 0
    pause = 0.01
    ended = Ending(process.pid)
    while True:
        if ended.within(pause):
            return {"code": process.wait(), "reason": "ended"}
        pause = min(pause * 2, 0.25)
        now = time.monotonic()
        current = os.stat(log).st_size
        if current != size:
            size, grew = current, now
        reason = ""
        if asked:
            reason = "stopped"
        elif spec["time_limit"] and now - begun > spec["time_limit"]:
            reason = "time-limit"
        elif spec["stall_limit"] and now - grew > spec["stall_limit"]:
            reason = "stall-limit"
        if reason:
            return {"code": _end(process), "reason": reason}


def _end(process: subprocess.Popen[bytes]) -> int:
    import subprocess

    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            # Its children may have ignored what it obeyed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            break
    code = process.wait()
    # It is told as ended once nothing of it works on. A child that hangs in the kernel is not waited for.
    over = time.monotonic() + GRACE
    while _works(process.pid) and time.monotonic() < over:
        time.sleep(0.01)
    return code


def _works(group: int) -> bool:
    """Tells whether a process of this group still runs."""
    return any(
        (_status(name) or ("", "", "0"))[2] == str(group) for name in os.listdir("/proc") if name.isdigit()
    )


def stop(jobs: str, job_id: str) -> dict[str, Any]:
    """Asks the attendant to end the command; returns the state as it then is."""
    try:
        with _opened(jobs, job_id) as folder:
            return _stop(folder)
    except FileNotFoundError:
        return dict(_ABSENT)


def _stop(folder: int) -> dict[str, Any]:
    marks = _read("pid", folder) or {}
    attendant = marks.get("attendant", {})
    if alive(attendant):
        os.kill(attendant["pid"], signal.SIGTERM)
    elif alive(marks.get("command", {})):
        os.killpg(marks["command"]["pid"], signal.SIGTERM)
    while (now := _state(folder))["state"] == "running":
        time.sleep(0.05)
    return now


def follow(jobs: str, job_id: str, offset: int, beat: float, out: Any) -> None:
    r"""Writes the log from `offset` on until the job ends, in frames: `<length>\n<bytes>`, then `=<state>\n`.

    While nothing comes, an empty frame every `beat` seconds shows the reader that the line still stands.
    """
    with _opened(jobs, job_id) as folder:
        _follow(folder, offset, beat, out)


def _follow(folder: int, offset: int, beat: float, out: Any) -> None:
    quiet = time.monotonic()
    ending = Ending((_read("pid", folder) or {}).get("attendant", {}).get("pid", 0))
    with _file("log", folder) as log, contextlib.closing(ending):
        log.seek(offset)
        pause = 0.02
        while True:
            # The state comes before the last reading, so that nothing written until the end is missed.
            now = _state(folder)
            sent = False
            while piece := log.read(65536):
                out.write(b"%d\n" % len(piece) + piece)
                sent = True
            if sent or time.monotonic() - quiet > beat:
                if not sent:
                    out.write(b"0\n")
                out.flush()
                quiet = time.monotonic()
            pause = 0.02 if sent else min(pause * 1.5, 0.25)
            if now["state"] != "running":
                out.write(b"=" + json.dumps(now).encode() + b"\n")
                out.flush()
                return
            if ending.within(pause):
                # Once more, for what it left; a command that outlives its attendant is looked at now and then.
                ending.close()


def main(arguments: list[str]) -> int:
    """Does what the first argument says; writes JSON (`follow`: frames) to standard output."""
    verb, jobs, job_id = arguments[:3]
    if verb == "follow":
        follow(jobs, job_id, int(arguments[3]), float(arguments[4]), sys.stdout.buffer)
        return 0
    if verb == "start":
        result = start(jobs, job_id, json.load(sys.stdin))
    elif verb == "stop":
        result = stop(jobs, job_id)
    else:
        result = state(jobs, job_id)
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
