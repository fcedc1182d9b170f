"""Paver's own share of a run in the lab: the time in which nothing of the lab was busy, of the whole.

    python -m tests.bench.share RUN LAB

RUN is the folder of one run (`.paver/<site>/runs/<run>`), LAB the lab's folder, still as the run left it. The lab is
busy while a server answers a call (its trace), a job runs on a machine (its folder below `paver/jobs`; paver's own run
there is none), the director runs a task (its folder on the director's disk), or a machine boots (its console). All
else is paver: also commands on machines over SSH, which leave no trace, and waiting between two looks at a job.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Row

GOAL = 0.10
_OWN_JOB = "apply-"
_BOOT = 60.0
"""Seconds after power-on in which lines of a console count as booting."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """A time in which only paver was busy: seconds from the run's beginning, how long, after which event."""

    at: float
    seconds: float
    after: str


@dataclass(frozen=True)
class Share:
    """A run's wall time, what of it was paver's own, and where, longest first."""

    wall: float
    own: float
    gaps: tuple[Gap, ...]

    @property
    def ratio(self) -> float:
        """Paver's own share."""
        return self.own / self.wall

    def row(self) -> Row:
        """Returns the row for the table."""
        return Row("paver's share of a demo run", self.own, self.wall, "the whole run", self.ratio, GOAL)


def share(run: Path, lab: Path) -> Share:
    """Returns paver's share of a run.

    Raises:
        ValueError: if nothing was done in it.
    """
    events = sorted(_events(run))
    if not events or events[0][0] == events[-1][0]:
        msg = f"{run}: from its first line to its last no time went by; nothing was done in this run"
        raise ValueError(msg)
    begin, end = events[0][0], events[-1][0]
    gaps = list(_free(begin, end, _busy(lab)))
    told = [
        Gap(first - begin, last - first, _last_before(events, first))
        for first, last in sorted(gaps, key=lambda gap: gap[0] - gap[1])
    ]
    return Share(end - begin, sum(gap.seconds for gap in told), tuple(told))


def _events(run: Path) -> Iterator[tuple[float, str]]:
    for journal in run.glob("journal*.jsonl"):
        for line in journal.read_text().splitlines():
            found = json.loads(line)
            what = [found["event"], found.get("resource", ""), found.get("call", ""), found.get("target", "")]
            yield _seconds(found["time"]), " ".join(part for part in what if part)[:90]


def _last_before(events: list[tuple[float, str]], moment: float) -> str:
    return [text for time, text in events if time <= moment][-1]


def _busy(lab: Path) -> Iterator[Span]:
    for trace in (lab / "trace").glob("*.jsonl"):
        for line in trace.read_text().splitlines():
            call = json.loads(line)
            begun = _seconds(call["time"])
            # Milliseconds are cut off: a call that took "0" took half of one.
            yield begun, begun + (call["ms"] + 0.5) / 1000
    for pid in lab.glob("machines/*/root/var/lib/paver/jobs/*/pid"):
        ended = pid.with_name("exit.json")
        if not pid.parent.name.startswith(_OWN_JOB) and ended.exists():
            yield _changed(pid), _changed(ended)
    for task in lab.glob("hosts/*/datastores/*/*/*/director/tasks/*"):
        yield _changed(task), max(_changed(output) for output in task.iterdir())
    for console in lab.glob("machines/*/console.log"):
        yield from _boots(console.read_text().splitlines())


def _boots(lines: Iterable[str]) -> Iterator[Span]:
    begun = None
    for line in lines:
        stamp, _, text = line.partition(" ")
        try:
            moment = _seconds(stamp)
        except ValueError:
            continue
        if text.startswith("power on"):
            begun = moment
        elif begun is not None and moment < begun + _BOOT:
            yield begun, moment


def _free(begin: float, end: float, busy: Iterable[Span]) -> Iterator[Span]:
    at = begin
    for first, last in sorted(busy):
        if first >= end:
            break
        if first > at:
            yield at, first
        at = max(at, last)
    if at < end:
        yield at, end


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def main() -> int:
    """Prints the share and the longest times in which only paver was busy."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.share", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("lab", type=Path, help="the lab's folder")
    parser.add_argument("--json", action="store_true", help="print the figure as JSON")
    arguments = parser.parse_args()
    try:
        found = share(arguments.run, arguments.lab)
    except ValueError as error:
        parser.error(str(error))
    if arguments.json:
        sys.stdout.write(json.dumps(found.row().document(), indent=1) + "\n")
        return 0
    verdict = "ok" if found.row().ok else "missed"
    lines = [
        f"{found.own:.1f} of {found.wall:.1f} s are paver's own: {found.ratio:.0%}, goal ≤ {GOAL:.0%}: {verdict}"
    ]
    lines += [f"  {gap.seconds:6.2f} s at {gap.at:6.2f} s, after {gap.after}" for gap in found.gaps[:15]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
