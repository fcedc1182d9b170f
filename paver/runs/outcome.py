"""How a run ended: for whoever started it, for programs, and for the other station.

Of a run that was handed over it is written over there, and read and held to its journal here.
"""

from __future__ import annotations

import dataclasses
import io
import re
import traceback
from pathlib import Path
from typing import Any

from paver import own_files
from paver.engine.values import ResourceId
from paver.errors import BadInput, Interrupted, PartlyDone, PaverError, Refused, of_disk
from paver.signing import canonical, chain

OUTCOME = "paver.outcome/1"

NAME = "outcome.json"
"""Beside the plan that was handed over."""

_HEAD = re.compile(r"[1-9][0-9]{0,9}:[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong.

    Attributes:
        resource: the resource's id.
        what: what went wrong with it, in a line.
    """

    resource: str
    what: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        acted: resources that this run changed, here or at the other station.
        done: resources that are as planned now.
        failed: what went wrong.
        left: resources that were not begun.
        head: lines and digest of the journal's end, `123:bd06…`, to be kept elsewhere; empty where there was nothing to do.
        folder: of the run: plan, journal, report; null where there was nothing to do.
    """

    acted: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    left: tuple[str, ...] = ()
    head: str = ""
    folder: str | None = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        done: resources that are as planned now.
        acted: of these, the ones that this run changed, here or at the other station.
        failed: what went wrong, by resource.
        left: what was not started.
        head: the end of the journal's chain, to be printed or shipped.
    """

    done: frozenset[ResourceId]
    acted: frozenset[ResourceId]
    failed: tuple[tuple[str, str], ...]
    left: tuple[ResourceId, ...]
    head: str
    error: BaseException | None = None

    def outcome(self, folder: Path) -> RunOutcome:
        """Returns the outcome of the run in `folder`, for programs and for the other station."""
        return RunOutcome(
            acted=tuple(sorted(self.acted)),
            done=tuple(sorted(self.done)),
            failed=tuple(Failure(resource=id_, what=what) for id_, what in self.failed),
            head=self.head,
            left=tuple(sorted(self.left)),
            folder=str(folder.absolute()),
        )


def demand_whole(ended: Ended, rest: str) -> None:
    """Does nothing if the run did everything; `rest` says how to go on with it at the other station.

    Raises:
        BaseException: what it ended with, if not.
    """
    if ended.error is not None:
        if isinstance(ended.error, PaverError) or not isinstance(ended.error, Exception):
            raise ended.error
        raise fault(ended.error, ended.failed[0][0] if ended.failed else "the run") from ended.error
    if ended.failed:
        raise PaverError(
            f"{ended.failed[0][0]}: {ended.failed[0][1]}", do="mend it, then run the same command again"
        )
    if ended.left:
        raise PartlyDone(
            f"{len(ended.left)} actions are left, which this machine cannot do: it stands on what they take away",
            seen=", ".join(ended.left[:3])
            + (f" and {len(ended.left) - 3} more" if len(ended.left) > 3 else ""),
            do=rest,
        )


def fault(error: BaseException, doing: str) -> PaverError:
    """Returns what paver itself failed with, to be told and written down: a place in its code, never the words.

    Libraries put what they were given into their words, secrets too.
    """
    full = of_disk(error, doing)
    if full is not None:
        return full
    places = traceback.extract_tb(error.__traceback__)
    return PaverError(
        f"{doing} failed: {type(error).__name__}",
        seen=f"{places[-1].name} in {Path(places[-1].filename).name}:{places[-1].lineno}" if places else "",
        do="this is a fault of paver; `paver logs` makes a bundle to report it with",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Error:
    """What ended the other station's run."""

    exit: int
    what: str
    seen: str
    why: str
    do: str

    def raised(self) -> PaverError:
        """Returns it to be raised here, with the same exit code."""
        kind = {4: Refused, 3: BadInput, 130: Interrupted}.get(self.exit, PaverError)
        return kind(self.what, why=self.why, do=self.do, seen=self.seen)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told(RunOutcome):
    """How the other station says that its run ended; `journal` is where it lies there."""

    journal: str
    error: Error | None = None

    def ended(self) -> Ended:
        """Returns it as a run of this station would say it."""
        return Ended(
            done=frozenset(map(ResourceId, self.done)),
            acted=frozenset(map(ResourceId, self.acted)),
            failed=tuple((item.resource, item.what) for item in self.failed),
            left=tuple(map(ResourceId, self.left)),
            head=self.head,
            error=None if self.error is None else self.error.raised(),
        )


def loads(data: bytes) -> Told:
    """Returns what `write` wrote.

    Raises:
        PaverError: if it is something else.
    """
    import pydantic  # noqa: PLC0415 - only where a run comes back

    document = canonical.loads(data)
    schema = document.pop("schema", None) if isinstance(document, dict) else None
    if schema != OUTCOME:
        raise _changed(
            "the outcome of the run on the jumpbox can't be read",
            f"its schema is {schema!r:.80}, not {OUTCOME}",
        )
    try:
        told = pydantic.TypeAdapter(Told).validate_python(document)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise _changed(
            "the outcome of the run on the jumpbox can't be read",
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
        ) from error
    if not _HEAD.fullmatch(told.head):
        raise _changed("the outcome of the run on the jumpbox names no journal's head", told.head[:80])
    return told


def hold(told: Told, journal: bytes, plan: str, before: frozenset[str], kept: Path) -> None:
    """Does nothing if the other station's journal is whole, of the plan, and shows what its outcome tells.

    Args:
        told: the outcome.
        journal: as it was brought back.
        plan: the digest of what was handed over.
        before: what was done by then.
        kept: where the journal lies here.

    Raises:
        ChainError: if it was cut or altered.
        PaverError: if it is another plan's, or shows less than the outcome tells.
    """
    lines, _, digest = told.head.partition(":")
    head = chain.Head(int(lines), digest)
    records = [record for record, _ in chain.records(io.BytesIO(journal), expected=head)]
    if not records or records[0].get("plan") != plan:
        raise _changed(
            "the jumpbox's journal is of another plan than the one that was handed over",
            f"{told.journal} there, kept as {kept}",
        )
    shown = {
        event: {str(record.get("resource")) for record in records if record.get("event") == event}
        for event in ("done", "skipped")
    }
    unshown = {*told.acted} - shown["done"] | {*told.done} - shown["done"] - shown["skipped"] - before
    if unshown:
        raise _changed(
            "the jumpbox tells more than its journal shows",
            f"{min(unshown)}: told to be done; the journal is kept as {kept}",
        )


def _changed(what: str, seen: str) -> PaverError:
    return PaverError(
        what,
        seen=seen,
        why="what was handed over, its outcome or its journal was changed on the jumpbox",
        do="find out who did that: `paver verify` and `paver plan` tell how the site stands",
    )


def write(folder: Path, ended: Ended, journal: Path) -> None:
    """Writes what the other station reads at the end of its following."""
    told = dataclasses.asdict(ended.outcome(journal.parent))
    document: dict[str, Any] = {"schema": OUTCOME, **told, "journal": str(journal)}
    error = ended.error
    if error is not None:
        known = error if isinstance(error, PaverError) else fault(error, "the run")
        document["error"] = {"exit": known.exit_code, **known.document()}
    own_files.put(folder / NAME, canonical.dumps(document), 0o600)
