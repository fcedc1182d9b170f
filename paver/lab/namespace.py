"""The lab's namespaces from outside: may we have them, start them, enter them, end them.

All of the lab lives in one set of user, network, mount and PID namespaces. Its first process is known by its
number outside, and by when it was started, so that a number that was given out again is never taken for it.
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paver.errors import PaverError

_UNSHARE = ("unshare", "-rnmpf", "--kill-child", "--mount-proc", "--propagation", "private")


@dataclass(frozen=True)
class Init:
    """The lab's first process: its number outside, and when it started (clock ticks, and of which boot)."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Returns whether that very process still runs."""
        return self.boot == _boot() and _started(self.pid) == self.started

    def to_json(self) -> dict[str, Any]:
        """Returns it as it stands in the state file."""
        return asdict(self)


def refusal() -> str | None:
    """Returns why this machine lets us have no namespaces of our own, or None where it does."""
    try:
        done = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        return "unshare (util-linux) is not there"
    except subprocess.TimeoutExpired:
        return "unshare does not come back"
    return None if done.returncode == 0 else done.stderr.strip() or f"unshare ended with {done.returncode}"


def start(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    hold: int | None,
    timeout: float,
    isolated: bool,
) -> Init:
    """Starts `argv` as the first process of new namespaces and waits until it says that the lab is up.

    The process gets `--ready FD` and, where `hold` is a pipe's reading end, `--hold FD`; it must send
    `{"born": true}` first, and `{"up": true}` or `{"error": "…"}` later. It leads a session of its own, so
    that a Ctrl-C meant for us is not meant for the lab.

    Raises:
        PaverError: it ended, or said an error, or nothing in `timeout` seconds.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    passed = [theirs.fileno(), *([] if hold is None else [hold])]
    extra = ["--ready", str(theirs.fileno()), *([] if hold is None else ["--hold", str(hold)])]
    with ours, log.open("ab") as sink:
        running = subprocess.Popen(
            [*(_UNSHARE if isolated else ()), *argv, *extra],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=passed,
            env=dict(environment),
            start_new_session=True,
            cwd="/",
        )
        theirs.close()
        try:
            return _greeted(ours, timeout, log)
        except BaseException:
            running.kill()
            running.wait()
            raise
        finally:
            # The lab may outlive us; where we outlive it, its end is to leave no zombie behind.
            threading.Thread(target=running.wait, name="unshare", daemon=True).start()


def enter_argv(init: Init, argv: Sequence[str], cwd: Path) -> list[str]:
    """Returns the command that runs `argv` inside of the lab, in the folder `cwd`."""
    return [
        "nsenter",
        "-U",
        "--preserve-credentials",
        "-n",
        "-m",
        "-p",
        f"--wd={cwd}",
        "-t",
        str(init.pid),
        *argv,
    ]


def stop(init: Init, timeout: float) -> None:
    """Ends the lab: asks its first process, and kills it where it does not go in `timeout` seconds.

    Raises:
        PaverError: it is still there after being killed.
    """
    try:
        handle = os.pidfd_open(init.pid)
    except ProcessLookupError:
        return
    try:
        # Only with the handle in hand is the number safe: now it can't be given to somebody else.
        if not init.alive():
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], timeout)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
    raise PaverError(
        f"the lab's first process ({init.pid}) does not end", why="it was sent SIGTERM and SIGKILL"
    )


def _greeted(ours: socket.socket, timeout: float, log: Path) -> Init:
    ours.settimeout(timeout)
    init: Init | None = None
    while True:
        try:
            text, ancillary, _, _ = ours.recvmsg(65536, socket.CMSG_SPACE(struct.calcsize("iII")))
        except TimeoutError as error:
            raise PaverError(
                "the lab did not come up", why=f"nothing was heard of it for {timeout:g} s"
            ) from error
        if not text:
            raise PaverError("the lab did not come up", why="its first process ended", seen=_tail(log))
        said = json.loads(text)
        if "born" in said:
            pid = _sender(ancillary)
            init = Init(pid, _started(pid) or 0, _boot())
        elif "error" in said:
            raise PaverError("the lab did not come up", why=said["error"], seen=said["seen"])
        elif init is not None:
            return init


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            numbers = array.array("i", data[: struct.calcsize("i")])
            return numbers[0]
    raise PaverError("the lab did not come up", why="the kernel did not say who its first process is")


def _started(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may hold spaces and parentheses; fields are counted behind the last one. Zombies are gone.
    state, *fields = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else int(fields[18])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])
