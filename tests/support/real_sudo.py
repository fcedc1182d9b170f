"""Debian's sudo, in a mount namespace whose account `paver` may become root: whoever is not root needs `newuidmap` for it.

In there, as that account: `real_sudo STOP ARGV…` has paver run a command, which is to be ended when it has told a line with
its processes: by Ctrl-C, or because nobody listens any more. It prints those that are there when paver has given it up.
`real_sudo read FILE` has paver read a file as root, and prints its digest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paver.lab import cache, debian
from paver.transport.files import ServedFiles
from paver.transport.shell import LocalShell
from tests.support.process import Unheard, gone
from tests.support.waiting import until

ACCOUNT = 1002


@functools.cache
def unpacked() -> Path:
    """Returns the folder with Debian's sudo; `sudo` itself gets no wrapper, which nobody could become root by."""
    return debian.unpack(debian.resolve(["sudo"], cache.root()), ["visudo"], cache.root()).parent / "root"


def left(root: Path, folder: Path, defaults: str, stop: str, argv: Sequence[str]) -> list[int]:
    """Returns what is left of `argv` once it was stopped, with the sudo below `root`, where sudoers has `defaults`."""
    found: list[int] = _told(root, folder, defaults, [stop, *argv])
    return found


def digest(root: Path, folder: Path, defaults: str, file: Path) -> str:
    """Returns the digest of what paver reads of a file that only root may read, with the sudo below `root`."""
    return str(_told(root, folder, defaults, ["read", str(file)]))


def _told(root: Path, folder: Path, defaults: str, words: Sequence[str]) -> Any:
    for place, text in {
        "sudoers": f"Defaults {defaults}\npaver ALL=(ALL) NOPASSWD: ALL\n",
        "passwd": f"root:x:0:0::/:/bin/sh\npaver:x:{ACCOUNT}:{ACCOUNT}::/:/bin/sh\n",
        "shadow": "root:*:20000::::::\npaver:*:20000::::::\n",
    }.items():
        (folder / place).write_text(text)
    made = folder / "made"
    made.mkdir()
    prepare = f"""
        set -eu
        mount -t tmpfs none {made}; mkdir -p {made}/etc {made}/usr; cd {made}
        cp -dR {root}/etc/pam.d etc; cp {folder}/sudoers {folder}/passwd {folder}/shadow etc; chmod 0440 etc/sudoers etc/shadow
        cp -dR {root}/usr/bin {root}/usr/libexec usr; [ ! -d {root}/usr/lib ] || cp -dR {root}/usr/lib usr
        [ ! -d {root}/lib ] || cp -dR {root}/lib usr
        chmod 4755 usr/bin/sudo
        for each in etc usr; do mount -t overlay overlay -o lowerdir={made}/$each:/$each /$each; done
        cd {Path.cwd()}; exec "$@"
    """
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm", "--map-auto"]
    inside = [sys.executable, "-m", "tests.support.real_sudo", *words]
    done = subprocess.run(
        [*unshare, "--propagation", "private", "sh", "-c", prepare, "sh", *inside],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


class _Interrupted(Unheard):
    def give_up(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def _inside(word: str, argv: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
    os.setgroups([])
    os.setresgid(ACCOUNT, ACCOUNT, ACCOUNT)
    os.setresuid(ACCOUNT, ACCOUNT, ACCOUNT)
    if word == "read":
        _read(argv[0])
    else:
        _stop(word, argv)


def _read(file: str) -> None:
    files = ServedFiles("here", LocalShell("here"), ["sudo", "-n", "--", sys.executable], 60)
    found = files.read(file, 1 << 30)
    files.close()
    json.dump(hashlib.sha256(found).hexdigest() if found else "", sys.stdout)


def _stop(stop: str, argv: list[str]) -> None:
    take = _Interrupted() if stop == "Ctrl-C" else Unheard()
    try:
        LocalShell("here").run(argv, timeout=60, on_output=take)
    except (KeyboardInterrupt, KeyError):
        # What was killed ends a moment later than the signal is sent.
        with contextlib.suppress(AssertionError):
            until(lambda: all(gone(pid) for pid in take.pids), "nothing is left of it", 10)
        still = [pid for pid in take.pids if not gone(pid)]
    json.dump(still, sys.stdout)
    sys.stdout.flush()
    if still:
        subprocess.run(["sudo", "-n", "kill", "-s", "KILL", "--", *map(str, still)], check=False)


if __name__ == "__main__":
    _inside(sys.argv[1], sys.argv[2:])
