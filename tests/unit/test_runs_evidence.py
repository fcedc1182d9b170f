"""What a run's journals prove, counted from their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from paver.engine.journal import Journal
from paver.runs.evidence import evidence
from paver.signing import chain
from paver.signing.canonical import Json


def journal(path: Path, *calls: tuple[str, str, str]) -> str:
    with Journal(path, clock=lambda: "2026-11-23T12:00:00.000Z") as lines:
        for action, endpoint, call in calls:
            fields: dict[str, Json] = {
                "action": action,
                "endpoint": endpoint,
                "call": call,
                "target": "x",
                "detail": {},
            }
            lines.write("call", fields)
        lines.write("closed", {"done": 1, "failed": [], "left": 0})
        return f"{lines.head.lines}:{lines.head.digest}"


def test_every_write_of_both_stations_is_counted_by_endpoint_and_by_action(tmp_path: Path) -> None:
    here = journal(
        tmp_path / "journal.jsonl", ("a", "host:esx-01", "AddPortGroup"), ("a", "host:esx-01", "PUT")
    )
    there = journal(tmp_path / "journal-jumpbox.jsonl", ("b", "s3", "PUT"), ("b", "host:esx-01", "PUT"))
    found = evidence(tmp_path)
    assert found.heads == {"journal.jsonl": here, "journal-jumpbox.jsonl": there}
    assert found.writes == {"host:esx-01": {"AddPortGroup": 1, "PUT": 2}, "s3": {"PUT": 1}}
    assert found.by_action == {"a": 2, "b": 2}
    assert found.broken == ""


def test_a_journal_that_does_not_hold_is_said_with_what_holds_of_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal(path, ("a", "s3", "PUT"), ("b", "s3", "PUT"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b'"b"', b'"c"') + lines[2][:-9])
    found = evidence(tmp_path)
    assert found.broken == "journal.jsonl: journal line 3: the last line is not whole"
    assert found.heads["journal.jsonl"].startswith("2:")
    path.write_bytes(lines[0] + lines[2])
    assert "journal line 2" in evidence(tmp_path).broken
    assert evidence(tmp_path).heads["journal.jsonl"] == f"1:{chain.verify(lines[0]).digest}"


@pytest.mark.parametrize(
    "record", [{}, {"event": "exploded"}, {"event": 7}, {"event": "call", "endpoint": "s3"}, {"call": "PUT"}]
)
def test_a_whole_chain_that_holds_something_else_is_said_not_to_hold(
    tmp_path: Path, record: dict[str, Json]
) -> None:
    journal(tmp_path / "journal.jsonl", ("a", "s3", "PUT"))
    line, _ = chain.link(record, chain.Head())
    (tmp_path / "journal-jumpbox.jsonl").write_bytes(line)
    found = evidence(tmp_path)
    assert found.broken == "journal-jumpbox.jsonl: journal line 1: no event that paver writes"
    assert found.writes == {"s3": {"PUT": 1}}
