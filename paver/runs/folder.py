"""Where a site's runs keep their files, and the lock that lets one run at a time act.

    <state>/<site>/lock                who runs
    <state>/<site>/sealed.seen         which sealed store was seen last, and its generation
    <state>/<site>/sealed-<…>.seen     the same of a store beside the site's own, which `secrets init --sealed` made
    <state>/<site>/handed.json         how the jumpbox is reached, while a run that was handed over goes on there
    <state>/<site>/env/                roots of the site for tools, written by `paver env`
    <state>/<site>/runs/<run>/         of one run: `RUN_FILES`

`<state>` is `$PAVER_STATE`, or `.paver` beside the site file, on the jumpbox too.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import itertools
import json
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from paver import own_files
from paver.errors import PaverError, Refused
from paver.runs import who

HANDED = "handed.json"
_LOOKING = 1.0
"""Seconds that who looks at the lock, which takes a moment, is waited for."""

PLAN = "plan.json"
JOURNAL = "journal.jsonl"
EVENTS = "events.jsonl"
REPORT = "report.html"
FAULTS = "faults.txt"
"""Beside the journal, where paver itself failed."""
LOG_THERE = "jumpbox.log"
"""What the run on the jumpbox said beside events."""
JOURNAL_THERE = "journal-jumpbox.jsonl"
FAULTS_THERE = "faults-jumpbox.txt"
"""Those of the jumpbox, brought back."""
RUN_FILES = (PLAN, JOURNAL, JOURNAL_THERE, EVENTS, LOG_THERE, REPORT, FAULTS, FAULTS_THERE)
"""All that paver puts into a run's folder beside further journals (`journals`); anything else in it is not paver's."""

_TIME = "%Y%m%dT%H%M%S"
_RUN = re.compile(r"([0-9]{8}T[0-9]{6})-[0-9a-f]{6}\Z")
"""A run's name: when it began, and what tells it from others. Nothing else beside it is a run (`lost+found`)."""


def journals(folder: Path) -> list[str]:
    """Returns the names of a run's journals: its own, and one a hand-off, of which few runs have a second."""
    return [JOURNAL, *itertools.takewhile(lambda name: (folder / name).exists(), _there())]


def next_journal_there(folder: Path) -> Path:
    """Returns where the journal of a hand-off goes that has just ended: none takes the place of one before it."""
    return next(folder / name for name in _there() if not (folder / name).exists())


def _there() -> Iterator[str]:
    yield JOURNAL_THERE
    for number in itertools.count(2):
        yield JOURNAL_THERE.replace(".", f"-{number}.")


def state_folder(site_folder: Path, environ: Mapping[str, str]) -> Path:
    """Returns where all sites' state lies."""
    named = environ.get("PAVER_STATE")
    return Path(named) if named else site_folder / ".paver"


class SiteFolder:
    """The state of one site."""

    def __init__(self, state: Path, site: str) -> None:
        self.path = state / site

    @property
    def sealed_seen(self) -> Path:
        """What is remembered of the sealed store, so that an older copy is noticed."""
        return self.path / "sealed.seen"

    @property
    def handed(self) -> Path:
        """How the jumpbox is reached, as long as a run that was handed over was not seen to its end there."""
        return self.path / HANDED

    def seen_aside(self, sealed: Path) -> Path:
        """Where it is remembered of a store at `sealed` that is not the site's own."""
        place = hashlib.sha256(os.fsencode(sealed.resolve())).hexdigest()
        return self.path / f"sealed-{place[:12]}.seen"

    def new_run(self) -> Path:
        """Makes the folder of a new run, 0700, its name the last of all; the lock says of its holder that this is its run."""
        began = dt.datetime.now(dt.UTC)
        if runs := self.runs():
            # Never below the one before, be it of the same second, or of a clock that was set back since.
            before = dt.datetime.strptime(runs[-1].name.partition("-")[0], _TIME).replace(tzinfo=dt.UTC)
            began = max(began, before + dt.timedelta(seconds=1))
        folder = self.path / "runs" / f"{began.strftime(_TIME)}-{secrets.token_hex(3)}"
        _make(folder)
        holder = self.last_holder()
        if self.holder() is not None and holder.get("pid") == os.getpid():
            # In one write that is longer than the one before: whoever reads meanwhile finds the one or the other.
            with (self.path / "lock").open("r+b", buffering=0) as lock:
                lock.write(json.dumps({**holder, "run": folder.name}).encode())
        return folder

    def runs(self) -> list[Path]:
        """Returns the folders of all runs, the newest last."""
        folder = self.path / "runs"
        return sorted(path for path in folder.glob("*") if _RUN.match(path.name)) if folder.exists() else []

    @contextlib.contextmanager
    def locked(self, doing: str) -> Iterator[None]:
        """Holds the site's lock; the kernel gives it back however the process ends.

        Raises:
            Refused: if another run holds it; says who.
        """
        _make(self.path)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _taken(handle):
                holder = self.last_holder()
                raise Refused(
                    "another run is at work on this site",
                    seen=who.told(holder) if holder else "it did not say who it is",
                    do="`paver follow` shows it; wait until it ends",
                )
            os.ftruncate(handle, 0)
            holder = {
                "doing": doing,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "user": who.user(),
            }
            os.pwrite(handle, json.dumps(holder).encode(), 0)
            yield
        finally:
            os.close(handle)

    def holder(self) -> Mapping[str, object] | None:
        """Returns who holds the lock, and the name of its `run` once it has begun one; None if nobody does."""
        path = self.path / "lock"
        if not path.exists():
            return None
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.last_holder()
        else:
            return None
        finally:
            os.close(handle)

    def last_holder(self) -> Mapping[str, object]:
        """Returns what whoever holds the lock, or held it last, wrote into it; nothing where that is no object of JSON."""
        path = self.path / "lock"
        try:
            found = json.loads(path.read_bytes() if path.exists() else b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _taken(handle: int) -> bool:
    """Takes the lock, unless another run holds it; who only looks has it shared for a moment, and is waited for."""
    end = time.monotonic() + _LOOKING
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        if time.monotonic() > end:
            return False
        time.sleep(0.005)


def _make(folder: Path) -> None:
    try:
        own_files.folder(folder)
        found = folder.stat()
    except OSError as error:
        raise PaverError(
            f"{folder} cannot be made", why=str(error), do="check the disk and its rights"
        ) from error
    # Whoever may write here may put a run, or the address of another jumpbox, in the place of paver's own.
    if found.st_uid != os.geteuid():
        raise PaverError(
            f"{folder} belongs to another user",
            seen=f"uid {found.st_uid}, and this is {os.geteuid()}",
            do="run paver as that user, or name a place of your own with PAVER_STATE",
        )
    if found.st_mode & 0o022:
        raise PaverError(
            f"{folder} can be written by other users",
            seen=f"mode {stat.S_IMODE(found.st_mode):04o}",
            do=f"look whether all in it is yours, then `chmod go-w {folder}`",
        )
