"""The first process of the lab: makes the network and the mounts, starts the room, reaps, ends with it.

It runs inside of fresh user, network, mount and PID namespaces (see `paver.lab.namespace`). When it ends,
for whatever reason, the kernel kills all that the lab ever started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from paver.lab.room import kernel

SHORT_RUN = Path("/run/lab")

_NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
)
_USERS = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


def network() -> None:
    """Brings loopback up and lets everybody bind every port; there is nothing else, so no way out."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def mounts(lab: Path, dns: Sequence[str]) -> None:
    """Hides the host's sockets and its ideas of names; puts the lab's own files over them.

    The lab's sockets also appear at `/run/lab`, where their paths are short enough for any program.
    """
    run = os.open(lab / "run", os.O_PATH | os.O_DIRECTORY)
    etc = lab / "run" / "etc"
    etc.mkdir(exist_ok=True)
    servers = "".join(f"nameserver {each}\n" for each in dns) or "# The site has no DNS server of its own.\n"
    texts = {
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        # No retries: a name that nobody serves is to fail at once, as it does where a resolver says no.
        "resolv.conf": f"{servers}options timeout:2 attempts:1\n",
        "nsswitch.conf": _NSSWITCH,
        "passwd": _USERS,
        "group": _GROUP,
    }
    kernel.tmpfs("/run", 0o755)
    kernel.tmpfs("/dev/shm", 0o1777)  # noqa: S108 - hides the host's shared memory, writes nothing there
    SHORT_RUN.mkdir()
    kernel.bind(f"/proc/self/fd/{run}", SHORT_RUN)
    os.close(run)
    for name, text in texts.items():
        source = etc / name
        source.write_text(text)
        # Where resolv.conf is a link into /run, what it pointed to is hidden now and has to be made again.
        target = Path("/etc", name).resolve()
        if not target.exists() and target.is_relative_to("/run"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        if target.exists():
            kernel.bind(source, target)


def watch(hold: int) -> None:
    """Ends the lab when the other end of the pipe `hold` closes, that is when its owner is gone."""

    def wait() -> None:
        while os.read(hold, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="hold", daemon=True).start()


def _leave(room: Callable[[], int]) -> NoReturn:
    # Whatever happens, the child must not run on into its parent's code.
    code = 1
    try:
        code = room()
    except Exception:  # noqa: BLE001 - nobody is left to handle it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(
    lab: Path, dns: Sequence[str], ready: socket.socket, hold: int | None, room: Callable[[], int]
) -> int:
    """Makes the lab's world, runs `room` in a child, reaps whatever ends, and ends with the room.

    The first message on `ready` carries this process's number as the outside sees it: the kernel translates
    the sender's credentials.
    """
    ready.send(b'{"born": true}')
    network()
    mounts(lab, dns)
    child = os.fork()
    if child == 0:
        _leave(room)
    ready.close()
    if hold is not None:
        watch(hold)
    # The first process of a PID namespace ignores what it has no handler for, SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0x7F
