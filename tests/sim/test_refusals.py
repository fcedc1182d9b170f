"""The table of refusals: what each row refuses is refused, and would not be if the row were taken out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from paver.lab import build
from tests.support import refused_by_hosts, refused_by_vcenter, vsim

pytestmark = pytest.mark.lab

DOCS = Path(__file__).parents[2] / "docs/explanation/what-is-simulated.md"
_PROBES = {**refused_by_hosts.PROBES, **refused_by_vcenter.PROBES}


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Any]]:
    program = build.build(["vsim"])["vsim"]
    text = subprocess.run([program, "refusals", "--json"], capture_output=True, check=True).stdout
    return {row["id"]: row for row in json.loads(text)}


def _met(row: str, *allowed: str) -> str | None:
    needs = dict(refused_by_vcenter.NEEDS.get(row, {}))
    vcenter = row in refused_by_vcenter.PROBES
    with vsim.site(hosts=needs.pop("hosts", 1), vcenter=vcenter, allow=allowed, **needs) as site:
        return _PROBES[row](site)


def test_every_row_has_a_probe_and_every_probe_a_row(table: dict[str, dict[str, Any]]) -> None:
    assert sorted(table) == sorted(_PROBES)


def test_every_row_says_what_it_refuses_and_where_that_is_known_from(
    table: dict[str, dict[str, Any]],
) -> None:
    for row in table.values():
        assert row["refuses"]
        assert row["fault"]
        assert row["source"]
        assert row["where"] in ("esx", "vcenter", "both")


def test_the_documentation_has_every_row_as_it_is(table: dict[str, dict[str, Any]]) -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    begin = lines.index("| id | where | refused | fault | source |") + 2
    told = [line.strip("| ").split(" | ") for line in lines[begin : begin + len(table)]]
    assert told == [
        [row[key] for key in ("id", "where", "refuses", "fault", "source")] for row in table.values()
    ]


@pytest.mark.parametrize("row", sorted(_PROBES))
def test_what_the_row_refuses_is_refused(row: str, table: dict[str, dict[str, Any]]) -> None:
    assert _met(row) == table[row]["fault"]


@pytest.mark.parametrize("row", sorted(_PROBES))
def test_without_the_row_it_would_pass(row: str) -> None:
    assert _met(row, row) is None


def test_a_row_that_is_not_there_cannot_be_taken_out() -> None:
    program = build.build(["vsim"])["vsim"]
    done = subprocess.run(
        [program, "esx", "--config", "none", "--allow", "no-such"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"no-such" in done.stderr
