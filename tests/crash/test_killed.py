"""Killed at lines of the journal and at any moment, on both stations, a site converges to the same end, nothing twice.

`python -m tests.crash.many` does the same with many more kills.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from paver.errors import PaverError
from paver.lab import build, programs, system
from paver.signing import chain
from tests.crash import oracle
from tests.crash.kills import JUMPBOX, OUTSIDE, Chain
from tests.support.place import NAME, Place, Trace, place

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

SEED = 20
RESIDUE = ("certificate", "users")
BEGINNING = ("--phase", "trust", "--phase", "hosts", "--phase", "jumpbox")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A lab whose runs are killed."""
    tools = dict(system.provide(system.survey()))
    built = dict(build.build(programs.required(None)))
    with place(tmp_path_factory.mktemp("crash"), built, tools) as made:
        yield made


def test_a_killed_life_converges_to_the_same_end_and_nothing_is_made_twice(killed: Place) -> None:
    start, trace = killed.inventory(), Trace(killed.lab.folder / "trace")
    early = Chain(killed, SEED, 3)
    early.lead("apply", "--yes", *BEGINNING, before=True)
    assert {kill.station for kill in early.kills} <= {OUTSIDE}
    behind = Chain(killed, SEED + 1, 5)
    behind.lead("apply", "--yes", before=False)
    # Which station a signal meets is a matter of time; `tests.crash.many` counts both over many kills.
    assert {kill.station for kill in behind.kills} <= {OUTSIDE, JUMPBOX}
    assert behind.kills
    oracle.whole(killed)
    assert oracle.made_twice(trace.calls()) == []
    _journals_are_whole_but_for_a_cut_last_line(killed)
    end = Chain(killed, SEED + 2, 2)
    end.lead("destroy", "--allow", "*", "--yes", before=False)
    oracle.bare(start, killed, RESIDUE)


def _journals_are_whole_but_for_a_cut_last_line(killed: Place) -> None:
    there = killed.jumpbox() / "var/lib/paver/sites" / NAME / ".paver" / NAME / "runs"
    journals = [path for folder in (*killed.runs, *there.glob("*")) for path in folder.glob("journal.jsonl")]
    assert journals
    for journal in journals:
        _verified(journal)


def _verified(journal: Path) -> None:
    raw = journal.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    with contextlib.suppress(PaverError):
        chain.verify(raw)
        return
    assert whole != raw, f"{journal} does not hold"
    chain.verify(whole)
