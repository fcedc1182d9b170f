"""Has Packer boot a disk, run the playbook in it twice, and take out what it changed.

Packer ends with whoever started it: QEMU and Ansible are its affair.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import subprocess
import tempfile
import threading
from pathlib import Path

from paver.errors import PaverError
from paver.image import children, stages
from paver.image.playlog import PlayLog
from paver.lab import system
from paver.trust import ssh_keys

TEMPLATES = Path("packer")
PLAYBOOKS = Path("playbooks")
PARTS = (TEMPLATES, PLAYBOOKS)
USER_DATA = TEMPLATES / "user-data.yml"
MEMORY_MB = 2048
_RUNS = 2
_CONSOLE_LINES = 15
_LONGEST_CONSOLE = 64 * 1024
_CLOCK_AFTER = dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How long it may take, in seconds: until SSH answers (one emulated processor beside others took 600), and as a whole."""

    boot: int = 1200
    whole: int = 3600


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be done.

    Attributes:
        source: paver's source tree, with templates and playbooks.
        disk: the raw disk.
        ansible: the command `ansible-playbook`.
        epoch: seconds since 1970, the date of everything on the disk.
        accelerator: `kvm` or `tcg`.
        target: the tar of what was changed; there only once it is whole.
    """

    source: Path
    disk: Path
    ansible: Path
    epoch: int
    accelerator: str
    target: Path


def digest(source: Path) -> str:
    """Returns the SHA-256 of all that decides what is done to the machine."""
    return stages.key(*(stages.tree(source / part) for part in PARTS))


def provision(order: Order, tell: stages.Tell, limits: Limits | None = None) -> None:
    """Does it.

    Raises:
        PaverError: the machine did not answer, a task failed, or the second run changed something.
    """
    limits = limits or Limits()
    # Control sockets have short paths, and Packer's own disk is large.
    with (
        tempfile.TemporaryDirectory(prefix="paver-", dir=_memory()) as short,
        tempfile.TemporaryDirectory(prefix=".packer-", dir=order.target.parent) as scratch,
    ):
        folder = Path(scratch)
        console = folder / "console.log"
        log = PlayLog()
        argv = _argv(order, Path(short), folder, console, limits)
        with children.running(argv, _environment(order, Path(short), folder), cwd=order.source) as running:
            code, late = _follow(running, log, limits.whole, tell)
        if code or late:
            raise _failure(log, console, code, limits, late=late)
        _refuse_restless(log)
        if not (folder / "changes.tar").exists():
            raise PaverError("Packer ended without what the playbook changed", seen="\n".join(log.tail[-10:]))
        (folder / "changes.tar").replace(order.target)


def _argv(order: Order, short: Path, folder: Path, console: Path, limits: Limits) -> list[str]:
    clock = dt.datetime.fromtimestamp(order.epoch, dt.UTC) + _CLOCK_AFTER
    variables = {
        "accelerator": order.accelerator,
        "ansible": order.ansible.name,
        "boot_limit": f"{limits.boot}s",
        "changes": folder / "changes.tar",
        "clock": clock.strftime("%Y-%m-%dT%H:%M:%S"),
        "console": console,
        "cpu": "host" if order.accelerator == "kvm" else "max",
        "cpus": min(len(os.sched_getaffinity(0)), 4),
        "disk": order.disk,
        "key": _key(order.source, short, folder),
        "memory": MEMORY_MB,
        "output": folder / "output",
        "seed": folder,
        "since": order.epoch,
    }
    given = [part for name, value in variables.items() for part in ("-var", f"{name}={value}")]
    return ["packer", "build", "-color=false", "-only=qemu.jumpbox", *given, str(TEMPLATES)]


def _memory() -> str | None:
    """Returns the folder in memory, None where there is none: what a killed build leaves there ends with the machine."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of our own in it


def _key(source: Path, short: Path, folder: Path) -> Path:
    """Makes a key that lets in until the machine is off, and the first-boot data that say so; returns its file."""
    pair = ssh_keys.new_key_pair()
    # Packer hands its name to Ansible as a word; the folder's may have a space in it.
    file = short / "key"
    file.touch(0o600)
    file.write_text(pair.private_key.reveal())
    (folder / "meta-data").write_text("instance-id: packer\n")
    (folder / "user-data").write_text(
        (source / USER_DATA).read_text().replace("'KEY'", f"'{pair.public_key}'")
    )
    return file


def _environment(order: Order, short: Path, folder: Path) -> dict[str, str]:
    return {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(short),
        "CHECKPOINT_DISABLE": "1",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PACKER_CACHE_DIR": str(folder / "packer"),
        # Packer takes a command apart at its spaces.
        "PATH": f"{order.ansible.absolute().parent}:{system.search_path()}",
        "TMPDIR": str(short),
        "TZ": "UTC",
    }


def _follow(running: subprocess.Popen[str], log: PlayLog, limit: int, tell: stages.Tell) -> tuple[int, bool]:
    """Returns the exit code, and whether it was ended because it took too long."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        children.end(running)

    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        for line in running.stdout or ():
            before = log.doing
            log.feed(line)
            if log.doing != before:
                tell(log.doing)
        return running.wait(), late.is_set()
    finally:
        timer.cancel()


def _refuse_restless(log: PlayLog) -> None:
    if len(log.runs) != _RUNS:
        raise PaverError(
            f"the playbook ran {len(log.runs)} times, not {_RUNS}", seen="\n".join(log.tail[-10:])
        )
    if again := log.runs[-1]:
        raise PaverError(
            "the playbook changes something each time it runs",
            seen="\n".join(again),
            why="a second run must change nothing: else nobody can tell what a machine is like",
            do="make these tasks look before they act (creates, changed_when, a module instead of a command)",
        )


def _failure(log: PlayLog, console: Path, code: int, limits: Limits, *, late: bool) -> PaverError:
    if log.failed:
        return PaverError(
            f"the playbook failed in the task “{log.failed}”",
            seen=log.reason[-1500:],
            why=f"it stands at {log.origin}" if log.origin else "",
            do="mend it below playbooks/, and run the same command again",
        )
    if log.reason:
        return PaverError("the playbook cannot be run", seen=log.reason[-1500:], why=log.origin)
    if late or log.no_ssh:
        what = f"the whole took more than {limits.whole} s" if late else f"no SSH within {limits.boot} s"
        return PaverError(
            f"the machine that the playbook was to run in hangs: {what}",
            seen=f"on its console, last:\n{_last(console)}",
            why=f"Packer was at “{log.doing}”",
            do="where the machine only was slow, run the same command again with less beside it",
        )
    return PaverError("Packer failed", seen="\n".join(log.tail[-12:])[-1500:], why=f"it ended with {code}")


def _last(console: Path) -> str:
    if not console.exists():
        return "(nothing)"
    with console.open("rb") as file:
        file.seek(max(0, console.stat().st_size - _LONGEST_CONSOLE))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join([line.strip() for line in lines if line.strip()][-_CONSOLE_LINES:]) or "(nothing)"
