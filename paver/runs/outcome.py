"""How a run ended that was handed over: written at the other station, read and held to its journal at this one."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

from paver import own_files
from paver.errors import BadInput, Interrupted, PaverError, Refused
from paver.runs.apply import OUTCOME, Report, RunOutcome, fault
from paver.signing import canonical, chain

NAME = "outcome.json"
"""Beside the plan that was handed over."""

_HEAD = re.compile(r"[1-9][0-9]{0,9}:[0-9a-f]{64}")


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


def loads(data: bytes) -> Told:
    """Returns what `write` wrote.

    Raises:
        PaverError: if it is something else.
    """
    import pydantic  # noqa: PLC0415 - only where a run comes back

    try:
        told = pydantic.TypeAdapter(Told).validate_python(canonical.loads(data))
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


def write(folder: Path, report: Report, journal: Path) -> None:
    """Writes what the other station reads at the end of its following."""
    told = dataclasses.asdict(report.outcome(journal.parent))
    document: dict[str, Any] = {"schema": OUTCOME, **told, "journal": str(journal)}
    error = report.error
    if error is not None:
        known = error if isinstance(error, PaverError) else fault(error, "the run")
        document["error"] = {"exit": known.exit_code, **known.document()}
    own_files.put(folder / NAME, canonical.dumps(document), 0o600)
