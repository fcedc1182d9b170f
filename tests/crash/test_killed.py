"""Killed before and after lines of its journal, on both stations, a site converges to the same end, nothing twice.

This is a short chain at lines that every life has, of phases that take seconds; `make test-kills` kills the whole life:
`tests.crash.every` at all lines, `tests.crash.many` at any moment.
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
from tests.crash.kills import Chain
from tests.crash.suicide import JUMPBOX, OUTSIDE
from tests.support.place import LIMIT, NAME, Place, Trace, place

pytestmark = [pytest.mark.lab, pytest.mark.timeout(LIMIT)]

RESIDUE = ("certificate", "users")
PHASES = ("trust", "hosts", "jumpbox", "site-services")
CHOSEN = tuple(word for phase in PHASES for word in ("--phase", phase))
APPLY, DESTROY = ("apply", "--yes", *CHOSEN), ("destroy", "--allow", "*", "--yes")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A lab whose runs are killed."""
    built = dict(build.build(programs.required(PHASES)))
    tools = dict(system.provide(system.survey()))
    with place(tmp_path_factory.mktemp("crash"), built, tools) as made:
        yield made


def test_a_killed_life_converges_to_the_same_end_and_nothing_is_made_twice(killed: Place) -> None:
    start, trace = killed.inventory(), Trace(killed.lab.folder / "trace")
    chain = Chain(killed, seed=0, most=0)
    # Each of these runs has more lines to write than it is let.
    for when in ("before:1", "after:2", "before:12", "after:25"):
        assert chain.outside(when, *APPLY), when
    killed.paver("apply", "--yes", *CHOSEN[:6])
    for when in ("before:1", "after:2", "before:4", "after:5"):
        assert chain.there(when, *APPLY), when
    killed.paver(*APPLY)
    assert [kill.station for kill in chain.kills] == [OUTSIDE] * 4 + [JUMPBOX] * 4
    assert killed.pending(*CHOSEN) == {}
    assert oracle.shape(killed)["esx-01"]["machines"] == {"paver-jumpbox poweredOn": 1}
    assert oracle.made_twice(trace.calls(), oracle.BARE) == []
    _journals_are_whole_but_for_a_cut_last_line(killed)
    for when in ("before:1", "after:2", "before:4"):
        assert chain.there(when, *DESTROY), when
    for when in ("before:2", "after:3"):
        assert chain.outside(when, *DESTROY), when
    killed.paver(*DESTROY)
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
