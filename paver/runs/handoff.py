"""The hand-off: the same `paver apply` goes on over there, as a job, and is followed from here.

What goes over: site file, small files that it names, plan, the sealed store, what is done so far. The
store's key is in memory over there only as long as the job runs. A cut connection loses nothing; the
command run again finds the job and follows it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import paver
from paver import own_files
from paver.engine import plan as plans
from paver.engine.journal import Journal
from paver.engine.plan import Plan
from paver.engine.values import ResourceId
from paver.errors import BadInput, GoesOn, PaverError, Refused
from paver.machine.jumpbox import SITES
from paver.runs import outcome, wayback
from paver.runs.apply import JUMPBOX, Commission
from paver.runs.events import Tell, breaks, parse
from paver.runs.folder import FAULTS, FAULTS_THERE, LOG_THERE, next_journal_there
from paver.runs.session import Session
from paver.sealed import keys
from paver.signing import canonical
from paver.signing.canonical import Json
from paver.transport import job

OWN = frozenset({("site.yml",), ("site.sealed",), ("handoff",), (".paver",)})
"""What paver writes into a site's folder over there."""

DONE = "done.json"
"""Beside the plan that was handed over: what was done by then."""

STALL_LIMIT = 4 * 3600
"""Seconds without a line: beyond the installer's own limit, which is the longest silence there is."""

_AT_ONCE = 4
"""Files that are written over there at once."""


@dataclasses.dataclass(frozen=True)
class HandOff:
    """The other station, where the same apply carries on, reached through the jumpbox's endpoint.

    Attributes:
        session: this station's world.
        commission: what is carried on: the same plan, by the same leave. Its folder gets the other journal and log.
        home: of the site; keeps the way back to a run that nobody follows.
        stop: set to detach.
        key: what opens the sealed store.
    """

    session: Session
    commission: Commission
    home: Path
    stop: threading.Event
    key: keys.KeySource

    def carry_on(self, done: frozenset[ResourceId], journal: Journal, tell: Tell) -> outcome.Ended:
        """Hands the plan over, follows it to its end, brings journal and sealed store back.

        Raises:
            Refused: if another plan runs over there, or paver's version is another one.
            Interrupted: if the user stopped following; the job goes on.
            PaverError: if it died without an outcome.
            BadInput: if the driver names no jumpbox to carry on at.
        """
        plan, endpoint = self.commission.plan, self.session.paved.demanded_jumpbox(self.session.site.driver)
        connection: Any = self.session.connections.get(endpoint.name)

        def gate(call: str, target: str = "", detail: Mapping[str, Json] | None = None) -> None:
            record: dict[str, Json] = {
                "action": f"hand-off {plan.digest}",
                "call": call,
                "detail": dict(detail or {}),
                "endpoint": endpoint.name,
                "target": target,
            }
            journal.write("call", record)

        machine = connection.writer(gate)
        _same_version(machine)
        base = SITES / self.session.site.name
        name = wayback.job_of(self.session.site.name)
        # A folder a plan: of two starters one wins, and what the other one sent is not what runs.
        handed = base / "handoff" / plan.digest
        argv, scratch = self._command(base, handed)
        found = job.state(machine, name)
        if found.state == "running":
            _same_plan(found, argv)
        else:
            # A run over there may have ended unseen: what it sealed must not be overwritten by our older copy.
            copy = machine.read_file(wayback.sealed_there(self.session.site.name))
            wayback.received(self.session, copy)
            self._send(machine, handed, self._files(base, handed, done), copy)
        wayback.note(self.session, self.home)
        # Asking a second time is how one attaches.
        running = job.start_or_attach(machine, name, argv, scratch=scratch, stall_limit=STALL_LIMIT)
        _same_plan(running.state, argv)
        with (self.commission.folder / LOG_THERE).open("a", encoding="utf-8") as log:

            def line(text: str) -> None:
                event = parse(text)
                if event is not None:
                    tell(event)
                else:
                    log.write(text + "\n")

            end = running.follow(line, stop=self.stop.is_set, on_break=breaks(tell, JUMPBOX))
        if end.state == "running":
            raise GoesOn(
                "stopped following; the run on the jumpbox goes on",
                do="`paver follow` shows it; the same command attaches to it",
            )
        return self._bring_back(machine, handed, end)

    def _files(
        self, base: PurePosixPath, handed: PurePosixPath, done: frozenset[ResourceId]
    ) -> dict[PurePosixPath, bytes]:
        """Returns what goes over beside the sealed store, by its path there."""
        site = self.session.site
        files = {
            base / "site.yml": site.source.text.encode(),
            handed / "plan.json": self.commission.plan.dumps(),
            handed / DONE: canonical.dumps([*map(str, sorted(done))]),
        }
        for text in site.small_files:
            relative = PurePosixPath(text)
            if relative.is_absolute() or ".." in relative.parts:
                raise BadInput(
                    f"{text} cannot go to the jumpbox",
                    why="a file that the site file names lies beside it or below",
                    do="move it beside the site file, and name it by its relative path",
                )
            if relative.parts[:1] in OWN:
                raise BadInput(
                    f"{text} cannot go to the jumpbox",
                    why=f"over there {relative.parts[0]} is paver's own, and it would take its place",
                    do="give the file another name, here and in the site file",
                )
            files[base / relative] = site.path(text).read_bytes()
        return files

    def _send(
        self, machine: Any, handed: PurePosixPath, sent: Mapping[PurePosixPath, bytes], copy: bytes | None
    ) -> None:
        # Each by its own name: what is only made on the way to another one belongs to root.
        base = handed.parents[1]
        for folder in dict.fromkeys((base, handed.parent, handed, *(path.parent for path in sent))):
            machine.mkdir(str(folder), 0o700, "paver:paver")
        there, sealed = wayback.sealed_there(self.session.site.name), self.session.vault.path.read_bytes()
        if sealed != copy:
            # First of all, and only in the place of the copy that it follows: somebody may have sealed there since.
            machine.replace_file(there, sealed, 0o600, "paver:paver", was=copy, lock=f"{there}.lock")

        def write(path: PurePosixPath) -> None:
            machine.write_file(str(path), sent[path], 0o600, "paver:paver")

        machine.remove(str(handed / outcome.NAME))
        # All over one connection, each a round trip and a disk's sync; none waits for another.
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            for written in [pool.submit(write, path) for path in sent]:
                written.result()

    def _command(self, base: PurePosixPath, handed: PurePosixPath) -> tuple[list[str], dict[str, bytes]]:
        if isinstance(self.key, keys.KeyFile):
            option, secret = "file:{scratch}/key", self.key.path.read_bytes()
        elif isinstance(self.key, keys.Passphrase):
            option, secret = "passphrase-file:{scratch}/key", self.key.ask().encode()
        else:
            raise PaverError("this kind of key cannot go to the other station")
        argv = [
            "paver",
            "apply",
            str(handed / "plan.json"),
            "--site",
            str(base / "site.yml"),
            "--station",
            "jumpbox",
            "--handed-off",
            str(handed),
            "--sealed",
            wayback.sealed_there(self.session.site.name),
            "--key",
            option,
            "--yes",
            "--progress",
            "events",
            f"{wayback.BY}{self.commission.by}",
            *(f"--allow={pattern}" for pattern in self.commission.allow),
        ]
        return argv, {"key": secret}

    def _bring_back(self, machine: Any, handed: PurePosixPath, end: job.JobState) -> outcome.Ended:
        wayback.take_in(self.session, machine)
        data = machine.read_file(str(handed / outcome.NAME))
        told = None if data is None else outcome.loads(data)
        before = machine.read_file(str(handed / DONE))
        raw = faults = None
        if told is not None:
            raw = machine.read_file(told.journal)
            faults = machine.read_file(str(PurePosixPath(told.journal).with_name(FAULTS)))
        kept = next_journal_there(self.commission.folder)
        for path, found in ((kept, raw), (self.commission.folder / FAULTS_THERE, faults)):
            if found is not None:
                own_files.put(path, found, 0o600)
        # All that is over there is here now; what is not there will not be there later.
        wayback.forget(self.home)
        if told is None:
            log = (self.commission.folder / LOG_THERE).read_text(encoding="utf-8").strip().splitlines()
            raise PaverError(
                f"the run on the jumpbox ended without an outcome ({end.state}, exit code {end.code})",
                seen="\n".join(log[-8:]),
                do="mend what it says, then run the same command again: it goes on where it stopped",
            )
        if raw is None:
            raise PaverError("the jumpbox's journal is not there", seen=told.journal)
        outcome.hold(
            told, raw, self.commission.plan.digest, frozenset() if before is None else _ids(before), kept
        )
        return told.ended()


def _same_version(machine: Any) -> None:
    ran = machine.probe(["paver", "--version"])
    found = ran.text.strip().rpartition(" ")[2] if ran.ok else ""
    if found != paver.__version__:
        raise Refused(
            "the jumpbox has another paver",
            seen=f"{found or 'none that answers'} there, {paver.__version__} here",
            why="both stations act on one plan, which holds for one version",
            do="use the image that belongs to this version, or this version's predecessor here",
        )


def _same_plan(found: job.JobState, argv: Sequence[str]) -> None:
    if found.argv[2:3] != tuple(argv[2:3]):
        raise _other_plan(found)


def _other_plan(found: job.JobState) -> Refused:
    return Refused(
        "another plan of this site is being carried out on the jumpbox",
        seen=wayback.begun(found),
        do="`paver follow` shows it; wait until it ends, then run the same command again",
    )


def check_same(found: Plan, running: job.JobState, fresh: Plan, given: Plan | None) -> None:
    """Does nothing if the plan `found`, which is `running`, is the given one, or came from the same command as `fresh`.

    Raises:
        Refused: if not.
    """
    if given is not None:
        same = found.digest == given.digest
    else:
        names = ("mode", "site_digest", "selection", "allow")
        same = all(getattr(found, name) == getattr(fresh, name) for name in names)
    if not same:
        raise _other_plan(running)


def handed_plan(machine: Any, found: job.JobState) -> Plan | None:
    """Returns the plan that the job `found` carries out, None where it is not there.

    Raises:
        BadInput: if it is no plan.
    """
    data = machine.read_file(found.argv[2]) if len(found.argv) > 2 else None
    return None if data is None else plans.loads(data)


def handed_done(machine: Any, found: job.JobState) -> frozenset[ResourceId]:
    """Returns what was done when the job `found` was handed over; nothing where that can't be read."""
    data = (
        machine.read_file(str(PurePosixPath(found.argv[2]).with_name(DONE))) if len(found.argv) > 2 else None
    )
    try:
        return frozenset() if data is None else _ids(data)
    except canonical.CanonicalError:
        return frozenset()


def reachable(session: Session) -> Any:
    """Returns the jumpbox's reading face, seen from outside after planning; None where it is not there or silent."""
    endpoint = session.paved.jumpbox
    if endpoint is None or session.station == "jumpbox":
        return None
    try:
        connection: Any = session.connections.get(endpoint.name)
        return connection.reader()
    except PaverError:
        return None


def demand_handed(folder: Path, plan: Plan) -> None:
    """Does nothing if `plan` is what was handed over in `folder`, which is called by its digest.

    Raises:
        Refused: if it was changed there since.
    """
    if folder.name != plan.digest:
        raise Refused(
            "the plan is not the one that was handed over",
            seen=f"plan {plan.digest[:12]}, handed over {folder.name[:12]}",
            why="it was changed on the jumpbox after it came there",
            do="find out who did that, then run the same command again outside: it hands the plan over anew",
        )


def read_done(folder: Path) -> frozenset[ResourceId]:
    """Returns what was done at the other station, as it was handed over."""
    return _ids((folder / DONE).read_bytes())


def _ids(data: bytes) -> frozenset[ResourceId]:
    found = canonical.loads(data)
    return frozenset(ResourceId(str(id_)) for id_ in found) if isinstance(found, list) else frozenset()
